"""The progress of a study or a search, added up from its events."""

import time
from collections import Counter

from memspan.execution.events import Advanced, Elsewhere, Event, Finished, Planned, Searching, WorkerLost
from memspan.execution.plan import duration
from memspan.study.study import Key


class Running:
    """The trials that run, and how many have ended: what the progress of a study and of searches share."""

    def __init__(self) -> None:
        self.running = dict[Key, int]()
        self.ended_here, self.lost = 0, 0
        self.started = time.monotonic()

    def add(self, event: Event) -> None:
        """Count an event."""
        if isinstance(event, Advanced):
            self.running |= event.updates
        elif isinstance(event, Finished):
            self.ended_here += len(event.trials)
            for trial in event.trials:
                self._end(trial.key, trial.outcome)
        elif isinstance(event, Elsewhere):
            for key in event.keys:
                self._end(key, "elsewhere")
        elif isinstance(event, WorkerLost):
            self.lost += 1
            for key in event.keys:
                self.running.pop(key, None)

    @property
    def elapsed(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self.started

    @property
    def under_way(self) -> str:
        """The lengths of the running trials, each with the most updates done at that length."""
        updates: dict[int, int] = {}
        for key, done in sorted(self.running.items()):
            updates[key.length] = max(done, updates.get(key.length, 0))
        return ", ".join(f"T={length} update {done}" for length, done in updates.items())

    def _end(self, key: Key, how: str) -> None:
        """Count a trial that has ended: its outcome, or `elsewhere`."""
        self.running.pop(key, None)


class Tally(Running):
    """The progress of a study, added up from its events.

    Work is measured in updates times length.
    """

    def __init__(self, planned: Planned) -> None:
        super().__init__()
        study = planned.study
        self.name, self.plan, self.label = planned.name, planned.plan, study.label
        each = study.repetitions * len(study.configurations)
        self.totals = dict.fromkeys(study.lengths, each)
        self.counts = {length: Counter(planned.done.get(length, {})) for length in study.lengths}
        self.cost = {k: configuration.updates for k, configuration in enumerate(study.configurations)}
        self.to_do = sum(self._cost(key) for group in planned.plan.groups for key in group)
        self.done_cost = 0.0

    @property
    def all(self) -> Counter[str]:
        """The number of trials by outcome, over all lengths."""
        return sum(self.counts.values(), Counter())

    @property
    def share(self) -> float:
        """The share of this run's work that is done."""
        under_way = sum(key.length * done for key, done in self.running.items())
        return min(1.0, (self.done_cost + under_way) / self.to_do) if self.to_do else 1.0

    @property
    def line(self) -> str:
        """The progress in one line."""
        counts = ", ".join(f"{count} {outcome}" for outcome, count in sorted(self.all.items()))
        trials = f"{self.all.total():,}/{sum(self.totals.values()):,} trials" + (f" ({counts})" if counts else "")
        parts = [f"{100 * self.share:.0f} %", trials, f"{duration(self.elapsed)}"]
        if 0 < self.share < 1:
            parts.append(f"{duration(self.elapsed * (1 - self.share) / self.share)} left")
        if self.ended_here:
            rate = self.ended_here / max(self.elapsed, 1e-9)
            parts.append(f"{rate:,.0f} trials/s" if rate >= 100 else f"{rate:.3g} trials/s")
        if self.lost:
            parts.append(f"workers lost: {self.lost}")
        return ", ".join(parts)

    def _end(self, key: Key, how: str) -> None:
        super()._end(key, how)
        self.counts[key.length][how] += 1
        self.done_cost += self._cost(key)

    def _cost(self, key: Key) -> float:
        """The work of a trial: the cost of an update is proportional to its length."""
        return float(key.length * self.cost[key.configuration])


class SearchTally(Running):
    """The progress of one or more searches, added up from their events."""

    def __init__(self, begun: Searching) -> None:
        super().__init__()
        self.add(begun)

    def add(self, event: Event) -> None:
        """Count an event."""
        if isinstance(event, Searching):
            # A comparison has others after its tuning.
            self.searches, self.names, self.paths = event.searches, event.names, event.paths
            self.to_do, self.ended_in_round = len(event.keys), 0
            # The paths go on before the next event, so what describes this round is read here.
            self.round = max(len(path.rounds) for path in self.paths) + bool(event.keys)
            self.before = sum(path.trainings for path in self.paths)
            self.found = sum(bool(path.ended) for path in self.paths)
        super().add(event)

    @property
    def share(self) -> float:
        """The share of this round's trainings that have ended."""
        return min(1.0, self.ended_in_round / self.to_do) if self.to_do else 1.0

    @property
    def line(self) -> str:
        """The progress in one line."""
        parts = [f"{self.before:,} trainings in the store"]
        if self.to_do:
            ended = f"{self.ended_in_round} of {self.to_do} trainings"
            parts = [f"round {self.round}: {ended}, {self.before:,} before"]
        if len(self.paths) > 1:
            parts.append(f"{self.found} of {len(self.paths)} spans found")
        parts.append(duration(self.elapsed))
        if self.lost:
            parts.append(f"workers lost: {self.lost}")
        return ", ".join(parts)

    def label(self, place: int) -> str:
        """The name of a search; empty if it is the only one."""
        return self.names[place] if len(self.names) > 1 else ""

    def state_of(self, place: int) -> tuple[str, str]:
        """The estimate of a search so far, and the lengths that it trains next."""
        path = self.paths[place]
        lengths = ", ".join(str(length) for length in dict.fromkeys(group.length for group in path.ask()))
        return ("–" if path.estimate is None else path.estimate.short), lengths or "found"

    def _end(self, key: Key, how: str) -> None:
        super()._end(key, how)
        self.ended_in_round += 1
