"""What happens while a study runs, for whoever listens."""

from collections.abc import Callable
from dataclasses import dataclass, field

from memspan.execution.plan import Plan
from memspan.study.study import Key, Study
from memspan.study.trial import Trial


@dataclass(frozen=True)
class Planned:
    """It is known what there is to do; `done` counts, by length and outcome, what was in the store already."""

    study: Study
    name: str
    plan: Plan
    done: dict[int, dict[str, int]] = field(default_factory=dict)


@dataclass(frozen=True)
class Advanced:
    """Trials are under way: the updates that each has done. Some executors never say."""

    updates: dict[Key, int]


@dataclass(frozen=True)
class Finished:
    """Trials have ended, and are in the store."""

    trials: tuple[Trial, ...]


@dataclass(frozen=True)
class Elsewhere:
    """Trials that were still to be done have been stored by somebody else."""

    keys: tuple[Key, ...]


@dataclass(frozen=True)
class WorkerLost:
    """A worker died with these trials in hand; they are tried again, each alone."""

    keys: tuple[Key, ...]
    reason: str


@dataclass(frozen=True)
class Waiting:
    """The store cannot be used just now, for that reason; it is waited for so many seconds at most."""

    reason: str
    seconds: float


@dataclass(frozen=True)
class Stopping:
    """Somebody asked for an end."""


@dataclass(frozen=True)
class Ended:
    """It is over: all is done, or `reason` says why not."""

    complete: bool
    reason: str = ""


Event = Planned | Advanced | Finished | Elsewhere | WorkerLost | Waiting | Stopping | Ended
Listener = Callable[[Event], None]
