import multiprocessing
import operator
import os
import signal
import time
from dataclasses import replace

import pytest
from processes import wait_for

from memspan import InvalidArgument, MemspanError
from memspan.execution.teams import ExecutorFailed
from memspan.reproduce import REPRODUCTIONS, Finding, Options, Page, Verdict, reproduce
from memspan.reproduce.base import run_each

QUIET = Options(progress="none")


def test_every_reproduction_says_what_it_is():
    assert {"assignment", "adding-1997", "order-1997", "copying-baseline", "copying-by-length"} < set(
        REPRODUCTIONS
    )
    for name, reproduction in REPRODUCTIONS.items():
        assert reproduction.name == name
        assert reproduction.title
        assert any(character.isdigit() for character in reproduction.source)
        assert reproduction.setting.endswith(".")
        assert all(difference.endswith((".", ".)")) for difference in reproduction.differences)


def test_an_unknown_name_is_refused_with_those_that_exist():
    with pytest.raises(InvalidArgument, match=r"name must be one of assignment, adding-1997, .*, got 'mine'"):
        reproduce("mine")


AGREES, DIFFERS, UNDECIDED, NOT_COMPARED = Verdict


def page(*verdicts, full=False, against="paper"):
    findings = [Finding(f"a|{k}", "1", "2", "like", verdict) for k, verdict in enumerate(verdicts)]
    of = replace(REPRODUCTIONS["copying-baseline"], judge=lambda measured: findings, against=against)
    return Page.made(of, Options(full=full), [1, None, {"a": [0.1]}], 12.0)


def test_a_page_says_how_many_findings_agree():
    assert page(AGREES, AGREES).sentence == "Reproduced: all 2 findings agree."
    assert page(AGREES, DIFFERS).sentence == "Not reproduced in full: 1 of 2 findings agree, 1 differs."
    assert page(AGREES, DIFFERS, DIFFERS).sentence == "Not reproduced in full: 1 of 3 findings agree, 2 differ."
    undecided = page(AGREES, DIFFERS, UNDECIDED, UNDECIDED)
    assert undecided.sentence == "Not reproduced in full: 1 of 4 findings agree, 1 differs, 2 cannot be told."
    assert [row[-1] for row in page(*Verdict).rows()] == ["agrees", "differs", "cannot be told", "–"]
    assert page(AGREES, NOT_COMPARED).sentence == "Reproduced: the one finding agrees."


def test_what_is_compared_with_theory_is_not_called_reproduced():
    assert page(AGREES, AGREES, against="theory").sentence == "Compared with theory: all 2 findings agree."
    mixed = page(AGREES, DIFFERS, against="theory")
    assert mixed.sentence == "Compared with theory: 1 of 2 findings agree, 1 differs."
    assert page(AGREES, against="theory").columns[1] == "theory"


def test_what_has_no_paper_has_limits_and_no_differences_from_it():
    how = page(AGREES, against="rule").how
    assert any(line.startswith("Limit: ") for line in how)
    assert not any("the paper:" in line for line in how)


def test_a_page_says_when_it_is_short_where_it_is_not_the_paper_and_what_was_changed():
    short, whole = page(AGREES), page(AGREES, full=True)
    assert any(line.startswith("Shortened: 1500 updates") and "--full" in line for line in short.how)
    assert not any(line.startswith("Shortened") for line in whole.how)
    assert sum(line.startswith("Difference from the paper") for line in whole.how) == len(whole.of.differences)
    assert sum(line.startswith("Changed after results had been seen") for line in whole.how) == len(
        whole.of.changed
    )
    text = short.markdown()
    assert text.startswith(f"# {short.of.title}\n")
    assert "| a\\|0 | 1 | 2 | like | agrees |" in text
    assert short.sentence in text
    assert "seed 0" in text


def test_a_page_is_made_again_from_what_was_measured():
    first = page(AGREES, DIFFERS)
    again = Page.read(first.of, first.json())
    assert again == first
    assert again.markdown() == first.markdown()


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(2, 3, AGREES), (1, 4, AGREES), (0, 0.9, DIFFERS), (4.1, 5, DIFFERS), (0, 2, UNDECIDED), (0, 9, UNDECIDED)],
)
def test_an_interval_agrees_differs_or_cannot_be_told(low, high, verdict):
    assert Verdict.within(low, high, 1, 4) is verdict


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_the_order_of_the_arguments(workers):
    options = Options(workers=workers, progress="none")
    assert run_each(operator.neg, [3, 1, 2], options, "negating") == [-3, -1, -2]


def test_an_error_in_a_process_is_not_lost():
    with pytest.raises(TypeError):
        run_each(operator.neg, [1, "two", 3], Options(workers=2, progress="none"), "negating")
    wait_for(lambda: not multiprocessing.active_children(), 10)


def kill_yourself(number):
    if number == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.01)
    return number


def test_a_killed_process_ends_it_and_is_named():
    with pytest.raises(ExecutorFailed, match=r"A worker process was killed, perhaps .* memory\. No results"):
        run_each(kill_yourself, [1, 2, 3, 4], Options(workers=2, progress="none"), "dying")
    assert issubclass(ExecutorFailed, MemspanError)
    wait_for(lambda: not multiprocessing.active_children(), 10)


def press_ctrl_c(number):
    os.kill(os.getpid(), signal.SIGINT)
    return number


def test_ctrl_c_ends_it():
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        run_each(press_ctrl_c, [1, 2], QUIET, "interrupting")
    assert signal.getsignal(signal.SIGINT) is handler
