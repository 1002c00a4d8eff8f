import io
import re
import sys
from types import SimpleNamespace

import pytest

from memspan import InvalidArgument
from memspan.runtime.progress import KINDS, ipython_shell, progress, surroundings


class Clock:
    """A clock that advances only when a test sets it."""

    def __init__(self):
        self.now = 100.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr("memspan.runtime.progress.time", clock)
    return clock


class Terminal(io.StringIO):
    def isatty(self):
        return True

    def last_line(self):
        """The last line on the screen, without its colours."""
        return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", self.getvalue()).splitlines()[-1]


@pytest.fixture
def open_terminal(monkeypatch):
    """A function that makes standard error a terminal. A test calls it, because pytest would undo it before."""
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")

    def open_terminal():
        monkeypatch.setattr(sys, "stderr", Terminal())
        return sys.stderr

    return open_terminal


def test_lines_tell_the_share_the_time_the_rest_and_the_note(capsys, clock):
    with progress(200, "training", "updates", kind="lines") as report:
        for done, now in [(10, 104.9), (20, 105.0), (30, 109.9), (50, 111.0), (200, 120.0)]:
            clock.now = now
            report(done, f"loss {done}")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == [
        "training: 10 %, 5 s, 45 s left, 4 updates/s, loss 20",
        "training: 25 %, 11 s, 33 s left, 5 updates/s, loss 50",
        "training: 100 %, 20 s, 0 s left, 10 updates/s, loss 200",
    ]


def test_what_was_done_before_does_not_count_as_fast(capsys, clock):
    with progress(200, "training", "updates", kind="lines", done=100) as report:
        clock.now += 10
        report(100, "")
        clock.now += 10
        report(150, "")
    assert capsys.readouterr().err.splitlines() == [
        "training: 50 %, 10 s",
        "training: 75 %, 20 s, 20 s left, 2 updates/s",
    ]


@pytest.mark.parametrize("kind", ["bar", "auto"])
def test_a_terminal_gets_a_bar(open_terminal, kind, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")  # a narrower window cuts off the note
    terminal = open_terminal()
    with progress(40, "training", "updates", kind=kind, done=10) as report:
        report(30, "loss 0.5")
    last = terminal.last_line()
    assert last.startswith("training ")
    assert "━" in last
    assert "75 %" in last
    assert "left" in last
    assert last.rstrip().endswith("updates/s, loss 0.5")


def test_a_bar_begins_with_what_is_done_already(open_terminal):
    terminal = open_terminal()
    with progress(40, "training", "updates", kind="bar", done=10):
        pass
    assert "25 %" in terminal.last_line()


def test_a_file_gets_lines(capsys, clock):
    with progress(10, "checking", "updates", kind="auto") as report:
        clock.now += 5
        report(5, "")
    assert capsys.readouterr().err == "checking: 50 %, 5 s, 5 s left, 1 updates/s\n"


def test_none_is_silent(capsys):
    with progress(10, "training", "updates", kind="none") as report:
        report(10, "done")
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("kind", ["bar", "lines", "none"])
def test_an_error_passes_through(kind):
    with pytest.raises(RuntimeError, match="mine"), progress(10, "training", "updates", kind=kind):
        raise RuntimeError("mine")


@pytest.mark.parametrize("kind", ["banner", "", None, True])
def test_an_unknown_kind_is_refused(kind):
    with (
        pytest.raises(InvalidArgument, match=f"progress must be one of {', '.join(KINDS)}, got {kind!r}"),
        progress(10, "training", "updates", kind=kind),
    ):
        pass


# --- notebooks ------------------------------------------------------------------------------------------


@pytest.fixture
def shell(tmp_path, monkeypatch):
    """An IPython shell like that of a notebook, removed completely afterwards."""
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    interactiveshell = pytest.importorskip("IPython.core.interactiveshell")
    from IPython.core.history import HistoryManager

    monkeypatch.setattr(HistoryManager, "enabled", False)
    yield interactiveshell.InteractiveShell.instance()
    interactiveshell.InteractiveShell.clear_instance()


def test_a_notebook_gets_one_display_that_is_rewritten(shell, clock):
    from IPython.utils.capture import capture_output

    with capture_output() as captured, progress(40, "training", "updates", kind="notebook", done=0) as report:
        for done, passed in [(1, 0.1), (10, 1.0), (11, 1.1), (40, 1.15)]:
            clock.now = 100 + passed
            report(done, f"update {done}")
    texts = [output.data["text/plain"] for output in captured.outputs]
    assert texts == [
        "training: 0 %, 0 s",
        "training: 25 %, 1 s, 3 s left, 10 updates/s, update 10",
        "training: 100 %, 1 s, 0 s left, 35 updates/s, update 40",
    ]
    assert [output.update for output in captured.outputs] == [False, True, True]
    assert len({output.transient["display_id"] for output in captured.outputs}) == 1
    assert captured.stderr == ""


def test_a_cell_shows_the_progress_of_training(shell):
    from IPython.utils.capture import capture_output

    cell = """
from memspan import RNN, SGD, Batches, Learner, MSELoss, Recall
learner = Learner(RNN(1, 2, 1, rng=0), MSELoss(), Batches(Recall(), 2, 4, 1), SGD(0.1))
learner.fit(5, progress="notebook")
"""
    with capture_output() as captured:
        shell.run_cell(cell).raise_error()
    last = captured.outputs[-1].data["text/plain"]
    assert last.startswith("training: 100 %, ")
    assert re.search(r", update 5, loss \d\.\d{4}$", last)


class ZMQInteractiveShell:
    """A shell with the class name that a notebook's kernel uses."""


@pytest.mark.parametrize("inside", [True, False])
def test_auto_knows_a_notebook_by_its_shell(monkeypatch, capsys, clock, inside):
    shown = []

    def display(data, **options):
        shown.append(data["text/plain"])
        return SimpleNamespace(update=lambda data, **options: shown.append(data["text/plain"]))

    shell = ZMQInteractiveShell() if inside else None
    module = SimpleNamespace(get_ipython=lambda: shell, display=SimpleNamespace(display=display))
    monkeypatch.setitem(sys.modules, "IPython", module)
    with progress(10, "training", "updates", kind="auto") as report:
        clock.now += 5
        report(10, "")
    lines = ["training: 0 %, 0 s", "training: 100 %, 5 s, 0 s left, 2 updates/s"]
    assert (shown, capsys.readouterr().err) == ((lines, "") if inside else ([], lines[1] + "\n"))


def test_surroundings_are_a_notebook_a_terminal_or_a_file(monkeypatch, open_terminal):
    assert (surroundings(), ipython_shell()) == ("lines", None)
    open_terminal()
    assert surroundings() == "bar"
    module = SimpleNamespace(get_ipython=ZMQInteractiveShell)
    monkeypatch.setitem(sys.modules, "IPython", module)
    assert (surroundings(), ipython_shell()) == ("notebook", module)
    module.get_ipython = SimpleNamespace  # another IPython shell, such as one in a terminal
    assert (surroundings(), ipython_shell()) == ("bar", module)
    module.get_ipython = lambda: None  # IPython is imported, but no shell runs
    assert (surroundings(), ipython_shell()) == ("bar", None)


def test_outside_of_ipython_there_is_no_notebook():
    with (
        pytest.raises(
            InvalidArgument, match="progress must be bar, lines or none outside IPython, got 'notebook'"
        ),
        progress(10, "training", "updates", kind="notebook"),
    ):
        pass
