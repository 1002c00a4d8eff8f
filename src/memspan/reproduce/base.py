"""What a reproduction is: a small specification, what is measured, and a verdict on each published number.

Whether two numbers agree is decided by a rule that is written beside them. `Reproduction.changed` lists the rules
that were changed after results had been seen.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import BrokenExecutor
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self, TypeVar

from memspan.execution import run_study
from memspan.execution.local import Local
from memspan.execution.teams import Alone, ExecutorFailed
from memspan.runtime.interrupts import noted_interrupts
from memspan.runtime.progress import progress as show_progress
from memspan.study import Study, StudyResult

Argument = TypeVar("Argument")
Result = TypeVar("Result")


class Verdict(StrEnum):
    """Whether a number agrees with the published one."""

    AGREES = "agrees"
    DIFFERS = "differs"
    UNDECIDED = "cannot be told"
    """The data allow both."""
    NOT_COMPARED = "–"
    """Nothing was published that it could agree with."""

    @classmethod
    def of(cls, agrees: bool) -> Self:
        """Agrees or differs."""
        return cls("agrees" if agrees else "differs")

    @classmethod
    def within(cls, low: float, high: float, least: float, most: float) -> Self:
        """Agrees if the interval [low, high] lies within [least, most], differs if it lies outside."""
        if least <= low and high <= most:
            return cls("agrees")
        return cls("differs" if high < least or most < low else "cannot be told")


@dataclass(frozen=True)
class Finding:
    """One published number, or claim, and what was found here.

    Attributes
    ----------
    quantity : str
        What was measured.
    published, ours : str
        The two numbers.
    rule : str
        When they agree.
    verdict : Verdict
        Whether they do.
    """

    quantity: str
    published: str
    ours: str
    rule: str
    verdict: Verdict


@dataclass(frozen=True)
class Options:
    """How to run a reproduction: in full, in how many processes, from which seed, and how to show progress."""

    full: bool = False
    workers: int = 1
    seed: int = 0
    progress: str = "auto"


@dataclass(frozen=True)
class Reproduction:
    """Published numbers, and how to get them.

    What is measured is kept apart from what is concluded: `measure` takes minutes, and `judge` can be applied to
    its result again.

    Attributes
    ----------
    name, title, source : str
    setting : str
        What is run.
    differences : tuple of str
        Where this is not what the paper did.
    measure : callable
        Takes `Options`; returns numbers as lists and dictionaries that JSON can hold.
    judge : callable
        Takes these numbers; returns the findings.
    shortened : str
        What the short form leaves out; empty if it leaves out nothing.
    tried : tuple of str
        What else was tried, and how it came out.
    changed : tuple of str
        Which rules were changed after results had been seen, and how.
    against : str
        What ours is compared with: a "paper", or a "theory".
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


def trained(study: Study, options: Options) -> StudyResult:
    """The result of a study, from the seed of the options."""
    return run_study(study.with_(seed=options.seed), workers=options.workers, progress=options.progress)


def run_each(
    function: Callable[[Argument], Result], arguments: Sequence[Argument], options: Options, title: str
) -> list[Result]:
    """Call an importable function with each of the arguments, here or in processes, and show how many are done.

    Results are in the order of the arguments, and do not depend on the number of processes.

    Raises
    ------
    ExecutorFailed
        When a process was killed.
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
                raise ExecutorFailed("a worker process was killed (out of memory?); nothing is kept") from error
    return [found[number] for number in range(len(arguments))]
