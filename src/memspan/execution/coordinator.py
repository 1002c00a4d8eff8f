"""The loop that assigns jobs to workers, stores their results, and recovers when a worker is killed."""

import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, CancelledError, Future, wait
from itertools import count
from typing import Any

from memspan.errors import MemspanError
from memspan.execution.crashes import Quarantine
from memspan.execution.events import Advanced, Elsewhere, Finished, Listener, Stopping, WorkerLost
from memspan.execution.jobs import Assignment, Job, work
from memspan.execution.teams import SECONDS_BETWEEN_LOOKS, ExecutorFailed, Team, deaths
from memspan.runtime.interrupts import Interrupts
from memspan.study.group import Stopped
from memspan.study.study import Key
from memspan.study.trial import Trial

SECONDS_TO_STOP = 1.5
"""Seconds that running jobs get to end after an interrupt."""
AHEAD = 2
"""Submitted jobs for each slot of the team, so that no worker waits for its next job."""


class Coordinator:
    """Runs trials on a team of workers.

    It submits a few more jobs than the team has slots, and drops a future as soon as its trials are stored. If a
    worker is killed, the coordinator splits its job and runs each trial again alone: see `Quarantine`.

    Parameters
    ----------
    assignment : Assignment
    team : Team
    keep : callable
        Called with trials that have ended. They are stored when it returns.
    missing : callable
        Called with keys before they are submitted. Returns those that no other coordinator has stored meanwhile.
    tell : Listener
        Called with each event.
    interrupts : Interrupts
        Checked a few times per second.
    """

    def __init__(
        self,
        assignment: Assignment,
        team: Team,
        keep: Callable[[Sequence[Trial]], None],
        missing: Callable[[Sequence[Key]], Sequence[Key]],
        tell: Listener,
        interrupts: Interrupts,
    ) -> None:
        self.assignment, self.team, self.keep, self.missing = assignment, team, keep, missing
        self.tell, self.interrupts = tell, interrupts
        self.waiting: deque[Job] = deque()
        self.quarantine = Quarantine(self._keep, proven=team.exact)
        self.running: dict[Future[Any], Job] = {}
        self.here: Job | None = None  # the job that this process runs inside `submit`
        self.failure: Exception | None = None  # an error of a listener, to be raised after `submit`
        self._tickets = count(1)
        team.look = self._look

    def run(self, groups: Iterable[Sequence[Key]]) -> None:
        """Run the trials of these groups. All trials of a group have the same configuration and length.

        Raises
        ------
        KeyboardInterrupt
            After an interrupt. The trials that have ended are stored.
        ExecutorFailed, OtherVersion
            If no worker is left, or no worker can run the trials.
        """
        self.waiting.extend(self._job(keys) for keys in groups)
        try:
            while self.waiting or self.quarantine.jobs or self.running:
                if self.interrupts:
                    raise KeyboardInterrupt
                self._step()
            self.quarantine.release()
        except KeyboardInterrupt:  # raised above, or by a trial in this process that received the signal
            self._end()
            raise

    def _step(self) -> None:
        self._hand_out()
        done, _ = wait(self.running, timeout=SECONDS_BETWEEN_LOOKS, return_when=FIRST_COMPLETED)
        self._take(done)
        if self.failure is not None:
            raise self.failure
        self._report()
        self.team.check()

    def _job(self, keys: Sequence[Key]) -> Job:
        return self.assignment.job(next(self._tickets), keys)

    def _hand_out(self) -> None:
        """Submit jobs while there is room. Run suspects alone unless crashes can be attributed.

        Suspects are the trials in quarantine, which are suspected of killing their worker.
        """
        while not self.interrupts and (job := self._next()) is not None:
            try:
                future = self._submit(job)
            except BrokenExecutor:
                self._put_back(job)
                self._renew()
                continue
            self.running[future] = job
            if future.done():
                return  # this process ran the job: store and report its trials before the next one

    def _submit(self, job: Job) -> Future[Any]:
        self.here = job if self.team.here else None
        try:
            return self.team.submit(work, job)
        finally:
            self.here = None

    def _look(self) -> None:
        """Check for interrupts and report progress; in this process, called between two updates of a trial."""
        if self.interrupts and self.team.here:
            raise Stopped
        try:
            self._report()
        except Exception as error:  # the listener failed, not the trial
            self.failure = error
            raise Stopped from error

    def _next(self) -> Job | None:
        """Return the next job, without the trials that another coordinator has stored."""
        while (job := self._first()) is not None:
            keys = job.keys
            missing = self.missing(keys)
            if len(missing) == len(keys):
                return job
            self.tell(Elsewhere(tuple(key for key in keys if key not in missing)))
            if missing:
                return self._job(missing)
        return None

    def _first(self) -> Job | None:
        """Remove the next job from its queue and return it; None if there is no room or no job."""
        quarantined, room = self.quarantine.jobs, AHEAD * self.team.slots - len(self.running)
        if self.team.exact:
            source = quarantined or self.waiting
            return source.popleft() if source and room > 0 else None
        if quarantined:
            return quarantined.popleft() if not self.running else None
        return self.waiting.popleft() if self.waiting and room > 0 else None

    def _take(self, done: Iterable[Future[Any]]) -> None:
        """Store the results of all ended jobs in one transaction, then handle the jobs that failed."""
        alone = len(self.running) == 1
        ended = [(future, self.running.pop(future)) for future in done]
        trials: list[Trial] = []
        broken: list[tuple[Job, BaseException]] = []
        for future, job in ended:
            error = CancelledError() if future.cancelled() else future.exception()
            if error is None:
                found = future.result()
                trials += [self._counted(trial) for trial in found]
                if not found:  # the job was stopped before it ended
                    self._put_back(job)
            else:
                broken.append((job, error))
        self._keep(trials)
        if trials:
            self.quarantine.prove()
        for job, error in broken:
            self._lost(job, error, alone or self.team.exact)
        died = any(isinstance(error, BrokenExecutor) for _, error in broken)
        if died and not self.team.exact and not self.interrupts:
            self._renew()

    def _keep(self, trials: Sequence[Trial]) -> None:
        if trials:
            self.keep(trials)
            self.tell(Finished(tuple(trials)))

    def _counted(self, trial: Trial) -> Trial:
        attempts = self.quarantine.attempts(trial.key)
        return trial.model_copy(update={"attempts": attempts}) if attempts > 1 else trial

    def _lost(self, job: Job, error: BaseException, alone: bool) -> None:
        """Handle a job whose future has no result; `alone` if no other job can be the cause."""
        dead = deaths(error)
        if not dead:
            if self.interrupts:
                return
            self.team.check()  # raises a more specific error if the team knows the cause
            raise _fatal(error) from error
        if len(job.keys) > 1:
            self.quarantine.jobs.extend(self._job([key]) for key in job.keys)
        elif not alone:
            self.quarantine.jobs.append(job)
        elif not self.quarantine.count(job, dead, error):
            return
        self.tell(WorkerLost(tuple(job.keys), str(error) or type(error).__name__))

    def _put_back(self, job: Job) -> None:
        (self.quarantine.jobs if len(job.repetitions) == 1 else self.waiting).appendleft(job)

    def _renew(self) -> None:
        """Replace an executor that broke. All its jobs end, and none of them is known to be the cause."""
        if self.running:
            done, _ = wait(self.running, timeout=SECONDS_TO_STOP)
            for future in [*self.running]:
                job = self.running.pop(future)
                if future in done and not future.cancelled() and future.exception() is None:
                    self._keep([self._counted(trial) for trial in future.result()])
                else:
                    self._lost(job, BrokenExecutor("the executor broke"), alone=False)
        self.team.renew()

    def _report(self) -> None:
        jobs = [self.here] if self.here else self.running.values()
        tickets = {job.ticket: job for job in jobs}
        moments = {
            key: done
            for ticket, updates in self.team.progress()
            if ticket in tickets
            for key, done in zip(tickets[ticket].keys, updates, strict=False)
        }
        if moments:
            self.tell(Advanced(moments))

    def _end(self) -> None:
        """Stop the jobs and store the results that still arrive. A second interrupt ends the wait."""
        self.tell(Stopping())
        self.team.stop()
        for future in self.running:
            future.cancel()
        until = time.monotonic() + SECONDS_TO_STOP
        while self.running and self.interrupts.count < 2 and time.monotonic() < until:
            done, _ = wait(self.running, timeout=SECONDS_BETWEEN_LOOKS, return_when=FIRST_COMPLETED)
            self._take(done)


def _fatal(error: BaseException) -> BaseException:
    """Return the error to raise for a failure that every other worker would repeat."""
    if isinstance(error, MemspanError):
        return error
    what = "it cancelled its futures" if isinstance(error, CancelledError) else f"{type(error).__name__}: {error}"
    return ExecutorFailed(f"The executor cannot run a study ({what}). All finished trials are kept.")
