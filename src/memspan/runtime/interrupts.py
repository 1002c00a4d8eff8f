"""Ctrl-C as a flag: work stops where it can be resumed, not in the middle of an update or while a lock is held."""

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

TERMINATIONS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))
"""Signals that end a program like Ctrl-C: sent by `kill`, a batch system or a closed terminal (SIGHUP, not on
Windows)."""
ENDS = (signal.SIGINT, *TERMINATIONS)
"""All signals that end a program."""


class Interrupts:
    """A count of the interrupts received; true if there was one.

    Attributes
    ----------
    count : int
        The number of signals so far.
    raised_from : int
        From this number on, each signal also raises KeyboardInterrupt; 0 for never.
    around : Interrupts or None
        The count of the enclosing `noted_interrupts`, which includes these signals.
    """

    def __init__(self, raised_from: int = 0) -> None:
        self.count, self.raised_from = 0, raised_from
        self.around: Interrupts | None = None

    def __bool__(self) -> bool:
        return self.count > 0

    @contextmanager
    def raised(self, at: int) -> Iterator[None]:
        """Raise from signal number `at` on inside the `with` block, for code (a database) that checks no flag."""
        before, self.raised_from = self.raised_from, at
        try:
            yield
        finally:
            self.raised_from = before

    def _add(self) -> None:
        self.count += 1
        if self.around is not None:
            self.around._add()

    def _note(self, signum: int, frame: Any) -> None:
        self._add()
        if 0 < self.raised_from <= self.count:
            raise KeyboardInterrupt


def ignore_interrupts() -> None:
    """Ignore Ctrl-C, SIGTERM and SIGHUP from now on."""
    for number in ENDS:
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def terminations_raised() -> Iterator[None]:
    """Let SIGTERM and SIGHUP raise KeyboardInterrupt inside the `with` block, as Ctrl-C does.

    A signal that is ignored stays ignored; `nohup` ignores SIGHUP.
    """

    def interrupt(signum: int, frame: Any) -> None:
        raise KeyboardInterrupt

    with _handled(TERMINATIONS, interrupt):
        yield


@contextmanager
def noted_interrupts(*, raised_from: int = 0, terminations: bool = False) -> Iterator[Interrupts]:
    """Count Ctrl-C inside the `with` block instead of raising KeyboardInterrupt.

    Nothing changes outside the main thread, or if SIGINT is ignored, as in the workers of a study and in
    background jobs of a shell.

    Parameters
    ----------
    raised_from : int
        The number of the signal that raises KeyboardInterrupt again; 0 for none.
    terminations : bool
        Whether SIGTERM and SIGHUP also count.

    Yields
    ------
    Interrupts
        The count, which is true after the first signal.
    """
    interrupts = Interrupts(raised_from)
    if threading.current_thread() is not threading.main_thread():
        yield interrupts
        return
    around = getattr(signal.getsignal(signal.SIGINT), "__self__", None)
    interrupts.around = around if isinstance(around, Interrupts) else None
    with _handled(ENDS if terminations else ENDS[:1], interrupts._note):
        yield interrupts


@contextmanager
def _handled(numbers: Sequence[signal.Signals], handler: Callable[[int, Any], Any]) -> Iterator[None]:
    """Handle the signals that are not ignored; then restore each handler, unless it was replaced meanwhile."""
    handled = [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]
    previous = {number: signal.signal(number, handler) for number in handled}
    try:
        yield
    finally:
        for number, before in previous.items():
            if signal.getsignal(number) == handler:
                signal.signal(number, before)


@contextmanager
def interrupts_deferred() -> Iterator[None]:
    """Defer a Ctrl-C to the end of the `with` block.

    A compiler calls back into Python, where a KeyboardInterrupt would be lost.
    """
    with noted_interrupts() as interrupts:
        yield
    if interrupts:
        raise KeyboardInterrupt
