"""The page of a reproduction, which can be written again from the stored measurements."""

import json
import platform
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
from rich.table import Table

from memspan._version import __version__
from memspan.reproduce.base import Finding, Options, Reproduction, Verdict


@dataclass(frozen=True)
class Page:
    """The results of a reproduction: the published numbers, the measured ones, and a verdict on each.

    Attributes
    ----------
    of : Reproduction
        The experiment.
    full : bool
        Whether the whole experiment was run rather than the shortened one.
    seed, workers : int
        The seed, and the number of processes.
    measured : Any
        The measurements that `Reproduction.measure` returned.
    seconds : float
        The duration of the measurements.
    versions : str
        The versions of memspan and NumPy, and the platform.
    """

    of: Reproduction
    full: bool
    seed: int
    workers: int
    measured: Any
    seconds: float
    versions: str

    @classmethod
    def made(cls, of: Reproduction, options: Options, measured: Any, seconds: float) -> Self:
        """Create the page of measurements that this process has just made, with its versions and platform."""
        versions = f"memspan {__version__}, NumPy {np.__version__}, {platform.system()} {platform.machine()}"
        return cls(of, options.full, options.seed, options.workers, measured, seconds, versions)

    @classmethod
    def read(cls, of: Reproduction, text: str) -> Self:
        """Create a page from the text that `json` returned."""
        values = json.loads(text)
        return cls(of, **{name: values[name] for name in cls.written})

    written = ("full", "seed", "workers", "measured", "seconds", "versions")
    """The attributes in the text of `json`."""

    def json(self) -> str:
        """Return the measurements as JSON, without verdicts. `read` creates the same page from the text."""
        values = {"name": self.of.name} | {name: getattr(self, name) for name in self.written}
        return json.dumps(values, indent=1, ensure_ascii=False) + "\n"

    @cached_property
    def findings(self) -> list[Finding]:
        """The findings: the judged measurements."""
        return self.of.judge(self.measured)

    @property
    def columns(self) -> tuple[str, ...]:
        """The column headings of the table."""
        return ("quantity", self.of.against, "ours", "agrees if", "verdict")

    def rows(self) -> list[tuple[str, ...]]:
        """Return the rows of the table, one for each finding."""
        return [(f.quantity, f.published, f.ours, f.rule, str(f.verdict)) for f in self.findings]

    @property
    def sentence(self) -> str:
        """A sentence that counts the findings that agree, differ or are undecided."""
        count = Counter(finding.verdict for finding in self.findings)
        total = count.total() - count[Verdict.NOT_COMPARED]
        what = {"theory": "Compared with theory", "rule": "Judged by a rule"}.get(self.of.against, "Reproduced")
        if count[Verdict.AGREES] == total:
            every = "the one finding agrees" if total == 1 else f"all {total} findings agree"
            return f"{what}: {every}."
        differ = "differs" if count[Verdict.DIFFERS] == 1 else "differ"
        others = [
            f"{count[verdict]} {word}"
            for verdict, word in ((Verdict.DIFFERS, differ), (Verdict.UNDECIDED, "cannot be told"))
            if count[verdict]
        ]
        if self.of.against == "paper":
            what = "Not reproduced in full"
        return f"{what}: {count[Verdict.AGREES]} of {total} findings agree, {', '.join(others)}."

    @property
    def how(self) -> list[str]:
        """The setting, differences from the paper or limits, other settings, changes after results were seen."""
        short = self.of.shortened and not self.full
        limit = "Limit" if self.of.against == "rule" else "Difference from the paper"
        return [
            f"Setting: {self.of.setting}",
            *([f"Shortened: {self.of.shortened} `--full` runs the whole experiment."] if short else []),
            *(f"{limit}: {difference}" for difference in self.of.differences),
            *(f"Also tried: {other}" for other in self.of.tried),
            *(f"Changed after results had been seen: {change}" for change in self.of.changed),
        ]

    def table(self) -> Table:
        """Return the findings as a `rich` table."""
        table = Table(title=f"{self.of.title}\n{self.of.source}", title_justify="left")
        for column in self.columns:
            table.add_column(column)
        for row in self.rows():
            table.add_row(*row)
        return table

    def markdown(self) -> str:
        """Return the whole page as Markdown."""
        rows = [self.columns, ("---",) * len(self.columns), *self.rows()]
        lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
        head = [f"# {self.of.title}", self.of.source, *self.how]
        processes = f"{self.workers} process{'es' if self.workers > 1 else ''}"
        ran = f"{self.versions}, seed {self.seed}, {processes}, {self.seconds:.0f} s."
        extra = [] if self.of.extra is None else [self.of.extra(self.measured)]
        picture = [] if self.of.picture is None else [f"![{self.of.title}]({self.of.name}.png)"]
        return "\n\n".join([*head, *picture, *extra, "\n".join(lines), f"**{self.sentence}**", ran]) + "\n"
