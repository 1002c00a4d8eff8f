"""The loop that hands out orders, keeps what comes back, and lives through the deaths of workers."""

import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, CancelledError, Future, wait
from itertools import count
from typing import Any

from memspan.errors import MemspanError
from memspan.execution.events import Advanced, Elsewhere, Finished, Listener, Stopping, WorkerLost
from memspan.execution.jobs import Order, work
from memspan.execution.teams import SECONDS_BETWEEN_LOOKS, ExecutorFailed, Team, deaths
from memspan.runtime.interrupts import Interrupts
from memspan.study.study import Key, Study
from memspan.study.trial import Stopped, Trial

MOST_DEATHS = 3
MOST_BLAMED = 3  # as long as no trial has ended
SECONDS_TO_STOP = 1.5
AHEAD = 2
"""Orders handed out for each that can be worked on: nobody waits for the next."""


class Coordinator:
    """Runs the trials of a study on a team.

    Orders are handed out a few more than can be worked on, and a future is dropped as soon as its trials are kept.
    When a worker dies, its order is split, and each of its trials tried again alone. A trial that is alone when
    its worker dies is to blame; after three times it has failed, and the others go on.

    Parameters
    ----------
    study : Study
    team : Team
    keep : callable
        Called with trials that have ended; when it returns, they are safe.
    missing : callable
        Called with keys before they are handed out; returns those that nobody else has done meanwhile.
    tell : Listener
    interrupts : Interrupts
        Looked at a few times in a second.
    """

    def __init__(
        self,
        study: Study,
        team: Team,
        keep: Callable[[Sequence[Trial]], None],
        missing: Callable[[Sequence[Key]], Sequence[Key]],
        tell: Listener,
        interrupts: Interrupts,
    ) -> None:
        self.study, self.team, self.keep, self.missing = study, team, keep, missing
        self.tell, self.interrupts = tell, interrupts
        self.waiting: deque[Order] = deque()
        self.suspects: deque[Order] = deque()
        self.running: dict[Future[Any], Order] = {}
        self.here: Order | None = None  # that is worked on in this process, while it is handed out
        self.failure: Exception | None = None  # of somebody who listened meanwhile
        self.deaths: Counter[Key] = Counter()
        self.blamed: list[Trial] = []  # not kept before it is known that the workers can work at all
        self.proven = team.exact
        self._tickets = count(1)
        team.look = self._look

    def run(self, groups: Iterable[Sequence[Key]]) -> None:
        """Run the trials of these groups; each is of one configuration and length.

        Raises
        ------
        KeyboardInterrupt
            After an interrupt; what had ended is kept.
        ExecutorFailed, OtherVersion
            When nobody is left, or able, to work.
        """
        self.waiting.extend(self._order(keys) for keys in groups)
        try:
            while self.waiting or self.suspects or self.running:
                if self.interrupts:
                    raise KeyboardInterrupt
                self._step()
            self._keep_blamed()
        except KeyboardInterrupt:  # ours, or of a trial that ran in this process and heard the signal itself
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

    def _order(self, keys: Sequence[Key]) -> Order:
        configuration, length, _ = keys[0]
        study = self.study.configurations[configuration]
        repetitions = tuple(key.repetition for key in keys)
        return Order(next(self._tickets), configuration, study, length, repetitions)

    def _hand_out(self) -> None:
        """Fill the window; a suspect has it for itself, unless whose fault a death is can be told anyway."""
        while not self.interrupts and (order := self._next()) is not None:
            try:
                future = self._submit(order)
            except BrokenExecutor:
                self._put_back(order)
                self._renew()
                continue
            self.running[future] = order
            if future.done():
                return  # it was worked on here: there may be much to tell before the next

    def _submit(self, order: Order) -> Future[Any]:
        self.here = order if self.team.here else None
        try:
            return self.team.submit(work, order)
        finally:
            self.here = None

    def _look(self) -> None:
        """Called between two updates of a trial in this process."""
        if self.interrupts:
            raise Stopped
        try:
            self._report()
        except Exception as error:  # whoever listens failed, and not the trial
            self.failure = error
            raise Stopped from error

    def _next(self) -> Order | None:
        """The next order, without the trials that somebody else has done."""
        while (order := self._first()) is not None:
            keys = _keys(order)
            missing = self.missing(keys)
            if len(missing) == len(keys):
                return order
            self.tell(Elsewhere(tuple(key for key in keys if key not in missing)))
            if missing:
                return self._order(missing)
        return None

    def _first(self) -> Order | None:
        room = AHEAD * self.team.slots - len(self.running)
        if self.team.exact:
            source = self.suspects or self.waiting
            return source.popleft() if source and room > 0 else None
        if self.suspects:
            return self.suspects.popleft() if not self.running else None
        return self.waiting.popleft() if self.waiting and room > 0 else None

    def _take(self, done: Iterable[Future[Any]]) -> None:
        """Keep what has ended well, all in one transaction, and see to the rest."""
        alone = len(self.running) == 1
        ended = [(future, self.running.pop(future)) for future in done]
        trials: list[Trial] = []
        broken: list[tuple[Order, BaseException]] = []
        for future, order in ended:
            error = CancelledError() if future.cancelled() else future.exception()
            if error is None:
                found = future.result()
                trials += [self._counted(trial) for trial in found]
                if not found:  # it was stopped, and is still to be done
                    self._put_back(order)
            else:
                broken.append((order, error))
        self._keep(trials)
        if trials:
            self.proven = True
            self._keep_blamed()
        for order, error in broken:
            self._lost(order, error, alone or self.team.exact)
        died = any(isinstance(error, BrokenExecutor) for _, error in broken)
        if died and not self.team.exact and not self.interrupts:
            self._renew()

    def _keep(self, trials: Sequence[Trial]) -> None:
        if trials:
            self.keep(trials)
            self.tell(Finished(tuple(trials)))

    def _counted(self, trial: Trial) -> Trial:
        before = self.deaths[trial.key]
        return trial.model_copy(update={"attempts": 1 + before}) if before else trial

    def _lost(self, order: Order, error: BaseException, to_blame: bool) -> None:
        """A future without a result."""
        dead = deaths(error)
        if not dead:
            if self.interrupts:
                return
            self.team.check()  # it may know better why
            raise _fatal(error) from error
        keys = _keys(order)
        if len(keys) > 1:
            self.suspects.extend(self._order([key]) for key in keys)
        elif not to_blame:
            self.suspects.append(order)
        else:
            self.deaths[keys[0]] += dead
            if self.deaths[keys[0]] >= MOST_DEATHS:
                self._blame(self._failed(keys[0]), error)
                return
            self.suspects.append(order)
        self.tell(WorkerLost(tuple(keys), str(error) or type(error).__name__))

    def _blame(self, failed: Trial, error: BaseException) -> None:
        """Of workers that have never finished anything it is not known whether they can."""
        self.blamed.append(failed)
        if self.proven:
            self._keep_blamed()
        elif len(self.blamed) >= MOST_BLAMED:
            raise ExecutorFailed(
                f"workers die, whatever they are given, and nothing was finished ({error}): can they work at all?"
            )

    def _keep_blamed(self) -> None:
        self._keep(self.blamed)
        self.blamed = []

    def _failed(self, key: Key) -> Trial:
        attempts = self.deaths[key]
        return Trial(**key._asdict(), status="failed", reason=f"it killed {attempts} workers", attempts=attempts)

    def _put_back(self, order: Order) -> None:
        (self.suspects if len(order.repetitions) == 1 else self.waiting).appendleft(order)

    def _renew(self) -> None:
        """Of an executor that breaks as a whole, all orders end; none of them is to blame for certain."""
        if self.running:
            done, _ = wait(self.running, timeout=SECONDS_TO_STOP)
            for future in [*self.running]:
                order = self.running.pop(future)
                if future in done and not future.cancelled() and future.exception() is None:
                    self._keep([self._counted(trial) for trial in future.result()])
                else:
                    self._lost(order, BrokenExecutor("the executor broke"), to_blame=False)
        self.team.renew()

    def _report(self) -> None:
        orders = [self.here] if self.here else self.running.values()
        tickets = {order.ticket: order for order in orders}
        moments = {
            key: done
            for ticket, updates in self.team.progress()
            if ticket in tickets
            for key, done in zip(_keys(tickets[ticket]), updates, strict=False)
        }
        if moments:
            self.tell(Advanced(moments))

    def _end(self) -> None:
        """Let orders end, or drop them, and keep what comes; a second interrupt does not wait."""
        self.tell(Stopping())
        self.team.stop()
        for future in self.running:
            future.cancel()
        until = time.monotonic() + SECONDS_TO_STOP
        while self.running and self.interrupts.count < 2 and time.monotonic() < until:
            done, _ = wait(self.running, timeout=SECONDS_BETWEEN_LOOKS, return_when=FIRST_COMPLETED)
            self._take(done)


def _keys(order: Order) -> list[Key]:
    return [Key(order.configuration, order.length, repetition) for repetition in order.repetitions]


def _fatal(error: BaseException) -> BaseException:
    """What no other worker would do better."""
    if isinstance(error, MemspanError):
        return error
    what = (
        "its futures were cancelled" if isinstance(error, CancelledError) else f"{type(error).__name__}: {error}"
    )
    return ExecutorFailed(f"the executor cannot work on a study ({what}); what was finished is kept")


def orders_of(keys: Iterable[Key], width: Callable[[Key], int]) -> Iterator[list[Key]]:
    """Repetitions of a configuration and length together, as many as `width` says of the first."""
    group: list[Key] = []
    for key in keys:
        if group and (key[:2] != group[0][:2] or len(group) >= width(group[0])):
            yield group
            group = []
        group.append(key)
    if group:
        yield group
