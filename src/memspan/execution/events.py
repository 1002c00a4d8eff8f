"""The events of a running study or search, which are passed to listeners."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from memspan.execution.plan import Plan
from memspan.span import SpanEstimate, SpanSearch
from memspan.study.search import Search
from memspan.study.study import Key, Study
from memspan.study.trial import Trial


@dataclass(frozen=True)
class Planned:
    """The plan is made. `done` counts the trials that are in the store already, by length and outcome.

    `copied` counts those that were copied just now, by the name of the study or search that had them.
    """

    study: Study
    name: str
    plan: Plan
    done: dict[int, dict[str, int]] = field(default_factory=dict)
    copied: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Searching:
    """A round of one or more searches begins. `keys` are the trials to run; none if every search had ended before.

    `names` are those in the store. `paths` have the estimates so far, and what each search asks for.
    """

    searches: tuple[Search, ...]
    names: tuple[str, ...]
    paths: tuple[SpanSearch, ...]
    keys: tuple[Key, ...]


@dataclass(frozen=True)
class Timing:
    """The engines for the models of these cells are timed, before anything is trained. It may take a minute."""

    cells: tuple[str, ...]


class Engine(NamedTuple):
    """The engine of the configurations that `label` describes, and why others cannot be used, if it is known."""

    label: str
    name: str
    reason: str


@dataclass(frozen=True)
class Engines:
    """The engines of the models of another library; the trials that follow are computed by them."""

    lines: tuple[Engine, ...]


@dataclass(frozen=True)
class Advanced:
    """Trials are running: the number of updates each has done. Some executors never report this."""

    updates: dict[Key, int]


@dataclass(frozen=True)
class Finished:
    """Trials have ended and are in the store."""

    trials: tuple[Trial, ...]


@dataclass(frozen=True)
class Elsewhere:
    """Another coordinator has stored trials that were still missing."""

    keys: tuple[Key, ...]


@dataclass(frozen=True)
class WorkerLost:
    """A worker was killed while it ran these trials. Each will be run again alone."""

    keys: tuple[Key, ...]
    reason: str


@dataclass(frozen=True)
class Waiting:
    """The store cannot be used at the moment, for the reason given. memspan tries again for at most `seconds`."""

    reason: str
    seconds: float


@dataclass(frozen=True)
class Stopping:
    """The user has interrupted the study; running jobs are being stopped."""


@dataclass(frozen=True)
class SpanFound:
    """The span of a search and why it ended, or the span of a study. It is None if no training counts."""

    name: str
    estimate: SpanEstimate | None
    ended: str = ""


@dataclass(frozen=True)
class Ended:
    """The run has ended. Either it is complete, or `reason` says why not.

    A complete run of searches has the span of each, and that of a study with one configuration has its span.
    """

    complete: bool
    reason: str = ""
    spans: tuple[SpanFound, ...] = ()


Event = (
    Planned
    | Searching
    | Timing
    | Engines
    | Advanced
    | Finished
    | Elsewhere
    | WorkerLost
    | Waiting
    | Stopping
    | Ended
)
Listener = Callable[[Event], None]
