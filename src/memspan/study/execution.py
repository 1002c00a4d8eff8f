"""Running the trials of a study, here or in processes, and telling how far they are."""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.queues import SimpleQueue
from multiprocessing.synchronize import Event

from threadpoolctl import threadpool_limits

from memspan.errors import MemspanError
from memspan.interrupts import noted_interrupts
from memspan.study.specification import Study
from memspan.study.trial import Provenance, Stopped, Trial, run_trial

Key = tuple[int, int]
Tell = Callable[[Key, int], None]
"""Called now and then with a running trial's key and the updates it has done."""

SECONDS_BETWEEN_MESSAGES = 0.2


class WorkerDied(MemspanError):
    """A worker process ended without a word: killed, or out of memory."""


def run_trials(
    study: Study, keys: list[Key], provenance: Provenance, workers: int, tell: Tell
) -> Generator[Trial, None, None]:
    """Run the trials of these keys and yield each when it is done.

    One BLAS thread each, whatever the number of workers: the bits of a product can depend on its threads.
    """
    run = _run_here if workers == 1 else _run_in_processes
    yield from run(study, keys, provenance, workers, tell)


def available_cores() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _run_here(
    study: Study, keys: list[Key], provenance: Provenance, workers: int, tell: Tell
) -> Generator[Trial, None, None]:
    with threadpool_limits(1, "blas"):
        for key in keys:
            yield run_trial(study, *key, provenance, observe=_now_and_then(key, tell))


def _run_in_processes(
    study: Study, keys: list[Key], provenance: Provenance, workers: int, tell: Tell
) -> Generator[Trial, None, None]:
    context = multiprocessing.get_context("spawn")
    messages: SimpleQueue[tuple[Key, int]] = context.SimpleQueue()
    stop = context.Event()
    pool = ProcessPoolExecutor(
        min(workers, len(keys)), mp_context=context, initializer=_prepare_worker, initargs=(messages, stop)
    )
    with noted_interrupts(patient=True) as interrupted:  # raised inside `wait`, it would leave locks behind
        try:
            with _interrupts_ignored():  # what the workers inherit: Ctrl-C reaches them too, but only we decide
                running: set[Future[Trial | None]] = {pool.submit(_work, study, key, provenance) for key in keys}
            while running:
                done, running = wait(running, timeout=SECONDS_BETWEEN_MESSAGES, return_when=FIRST_COMPLETED)
                while not messages.empty():
                    tell(*messages.get())
                for future in sorted(done, key=lambda future: future.exception() is not None):  # the broken last
                    if (trial := future.result()) is not None:
                        yield trial
                if interrupted():
                    raise KeyboardInterrupt
        except BrokenProcessPool as error:
            raise WorkerDied("a worker process was killed (out of memory?); what was finished is kept") from error
        finally:
            stop.set()  # the workers end within an update
            pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _interrupts_ignored() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)


class _Worker:
    """What a worker process knows besides its work."""

    messages: "SimpleQueue[tuple[Key, int]]"
    stop: Event


def _prepare_worker(messages: "SimpleQueue[tuple[Key, int]]", stop: Event) -> None:
    threadpool_limits(1, "blas")
    _Worker.messages, _Worker.stop = messages, stop


def _work(study: Study, key: Key, provenance: Provenance) -> Trial | None:
    def tell(key: Key, updates: int) -> None:
        if _Worker.stop.is_set():
            raise Stopped
        _Worker.messages.put((key, updates))

    try:
        return run_trial(study, *key, provenance, observe=_now_and_then(key, tell))
    except Stopped:
        return None


def _now_and_then(key: Key, tell: Tell) -> Callable[[int], None]:
    last = time.monotonic()

    def observe(updates: int) -> None:
        nonlocal last
        if time.monotonic() - last >= SECONDS_BETWEEN_MESSAGES:
            last = time.monotonic()
            tell(key, updates)

    return observe
