"""What a reproduction found, on one page; and the measured numbers, from which the page can be made again."""

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
    """The published numbers, ours, and a verdict on each.

    Attributes
    ----------
    of : Reproduction
    full : bool
        Whether nothing was left out.
    seed, workers : int
    measured : Any
        What `Reproduction.measure` returned.
    seconds : float
        What it took.
    versions : str
        Of what it was run with.
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
        """The page of what has just been measured."""
        versions = f"memspan {__version__}, NumPy {np.__version__}, {platform.system()} {platform.machine()}"
        return cls(of, options.full, options.seed, options.workers, measured, seconds, versions)

    @classmethod
    def read(cls, of: Reproduction, text: str) -> Self:
        """The page of what `json` wrote."""
        values = json.loads(text)
        return cls(of, **{name: values[name] for name in cls.written})

    written = ("full", "seed", "workers", "measured", "seconds", "versions")
    """The attributes that `json` writes."""

    def json(self) -> str:
        """What was measured, without verdicts: `read` makes the same page of it."""
        values = {"name": self.of.name} | {name: getattr(self, name) for name in self.written}
        return json.dumps(values, indent=1, ensure_ascii=False) + "\n"

    @cached_property
    def findings(self) -> list[Finding]:
        """The verdicts."""
        return self.of.judge(self.measured)

    @property
    def columns(self) -> tuple[str, ...]:
        """The headings of the table."""
        return ("quantity", self.of.against, "ours", "agrees if", "verdict")

    def rows(self) -> list[tuple[str, ...]]:
        """One for each finding."""
        return [(f.quantity, f.published, f.ours, f.rule, str(f.verdict)) for f in self.findings]

    @property
    def sentence(self) -> str:
        """How many findings agree."""
        count = Counter(finding.verdict for finding in self.findings)
        total = count.total() - count[Verdict.NOT_COMPARED]
        what = "Reproduced" if self.of.against == "paper" else "As in theory"
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
        """What was run, where it was not what the paper did, and which rules are younger than their results."""
        short = self.of.shortened and not self.full
        return [
            f"Here: {self.of.setting}",
            *([f"Shortened: {self.of.shortened} `--full` leaves nothing out."] if short else []),
            *(f"Not as in the paper: {difference}" for difference in self.of.differences),
            *(f"Tried as well: {other}" for other in self.of.tried),
            *(f"Changed after results had been seen: {change}" for change in self.of.changed),
        ]

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
        processes = f"{self.workers} process{'es' if self.workers > 1 else ''}"
        ran = f"{self.versions}, seed {self.seed}, {processes}, {self.seconds:.0f} s."
        return "\n\n".join([*head, "\n".join(lines), f"**{self.sentence}**", ran]) + "\n"
