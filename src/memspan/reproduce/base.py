"""What a reproduction is: a small specification, published numbers, ours, and a verdict on each.

Whether two numbers agree is decided by a rule that is written beside them and fixed before anything is run.
"""

import platform
from collections.abc import Callable, Sequence
from concurrent.futures import BrokenExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from rich.table import Table

from memspan._version import __version__
from memspan.execution import run_study
from memspan.execution.local import Local
from memspan.execution.teams import Alone, ExecutorFailed
from memspan.runtime.interrupts import noted_interrupts
from memspan.runtime.progress import progress as show_progress
from memspan.study import Study, StudyResult

MOST = 2.0  # the factor beyond which nothing agrees
Argument = TypeVar("Argument")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Finding:
    """One published number, or claim, and what became of it here.

    Attributes
    ----------
    quantity : str
        What was measured.
    paper, ours : str
        The two numbers.
    rule : str
        What agrees.
    agrees : bool or None
        Whether it does; None where nothing was published that it could agree with.
    """

    quantity: str
    paper: str
    ours: str
    rule: str
    agrees: bool | None

    @property
    def verdict(self) -> str:
        """In one word."""
        return "–" if self.agrees is None else "agrees" if self.agrees else "differs"


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

    Attributes
    ----------
    name, title, source : str
    setting : str
        What is run.
    differences : tuple of str
        Where this is not what the paper did.
    shortened : str
        What the short form leaves out; empty if it leaves out nothing.
    run : callable
        Gives the findings.
    """

    name: str
    title: str
    source: str
    setting: str
    differences: tuple[str, ...]
    shortened: str
    run: Callable[[Options], list[Finding]]


@dataclass(frozen=True)
class Page:
    """What came of a reproduction, on one page."""

    of: Reproduction
    options: Options
    findings: tuple[Finding, ...]
    seconds: float

    columns = ("quantity", "paper", "ours", "agrees if", "verdict")

    def rows(self) -> list[tuple[str, ...]]:
        """One for each finding."""
        return [(f.quantity, f.paper, f.ours, f.rule, f.verdict) for f in self.findings]

    @property
    def sentence(self) -> str:
        """The verdict."""
        verdicts = [finding.agrees for finding in self.findings if finding.agrees is not None]
        if verdicts == [True]:
            return "Reproduced: the one finding agrees."
        if all(verdicts):
            return f"Reproduced: all {len(verdicts)} findings agree."
        return f"Not reproduced in full: {sum(verdicts)} of {len(verdicts)} findings agree."

    @property
    def how(self) -> list[str]:
        """What was run, and how it was not what the paper did."""
        short = self.of.shortened and not self.options.full
        lines = [f"Here: {self.of.setting}"]
        lines += [f"Shortened: {self.of.shortened} `--full` leaves nothing out."] if short else []
        return lines + [f"Not as in the paper: {difference}" for difference in self.of.differences]

    def table(self) -> Table:
        """The findings for `rich`."""
        table = Table(title=f"{self.of.title}\n{self.of.source}", title_justify="left")
        for column in self.columns:
            table.add_column(column)
        for row in self.rows():
            table.add_row(*row)
        return table

    def markdown(self) -> str:
        """The whole page."""
        rows = [self.columns, ("---",) * len(self.columns), *self.rows()]
        lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
        head = [f"# {self.of.title}", self.of.source, *self.how]
        ran = (
            f"memspan {__version__}, NumPy {np.__version__}, {platform.system()} {platform.machine()}, seed "
            f"{self.options.seed}, {self.options.workers} processes, {self.seconds:.0f} s."
        )
        return "\n\n".join([*head, "\n".join(lines), f"**{self.sentence}**", ran]) + "\n"


def mean_agrees(
    published: float, runs: int, values: Sequence[float], digits: str = ".0f"
) -> tuple[str, str, bool]:
    """Whether a published mean of so many runs could be one of ours: what ours is, the rule, and the verdict.

    The mean of m runs lies within t · s · √(1/n + 1/m) of the mean of n others in 95 % of all cases, with their
    standard deviation s and Student's t of n - 1 degrees of freedom. However much the runs differ, more than twice
    as much or less than half does not agree.
    """
    from scipy.stats import t

    n = len(values)
    mean, deviation = float(np.mean(values)), float(np.std(values, ddof=1))
    reach = float(t.ppf(0.975, n - 1)) * deviation * np.sqrt(1 / n + 1 / runs)
    low, high = max(mean - reach, mean / MOST), min(mean + reach, mean * MOST)
    ours = f"{mean:{digits}}, {mean / published:.2f} of that (mean of {n}, s = {deviation:{digits}})"
    why = f"where the mean of {runs} such runs lies in 95 % of all cases"
    if low > mean - reach or high < mean + reach:
        why += f", but never more than a factor of {MOST:g}"
    return ours, f"{low:{digits}} to {high:{digits}}: {why}", bool(low <= published <= high)


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
