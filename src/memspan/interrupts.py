"""Ctrl-C as a flag: work ends where it can be picked up again, and not in the middle of an update or of a lock."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def noted_interrupts(*, patient: bool) -> Iterator[Callable[[], bool]]:
    """Note a Ctrl-C instead of raising it; outside of the main thread, or where it is ignored, change nothing.

    Parameters
    ----------
    patient : bool
        Whether a second Ctrl-C is only noted too, or is Python's own KeyboardInterrupt.

    Yields
    ------
    callable
        Tells whether Ctrl-C was pressed.
    """
    ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN  # as in the workers of a study
    if ignored or threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    pressed = False

    def note(signum: int, frame: Any) -> None:
        nonlocal pressed
        if pressed and not patient:
            signal.default_int_handler(signum, frame)
        pressed = True

    previous = signal.signal(signal.SIGINT, note)
    try:
        yield lambda: pressed
    finally:
        signal.signal(signal.SIGINT, previous)


@contextmanager
def interrupts_ignored() -> Iterator[None]:
    """Ignore Ctrl-C, and let processes that are started meanwhile ignore it for good."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)
