"""The parts of a reproduction: its specification, its measurements, and a verdict on each published number.

A rule, which the page shows beside the two numbers, decides whether they agree. `Reproduction.changed` lists what
was changed after results had been seen.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import BrokenExecutor
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Self, TypeVar

from memspan.execution import run_study
from memspan.execution.local import Local
from memspan.execution.teams import Alone, ExecutorFailed
from memspan.figures.style import Record
from memspan.runtime.interrupts import noted_interrupts
from memspan.runtime.progress import progress as show_progress
from memspan.study import Study, StudyResult

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Argument = TypeVar("Argument")
Result = TypeVar("Result")


class Verdict(StrEnum):
    """The result of comparing a measured number with the published one."""

    AGREES = "agrees"
    DIFFERS = "differs"
    UNDECIDED = "cannot be told"
    """The measurements are compatible with both agreement and disagreement."""
    NOT_COMPARED = "–"
    """There is no published number to compare with."""

    @classmethod
    def of(cls, agrees: bool) -> Self:
        """Return `AGREES` if `agrees` is true, else `DIFFERS`."""
        return cls("agrees" if agrees else "differs")

    @classmethod
    def within(cls, low: float, high: float, least: float, most: float) -> Self:
        """Compare the interval [low, high] with the range [least, most].

        The verdict is `AGREES` if the interval lies inside the range, `DIFFERS` if they do not overlap, and
        `UNDECIDED` if the interval lies partly outside.
        """
        if least <= low and high <= most:
            return cls("agrees")
        return cls("differs" if high < least or most < low else "cannot be told")


@dataclass(frozen=True)
class Finding:
    """The comparison of one published number or claim with the measurement, one row of a page's table.

    Attributes
    ----------
    quantity : str
        The name of the measured quantity.
    published, ours : str
        The published and the measured value, as the table shows them.
    rule : str
        The condition for agreement. The table shows it below "agrees if".
    verdict : Verdict
        The outcome.
    """

    quantity: str
    published: str
    ours: str
    rule: str
    verdict: Verdict


@dataclass(frozen=True)
class Options:
    """The options of a run.

    Attributes
    ----------
    full : bool
        Whether to run the whole experiment rather than the shortened one.
    workers : int
        The number of processes.
    seed : int
        The seed of all random numbers, at least 0.
    progress : str
        The display of progress: "auto", "bar", "notebook", "lines" or "none".
    """

    full: bool = False
    workers: int = 1
    seed: int = 0
    progress: str = "auto"


@dataclass(frozen=True)
class Picture:
    """The picture of a reproduction.

    Attributes
    ----------
    record : callable
        Takes the measurements and returns the data of the picture.
    draw : callable
        Takes these data and returns the figure.
    """

    record: Callable[[Any], Record]
    draw: Callable[[Any], "Figure"]


@dataclass(frozen=True)
class Reproduction:
    """A published experiment: how memspan repeats it, and how it judges the results.

    Measuring and judging are separate functions. `measure` takes minutes or more; `judge` can be run again on the
    stored measurements.

    Attributes
    ----------
    name, title, source : str
        The name on the command line, the title of the page, and the publication.
    setting : str
        The models, the training and the number of runs.
    differences : tuple of str
        The known differences from the published experiment; the limits, where a rule takes its place.
    measure : callable
        Takes `Options` and returns the measurements, as lists and dictionaries that JSON can represent.
    judge : callable
        Takes the measurements and returns the findings.
    shortened : str
        How the default run is shorter than the full one; empty if both are the same.
    tried : tuple of str
        Other settings that were tried, with their results.
    changed : tuple of str
        The settings and rules that were changed after results had been seen, before and after.
    against : str
        The source of the reference values: "paper", "theory", or "rule" for a rule that was written beforehand.
    picture : Picture, optional
    extra : callable, optional
        Takes the measurements and returns a table in Markdown, for numbers that nothing is compared with.
    """

    name: str
    title: str
    source: str
    setting: str
    differences: tuple[str, ...]
    measure: Callable[[Options], Any]
    judge: Callable[[Any], list[Finding]]
    shortened: str = ""
    tried: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    against: str = "paper"
    picture: Picture | None = None
    extra: Callable[[Any], str] | None = None


def trained(study: Study, options: Options) -> StudyResult:
    """Run a study with the seed, workers and progress display of `options`."""
    return run_study(study.with_(seed=options.seed), workers=options.workers, progress=options.progress)


def run_each(
    function: Callable[[Argument], Result], arguments: Sequence[Argument], options: Options, title: str
) -> list[Result]:
    """Call a function with each argument, in this process or in worker processes, and show the progress.

    The function must be importable, so that workers can load it. The results have the order of the arguments.

    Raises
    ------
    ExecutorFailed
        If a worker process was killed.
    """
    here, found = options.workers == 1, dict[int, Result]()
    with (
        show_progress(len(arguments), title, "runs", kind=options.progress) as report,
        noted_interrupts(raised_from=1 if here else 0, terminations=True) as interrupts,
        Alone() if here else Local(min(options.workers, len(arguments))) as team,
    ):
        team.look = lambda: report(len(found), f"{len(found)} of {len(arguments)} runs")
        for number, future in team.call_each(function, [(argument,) for argument in arguments], interrupts):
            try:
                found[number] = future.result()
            except BrokenExecutor as error:
                raise ExecutorFailed(
                    "A worker process was killed, perhaps for lack of memory. No results are kept."
                ) from error
    return [found[number] for number in range(len(arguments))]
