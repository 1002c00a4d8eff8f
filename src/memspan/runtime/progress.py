"""Progress displays: a bar in a terminal, a line that is updated in place in a notebook, or lines in a log."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Column

from memspan.errors import InvalidArgument, one_of
from memspan.runtime.notices import say
from memspan.runtime.tables import PlainConsole

Report = Callable[[float, str | Callable[[], str]], None]
"""Called with the amount done and a note to show beside it, or a function that makes the note if it is shown."""

KINDS = ("auto", "bar", "notebook", "lines", "none")
SECONDS_BETWEEN_LINES = 5.0


@contextmanager
def progress(total: float, title: str, unit: str, *, kind: str = "auto", done: float = 0) -> Iterator[Report]:
    """Show the progress of a computation.

    Parameters
    ----------
    total : float
        The total amount of work, in any unit.
    title : str
        A word for the computation, such as `training`.
    unit : str
        The unit of `total`, in the plural, such as `updates`.
    kind : str
        `bar`, `notebook`, `lines` or `none`. `auto` chooses `notebook` in a notebook, `bar` in a terminal, and
        `lines` otherwise.
    done : float
        The amount already done.

    Yields
    ------
    Report
        A function of (amount done, note).

    Raises
    ------
    InvalidArgument
        If `kind` is unknown, or `notebook` outside IPython.
    """
    kind = one_of("progress", kind, KINDS)
    renderers = {"bar": _bar, "notebook": _notebook, "lines": _lines, "none": _none}
    with renderers[surroundings() if kind == "auto" else kind](_Pace(total, title, unit, done)) as report:
        yield report


def kind_of(progress: bool | str) -> str:
    """Return the kind for an argument `progress`: `auto` for True, `none` for False, or the kind itself."""
    if isinstance(progress, bool):
        return "auto" if progress else "none"
    if str(progress) not in KINDS:
        raise InvalidArgument("progress", f"True, False or one of {', '.join(KINDS)}", repr(progress))
    return progress


def plain(text: str) -> str:
    """Escape the control characters of an untrusted text, so that it cannot control the terminal."""
    return "".join(letter if letter.isprintable() or letter == "\n" else repr(letter)[1:-1] for letter in text)


def surroundings() -> str:
    """Return the kind of display for this program: `notebook`, `bar` in a terminal, otherwise `lines`."""
    ipython = ipython_shell()
    if ipython is not None and type(ipython.get_ipython()).__name__ == "ZMQInteractiveShell":
        return "notebook"
    return "bar" if sys.stderr is not None and sys.stderr.isatty() else "lines"


def ipython_shell() -> Any:
    """Return the module IPython if this program runs in an IPython shell, otherwise None."""
    ipython = sys.modules.get("IPython")
    return ipython if ipython is not None and ipython.get_ipython() is not None else None


@contextmanager
def _none(pace: "_Pace") -> Iterator[Report]:
    yield lambda done, note: None


@contextmanager
def _bar(pace: "_Pace") -> Iterator[Report]:
    rest = Column(ratio=1, no_wrap=True, overflow="ellipsis")  # a narrow window cuts off the note
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=20),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", markup=False, table_column=rest),
    )
    with Progress(*columns, console=PlainConsole(stderr=True), expand=True) as bar:
        task = bar.add_task(pace.title, total=pace.total, note="")
        bar.update(task, completed=pace.first)
        yield lambda done, note: bar.update(task, completed=done, note=f"{pace.rate(done)}, {_text(note)}")


@contextmanager
def _lines(pace: "_Pace") -> Iterator[Report]:
    last = time.monotonic()

    def report(done: float, note: str | Callable[[], str]) -> None:
        nonlocal last
        if time.monotonic() - last >= SECONDS_BETWEEN_LINES:
            last = time.monotonic()
            say(pace.line(done, note))

    yield report


@contextmanager
def _notebook(pace: "_Pace") -> Iterator[Report]:
    ipython = ipython_shell()
    if ipython is None:
        raise InvalidArgument("progress", "bar, lines or none outside IPython", "'notebook'")
    handle = ipython.display.display({"text/plain": pace.line(pace.first, "")}, raw=True, display_id=True)
    last = time.monotonic()

    def report(done: float, note: str | Callable[[], str]) -> None:
        nonlocal last
        if time.monotonic() - last >= 0.2 or done >= pace.total:
            last = time.monotonic()
            handle.update({"text/plain": pace.line(done, note)}, raw=True)

    yield report


def _text(note: str | Callable[[], str]) -> str:
    return note if isinstance(note, str) else note()


class _Pace:
    """The speed of a computation, and the lines that describe it."""

    def __init__(self, total: float, title: str, unit: str, done: float) -> None:
        self.total, self.title, self.unit, self.first = total, title, unit, done
        self.started = time.monotonic()

    def rate(self, done: float) -> str:
        """Return the amount done per second."""
        elapsed = max(time.monotonic() - self.started, 1e-9)
        rate = (done - self.first) / elapsed
        return f"{rate:,.0f} {self.unit}/s" if rate >= 1 else f"{rate:.1g} {self.unit}/s"

    def line(self, done: float, note: str | Callable[[], str]) -> str:
        """Return the share done, the time elapsed and left, the speed and the note."""
        elapsed = time.monotonic() - self.started
        parts = [f"{self.title}: {100 * done / self.total:.0f} %", f"{elapsed:.0f} s"]
        if done > self.first:
            parts.append(f"{elapsed * (self.total - done) / (done - self.first):.0f} s left")
            parts.append(self.rate(done))
        return ", ".join([*parts, text] if (text := _text(note)) else parts)
