"""The explanation of a length: the verdict, the evidence that decided it, and what should lift the limit."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from memspan.span import SolvedShare
from memspan.study.configuration import Configuration
from memspan.why.evidence import NUMBERS, Evidence
from memspan.why.predict import GRADIENT_DESCENT
from memspan.why.remedy import Remedy
from memspan.why.verdict import SOLVED, Criterion, criterion_of, verdict_of

if TYPE_CHECKING:
    from memspan.runtime.tables import TextTable


@dataclass(frozen=True, repr=False)
class Explanation:
    """Why networks of a configuration do not solve a length, or that they do.

    Attributes
    ----------
    configuration : Configuration
    length : int
    share : SolvedShare
        How many networks of the study solved the length.
    evidence : sequence of Evidence
        Of the networks that were trained again; empty where at least half of the study's networks solved it.
    remedies : sequence of Remedy
        The most promising one first.
    reproduced : bool
        Whether training again gave the weights of the study.
    """

    configuration: Configuration
    length: int
    share: SolvedShare
    evidence: Sequence[Evidence] = ()
    remedies: Sequence[Remedy] = ()
    reproduced: bool = True

    @cached_property
    def criteria(self) -> list[Criterion]:
        """The criterion that decided for each network of `evidence`."""
        return [criterion_of(one) for one in self.evidence]

    @property
    def verdict(self) -> str:
        """The verdict on the length."""
        return verdict_of(self.criteria) if self.evidence else SOLVED

    @property
    def criterion(self) -> Criterion | None:
        """The criterion that decided for most networks with the verdict; None if no network was trained again."""
        found = [one for one in self.criteria if one.verdict == self.verdict]
        return max(dict.fromkeys(found), key=found.count) if found else None

    @property
    def condition(self) -> str:
        """The condition of this criterion in words."""
        return self.criterion.condition if self.criterion else ""

    @property
    def numbers_of_evidence(self) -> dict[str, float]:
        """The median of each number over the networks that did not solve the length; without what is not known."""
        rest = [one for one, found in zip(self.evidence, self.criteria, strict=True) if found.verdict != SOLVED]
        medians = {name: [one.numbers[name] for one in rest] for name in NUMBERS}
        known = {name: [value for value in values if not np.isnan(value)] for name, values in medians.items()}
        return {
            name: float(np.quantile(values, 0.5, method="inverted_cdf"))
            for name, values in known.items()
            if values
        }

    @property
    def not_known(self) -> str:
        """What memspan cannot measure of a model of another library, as a sentence; empty if there is nothing."""
        if not self.evidence:
            return ""
        found, descent = self.evidence[0], self.configuration.optimizer in GRADIENT_DESCENT
        missing = {
            "the slope of the units": np.isnan(found.slope),
            "the spectral radius of R": found.trained.recurrent_blocks() is None,
            "the updates needed to leave the plateau": descent and np.isnan(found.needed),
        }
        names = [name for name, unknown in missing.items() if unknown]
        return f"Not known for this model: {', '.join(names)}. The verdict is made without them." if names else ""

    def __repr__(self) -> str:
        solved = f"{self.share.solved} of {self.share.trials} solved"
        return f"<Explanation of T = {self.length}, {solved}: {self.verdict}>"

    def __str__(self) -> str:
        solved = f"T = {self.length}: {self.share.solved} of {self.share.trials} networks solve it"
        medians = f"; medians: {self._deciding}" if self._deciding else ""
        why = f"{self.verdict} ({self.condition}{medians})" if self.condition else self.verdict
        other = (
            ""
            if self.reproduced
            else " Training again gave other weights than those stored, so it explains those."
        )
        return f"{solved}. Verdict: {why}.{other}"

    def _repr_html_(self) -> str:
        """The verdict, what should help, and the numbers behind it, for a notebook."""
        from memspan.runtime.html import element, for_notebook, of_table, paragraphs

        helps = [element("li", f"{remedy}: {remedy.expected}") for remedy in self.remedies]
        return for_notebook(paragraphs(str(self)), element("ol", *helps), of_table(table_of([self])))

    @property
    def _deciding(self) -> str:
        """The medians of the numbers that decided."""
        found, names = self.numbers_of_evidence, self.criterion.numbers if self.criterion else ()
        known = {name.replace("_", " "): float(f"{found[name]:.2g}") for name in names if name in found}
        return ", ".join(f"{name} {value:,g}" for name, value in known.items())

    def numbers(self) -> dict[str, Any]:
        """Return the explanation for JSON. What is infinite is null."""
        evidence: dict[str, Any] = {
            name: value if np.isfinite(value) else None for name, value in self.numbers_of_evidence.items()
        }
        verdicts = [one.verdict for one in self.criteria]
        evidence |= {"verdicts": {one: verdicts.count(one) for one in dict.fromkeys(verdicts)}}
        evidence |= {"solved": self.share.solved, "trials": self.share.trials, "reproduced": self.reproduced}
        return {
            "configuration": self.configuration.model_dump(mode="json"),
            "length": self.length,
            "verdict": self.verdict,
            "evidence": evidence,
            "remedies": [one.numbers() for one in self.remedies],
        }


COLUMNS = (
    *("T", "solved", "verdict", "networks", "left after", "needed", "given", "1/κ"),
    *("gradient", "radius before, after"),
)
CAPTION = (
    "networks: with this verdict, of those trained again. Medians: left after, the updates after which they left "
    "the plateau; needed, the updates predicted to leave it; 1/κ, the updates in which the noise of the batches "
    "shortens the readout by a factor of e; gradient, the factor by which it changes on its way back to the first "
    "step, before training; radius, the largest spectral radius of R, before and after training."
)
"""What the columns of the table mean."""


def table_of(explanations: Sequence[Explanation]) -> "TextTable":
    """Return a table with one row for each length of a configuration."""
    from memspan.runtime.tables import TextTable

    title, not_known = explanations[0].configuration.describe(), (one.not_known for one in explanations)
    caption = " ".join([CAPTION, *dict.fromkeys(filter(None, not_known))])
    table = TextTable(title=title, title_justify="left", caption=caption, caption_justify="left")
    for name in COLUMNS:
        table.add_column(name, justify="left" if name == "verdict" else "right")
    for one in explanations:
        found = one.numbers_of_evidence
        number = sum(criterion.verdict == one.verdict for criterion in one.criteria)
        table.add_row(
            *(str(one.length), f"{one.share.solved}/{one.share.trials}", one.verdict),
            f"{number}/{len(one.criteria)}" if one.evidence else "",
            *(_shown(found, name) for name in ("left", "needed")),
            str(one.configuration.updates) if one.evidence else "",
            f"{1 / found['decay']:.0f}" if found.get("decay") else "",
            f"{np.exp(found['growth']):.2g}" if "growth" in found else "",
            f"{found['radius']:.2g}, {found['radius_after']:.2g}" if "radius" in found else "",
        )
    return table


def _shown(found: dict[str, float], name: str) -> str:
    if name not in found:
        return ""
    return f"{found[name]:.0f}" if np.isfinite(found[name]) else "never"
