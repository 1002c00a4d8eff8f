import os
import signal
import subprocess
import sys
import threading

import pytest

from memspan.runtime.interrupts import Interrupts, interrupts_deferred, noted_interrupts


def press(number=signal.SIGINT):
    os.kill(os.getpid(), number)


@pytest.fixture(autouse=True)
def handlers():
    """The handlers of SIGINT and SIGTERM, which must be restored."""
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    yield before
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_a_ctrl_c_is_noted_and_not_raised():
    with noted_interrupts() as interrupts:
        assert not interrupts
        assert interrupts.count == 0
        for count in (1, 2, 3):
            press()
            assert interrupts
            assert interrupts.count == count


@pytest.mark.parametrize("nth", [1, 2, 3])
def test_from_the_one_that_was_named_on_it_is_raised_as_well(nth):
    with noted_interrupts(raised_from=nth) as interrupts:
        for _ in range(nth - 1):
            press()
        for count in (nth, nth + 1):
            with pytest.raises(KeyboardInterrupt):
                press()
            assert interrupts.count == count


def test_for_a_while_it_is_raised_earlier():
    """Like a call of a database, which checks no flag."""
    with noted_interrupts() as interrupts:
        press()
        with interrupts.raised(2), pytest.raises(KeyboardInterrupt):
            press()
        press()
        with pytest.raises(RuntimeError), interrupts.raised(2):
            raise RuntimeError
        press()
        assert interrupts.count == 4


def test_a_termination_counts_where_it_is_wished():
    with noted_interrupts(terminations=True) as interrupts:
        press(signal.SIGTERM)
        press()
        assert interrupts.count == 2


def test_otherwise_a_termination_stays_somebody_elses():
    seen = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: seen.append(number))
    try:
        with noted_interrupts() as interrupts:
            press(signal.SIGTERM)
            assert not interrupts
    finally:
        signal.signal(signal.SIGTERM, before)
    assert seen == [signal.SIGTERM]


def test_handlers_are_given_back_after_an_error(handlers):
    def fail():
        with noted_interrupts(terminations=True):
            assert signal.getsignal(signal.SIGTERM) != handlers[1]
            raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        fail()


@pytest.mark.parametrize(
    ("ignored", "other"), [(signal.SIGINT, signal.SIGTERM), (signal.SIGTERM, signal.SIGINT)], ids=["INT", "TERM"]
)
def test_what_is_ignored_stays_so_and_the_other_is_noted(ignored, other):
    """As in the workers of a study, or in a background job of a shell."""
    before = signal.signal(ignored, signal.SIG_IGN)
    try:
        with noted_interrupts(terminations=True) as interrupts:
            press(ignored)
            assert not interrupts
            assert signal.getsignal(ignored) is signal.SIG_IGN
            press(other)
            assert interrupts.count == 1
        assert signal.getsignal(ignored) is signal.SIG_IGN
    finally:
        signal.signal(ignored, before)


def test_outside_of_the_main_thread_nothing_changes(handlers):
    found = []

    def work():
        with noted_interrupts(terminations=True) as interrupts:
            found.append(interrupts)
            found.append([signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)])

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    interrupts, during = found
    assert during == handlers
    assert isinstance(interrupts, Interrupts)
    assert not interrupts


def test_a_program_that_is_about_to_end_can_ignore_them():
    program = """
import os, signal
from memspan.runtime.interrupts import ignore_interrupts
ignore_interrupts()
for number in (signal.SIGINT, signal.SIGTERM):
    os.kill(os.getpid(), number)
print("still here")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "still here\n"


def test_what_an_inner_part_notes_the_whole_has_noted_too():
    with noted_interrupts() as outer:
        with noted_interrupts(raised_from=2) as inner:
            press()
            assert (inner.count, outer.count) == (1, 1)
            with pytest.raises(KeyboardInterrupt):
                os.kill(os.getpid(), signal.SIGINT)
        assert outer.count == 2
        os.kill(os.getpid(), signal.SIGINT)
        assert (inner.count, outer.count) == (2, 3)


def test_a_deferred_ctrl_c_is_raised_at_the_end_and_not_inside_what_would_lose_it():
    import ctypes

    seen = []
    callback = ctypes.CFUNCTYPE(None)(lambda: (press(), seen.append("went on")))

    @interrupts_deferred()
    def compiling():
        callback()  # an exception in here is printed, and ignored
        seen.append("compiled")

    with pytest.raises(KeyboardInterrupt):
        compiling()
    assert seen == ["went on", "compiled"]
    with interrupts_deferred():
        seen.append("nothing happened")
    assert seen[-1] == "nothing happened"
