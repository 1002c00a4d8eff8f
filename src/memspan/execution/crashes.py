"""Trials suspected of killing their worker: each is run again alone, and fails after three killed workers."""

from collections import Counter, deque
from collections.abc import Callable, Sequence

from memspan.execution.jobs import Job
from memspan.execution.teams import ExecutorFailed
from memspan.study.study import Key
from memspan.study.trial import Trial
from memspan.training.history import Outcome

MOST_DEATHS = 3
"""Killed workers after which a trial has failed."""
MOST_GIVEN_UP = 3
"""Failed trials after which the study ends, if no worker has finished a trial."""


class Quarantine:
    """Jobs of one trial each, suspected of killing their worker.

    If a worker is killed while it runs a single trial, that trial counts as the cause. After `MOST_DEATHS` killed
    workers it has failed. Before any worker has finished a trial, the cause may be the workers themselves. Then
    failed trials are held back, and after `MOST_GIVEN_UP` of them the study ends.

    Parameters
    ----------
    keep : callable
        Called with failed trials, to store them.
    proven : bool
        Whether workers are known to be able to finish a trial.
    """

    def __init__(self, keep: Callable[[Sequence[Trial]], None], *, proven: bool) -> None:
        self.jobs: deque[Job] = deque()
        self._keep, self._proven = keep, proven
        self._deaths: Counter[Key] = Counter()
        self._held_back: list[Trial] = []

    def attempts(self, key: Key) -> int:
        """Return how many times a trial was started, including the last time."""
        return 1 + self._deaths[key]

    def count(self, job: Job, deaths: int, reason: BaseException) -> bool:
        """Count workers killed while they ran this trial alone; return whether to run it again.

        Raises
        ------
        ExecutorFailed
            If `MOST_GIVEN_UP` trials have failed and no worker has finished a trial.
        """
        (key,) = job.keys
        self._deaths[key] += deaths
        if self._deaths[key] < MOST_DEATHS:
            self.jobs.append(job)
            return True
        attempts = self._deaths[key]
        cause = f"it killed {attempts} workers"
        failed = Trial(**key._asdict(), outcome=Outcome.FAILED, reason=cause, attempts=attempts)
        self._held_back.append(failed)
        if self._proven:
            self.release()
        elif len(self._held_back) >= MOST_GIVEN_UP:
            raise ExecutorFailed(
                f"Every worker ended before it finished a trial ({reason}). Check that a worker can start, import "
                "memspan and allocate enough memory."
            )
        return False

    def prove(self) -> None:
        """Record that a worker has finished a trial, and store the failed trials that were held back."""
        self._proven = True
        self.release()

    def release(self) -> None:
        """Store the failed trials that were held back."""
        if self._held_back:
            failed, self._held_back = self._held_back, []
            self._keep(failed)
