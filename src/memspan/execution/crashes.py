"""What is done about trials whose worker died: each is tried again alone, and given up after a few deaths."""

from collections import Counter, deque
from collections.abc import Callable, Sequence

from memspan.execution.jobs import Job
from memspan.execution.teams import ExecutorFailed
from memspan.study.study import Key
from memspan.study.trial import Trial
from memspan.training.history import Outcome

MOST_DEATHS = 3
MOST_GIVEN_UP = 3  # as long as no trial has ended


class Quarantine:
    """Jobs of one trial each, whose worker has died before.

    A trial that was alone with its worker when that died is counted as its cause. After `MOST_DEATHS` it has
    failed. As long as no worker has finished anything it may be the workers that cannot work at all: then failed
    trials are held back, and after `MOST_GIVEN_UP` of them the study ends.

    Parameters
    ----------
    keep : callable
        Called with trials that have failed, to be stored.
    proven : bool
        Whether workers are known to work.
    """

    def __init__(self, keep: Callable[[Sequence[Trial]], None], *, proven: bool) -> None:
        self.jobs: deque[Job] = deque()
        self._keep, self._proven = keep, proven
        self._deaths: Counter[Key] = Counter()
        self._held_back: list[Trial] = []

    def attempts(self, key: Key) -> int:
        """How often a trial was tried, the last time included."""
        return 1 + self._deaths[key]

    def count(self, job: Job, deaths: int, reason: BaseException) -> bool:
        """Count deaths of workers that had this trial alone; return whether it is to be tried again.

        Raises
        ------
        ExecutorFailed
            When no worker has ever finished anything.
        """
        (key,) = job.keys
        self._deaths[key] += deaths
        if self._deaths[key] < MOST_DEATHS:
            self.jobs.append(job)
            return True
        attempts = self._deaths[key]
        reasoned = f"it killed {attempts} workers"
        failed = Trial(**key._asdict(), outcome=Outcome.FAILED, reason=reasoned, attempts=attempts)
        self._held_back.append(failed)
        if self._proven:
            self.release()
        elif len(self._held_back) >= MOST_GIVEN_UP:
            raise ExecutorFailed(
                f"workers die, whatever they are given, and nothing was finished ({reason}): can they work at all?"
            )
        return False

    def prove(self) -> None:
        """A worker has finished something."""
        self._proven = True
        self.release()

    def release(self) -> None:
        """Store the failed trials that were held back."""
        if self._held_back:
            failed, self._held_back = self._held_back, []
            self._keep(failed)
