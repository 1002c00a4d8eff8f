"""Ctrl-C as a flag: work ends where it can be picked up again, and not in the middle of an update or of a lock."""

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

TERMINATIONS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))
"""End a program as Ctrl-C does: from `kill`, a batch system, a terminal that was closed. Windows has no SIGHUP."""
ENDS = (signal.SIGINT, *TERMINATIONS)


class Interrupts:
    """How often somebody asked for an end.

    Attributes
    ----------
    count : int
        Signals so far.
    raised_from : int
        From that one on, each is Python's own KeyboardInterrupt too; 0 for never.
    around : Interrupts or None
        Of the work that this is a part of: it counts them too, and none is lost between the two.
    """

    def __init__(self, raised_from: int = 0) -> None:
        self.count, self.raised_from = 0, raised_from
        self.around: Interrupts | None = None

    def __bool__(self) -> bool:
        return self.count > 0

    @contextmanager
    def raised(self, at: int) -> Iterator[None]:
        """Meanwhile, let signals from that one on raise: for what cannot look at a flag, such as a database."""
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
    """From now on; for a program that is about to end."""
    for number in ENDS:
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def terminations_raised() -> Iterator[None]:
    """Let SIGTERM and SIGHUP raise KeyboardInterrupt meanwhile, as Ctrl-C does; one that is ignored stays so.

    `nohup` ignores SIGHUP.
    """

    def interrupt(signum: int, frame: Any) -> None:
        raise KeyboardInterrupt

    with _handled(TERMINATIONS, interrupt):
        yield


@contextmanager
def noted_interrupts(*, raised_from: int = 0, terminations: bool = False) -> Iterator[Interrupts]:
    """Note a Ctrl-C instead of raising it; outside of the main thread, or where it is ignored, change nothing.

    It is ignored in the workers of a study, and in what a shell runs in the background.

    Parameters
    ----------
    raised_from : int
        Which is Python's own KeyboardInterrupt again; 0 for none.
    terminations : bool
        Whether SIGTERM and SIGHUP count too.

    Yields
    ------
    Interrupts
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
    """A handler of those signals that are not ignored; one that was replaced meanwhile is left to who did it."""
    heard = [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]
    previous = {number: signal.signal(number, handler) for number in heard}
    try:
        yield
    finally:
        for number, before in previous.items():
            if signal.getsignal(number) == handler:
                signal.signal(number, before)


@contextmanager
def interrupts_deferred() -> Iterator[None]:
    """Raise a Ctrl-C afterwards: inside a compiler, which calls Python back, a KeyboardInterrupt would be lost."""
    with noted_interrupts() as interrupts:
        yield
    if interrupts:
        raise KeyboardInterrupt
