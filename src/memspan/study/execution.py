"""Running the trials of a study, here or in processes, and telling how far they are."""

import itertools
import multiprocessing
import os
import time
from collections.abc import Callable, Generator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.queues import SimpleQueue
from multiprocessing.synchronize import Event

from threadpoolctl import threadpool_limits

from memspan.errors import MemspanError
from memspan.interrupts import interrupts_ignored, noted_interrupts
from memspan.kernels import FusedEngine
from memspan.study.specification import Study
from memspan.study.trial import Provenance, Stopped, Trial, run_group

Key = tuple[int, int]
Group = tuple[int, list[int]]
"""A length, and repetitions that are trained side by side."""
Tell = Callable[[Key, int], None]
"""Called now and then with a running trial's key and the updates it has done."""

SECONDS_BETWEEN_MESSAGES = 0.2
TOGETHER = 5  # networks trained side by side: what an update costs besides arithmetic is then shared


class WorkerDied(MemspanError):
    """A worker process ended without a word: killed, or out of memory."""


def run_trials(
    study: Study, keys: list[Key], provenance: Provenance, workers: int, tell: Tell
) -> Generator[Trial, None, None]:
    """Run the trials of these keys and yield each when it is done.

    One BLAS thread each, whatever the number of workers: the bits of a product can depend on its threads.
    """
    run = _run_here if workers == 1 else _run_in_processes
    yield from run(study, _groups(keys), provenance, workers, tell)


def _groups(keys: list[Key]) -> list[Group]:
    """Repetitions of a length, a few together: more would leave workers without work at the end."""
    groups = []
    for length, same in itertools.groupby(keys, key=lambda key: key[0]):
        repetitions = [repetition for _, repetition in same]
        groups += [
            (length, repetitions[begin : begin + TOGETHER]) for begin in range(0, len(repetitions), TOGETHER)
        ]
    return groups


def available_cores() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _run_here(
    study: Study, groups: list[Group], provenance: Provenance, workers: int, tell: Tell
) -> Generator[Trial, None, None]:
    with threadpool_limits(1, "blas"):
        for length, repetitions in groups:
            yield from run_group(study, length, repetitions, provenance, _now_and_then(length, tell))


def _run_in_processes(
    study: Study, groups: list[Group], provenance: Provenance, workers: int, tell: Tell
) -> Generator[Trial, None, None]:
    network = study.new_network(groups[0][0], 0)
    FusedEngine(network.layout, network.dtype, study.new_task().new_loss())  # compiled here: then it is on disk
    context = multiprocessing.get_context("spawn")
    messages: SimpleQueue[tuple[Key, int]] = context.SimpleQueue()
    stop = context.Event()
    pool = ProcessPoolExecutor(
        min(workers, len(groups)), mp_context=context, initializer=_prepare_worker, initargs=(messages, stop)
    )
    with noted_interrupts(patient=True) as interrupted:  # raised inside `wait`, it would leave locks behind
        try:
            with interrupts_ignored():  # what the workers inherit: Ctrl-C reaches them too, but only we decide
                running: set[Future[list[Trial]]] = {
                    pool.submit(_work, study, *group, provenance) for group in groups
                }
            while running:
                done, running = wait(running, timeout=SECONDS_BETWEEN_MESSAGES, return_when=FIRST_COMPLETED)
                while not messages.empty():
                    tell(*messages.get())
                for future in sorted(done, key=lambda future: future.exception() is not None):  # the broken last
                    yield from future.result()
                if interrupted():
                    raise KeyboardInterrupt
        except BrokenProcessPool as error:
            raise WorkerDied("a worker process was killed (out of memory?); what was finished is kept") from error
        finally:
            stop.set()  # the workers end within an update
            pool.shutdown(wait=True, cancel_futures=True)


class _Worker:
    """What a worker process knows besides its work."""

    messages: "SimpleQueue[tuple[Key, int]]"
    stop: Event


def _prepare_worker(messages: "SimpleQueue[tuple[Key, int]]", stop: Event) -> None:
    threadpool_limits(1, "blas")
    _Worker.messages, _Worker.stop = messages, stop


def _work(study: Study, length: int, repetitions: list[int], provenance: Provenance) -> list[Trial]:
    def tell(key: Key, updates: int) -> None:
        if _Worker.stop.is_set():
            raise Stopped
        _Worker.messages.put((key, updates))

    try:
        return run_group(study, length, repetitions, provenance, _now_and_then(length, tell))
    except Stopped:
        return []


def _now_and_then(length: int, tell: Tell) -> Callable[[int, int], None]:
    last: dict[int, float] = {}

    def observe(repetition: int, updates: int) -> None:
        now = time.monotonic()
        if now - last.setdefault(repetition, now) >= SECONDS_BETWEEN_MESSAGES:
            last[repetition] = now
            tell((length, repetition), updates)

    return observe
