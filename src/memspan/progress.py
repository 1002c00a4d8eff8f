"""Progress for people: a bar in a terminal, a line that rewrites itself in a notebook, or lines in a log."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from memspan.errors import InvalidArgument, one_of

Report = Callable[[float, str], None]
"""Called with how much is done and a note to show beside it."""

KINDS = ("auto", "bar", "notebook", "lines", "none")
SECONDS_BETWEEN_LINES = 5.0


@contextmanager
def progress(total: float, title: str, *, kind: str = "auto", done: float = 0) -> Iterator[Report]:
    """Show the progress of a piece of work.

    Parameters
    ----------
    total : float
        How much there is to do, in any unit.
    title : str
        What is being done.
    kind : str
        `bar`, `notebook`, `lines` or `none`; `auto` looks where the output goes.
    done : float
        How much is done already.

    Yields
    ------
    Report
        A function of (how much is done, a note).
    """
    kind = one_of("kind", kind, KINDS)
    renderers = {"bar": _bar, "notebook": _notebook, "lines": _lines, "none": _none}
    with renderers[_surroundings() if kind == "auto" else kind](total, title, done) as report:
        yield report


def _surroundings() -> str:
    ipython = _ipython()
    if ipython is not None and type(ipython.get_ipython()).__name__ == "ZMQInteractiveShell":
        return "notebook"
    return "bar" if sys.stderr.isatty() else "lines"


def _ipython() -> Any:
    """The module, if this runs inside a shell of it."""
    ipython = sys.modules.get("IPython")
    return ipython if ipython is not None and ipython.get_ipython() is not None else None


@contextmanager
def _none(total: float, title: str, done: float) -> Iterator[Report]:
    yield lambda done, note: None


@contextmanager
def _bar(total: float, title: str, done: float) -> Iterator[Report]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(title, total=total, note="")
        bar.update(task, completed=done)
        yield lambda done, note: bar.update(task, completed=done, note=note)


@contextmanager
def _lines(total: float, title: str, done: float) -> Iterator[Report]:
    line = _Line(total, title, done)
    last = time.monotonic()

    def report(done: float, note: str) -> None:
        nonlocal last
        if time.monotonic() - last >= SECONDS_BETWEEN_LINES:
            last = time.monotonic()
            print(line(done, note), file=sys.stderr, flush=True)

    yield report


@contextmanager
def _notebook(total: float, title: str, done: float) -> Iterator[Report]:
    ipython = _ipython()
    if ipython is None:
        raise InvalidArgument("kind", "bar, lines or none outside of IPython", "'notebook'")
    line = _Line(total, title, done)
    handle = ipython.display.display({"text/plain": line(done, "")}, raw=True, display_id=True)
    last = time.monotonic()

    def report(done: float, note: str) -> None:
        nonlocal last
        if time.monotonic() - last >= 0.2 or done >= total:
            last = time.monotonic()
            handle.update({"text/plain": line(done, note)}, raw=True)

    yield report


class _Line:
    """Progress in words: how much is done, and at this pace how long the rest takes."""

    def __init__(self, total: float, title: str, done: float) -> None:
        self.total, self.title, self.first = total, title, done
        self.started = time.monotonic()

    def __call__(self, done: float, note: str) -> str:
        share = 100 * done / self.total
        elapsed = time.monotonic() - self.started
        parts = [f"{self.title}: {share:.0f} %", f"{elapsed:.0f} s"]
        if done > self.first:
            parts.append(f"{elapsed * (self.total - done) / (done - self.first):.0f} s left")
        return ", ".join(parts + [note] * bool(note))
