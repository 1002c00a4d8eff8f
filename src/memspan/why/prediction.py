"""What is predicted before training: by length the updates to the end of the plateau, and what limits the span.

`Prediction` has a kind for each way in which networks leave the plateau: `PlateauPrediction` for gradient descent,
and `JumpPrediction` for Adam (`memspan.why.thrown`). `ByLength` is what they say about one length.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from jaxtyping import Float

from memspan.figures.needed import NeededByLength, NeededUpdates
from memspan.span import SpanEstimate
from memspan.study.configuration import Configuration
from memspan.study.facts import value_range
from memspan.study.labels import labels_of

if TYPE_CHECKING:
    from memspan.runtime.tables import TextTable

SEEN = 2.5
"""The least significance z of a label gradient that is not noise."""
FAR = 10.0
"""Updates are looked for up to this many times those given."""
NEAR = 1.5
"""Networks of lengths up to this many times the upper end of the interval say what the limit is."""
Quartiles = tuple[float, float, float]


class ByLength(ABC):
    """What is predicted for the networks of one length.

    Attributes
    ----------
    length : int
    theta : array [networks]
        Θ at the start.
    columns : tuple of str
        The headings of `cells`.
    """

    length: int
    theta: Float[np.ndarray, "networks"]
    columns: ClassVar[tuple[str, ...]]

    @property
    @abstractmethod
    def quartiles(self) -> Quartiles:
        """The lower quartile, the median and the upper quartile of the updates to the end of the plateau."""

    @abstractmethod
    def cells(self, given: int) -> list[str]:
        """Return the cells of a table, for the updates given."""


class Prediction(ABC):
    """What is predicted for a configuration before training.

    Attributes
    ----------
    configuration : Configuration
    needed : mapping of int to ByLength
        The updates to the end of the plateau, for each length that was looked at.
    lambda_1 : float
        The largest Lyapunov exponent before training, a mean over networks. Below 0, perturbations fade.
    estimate : SpanEstimate or None
        The length at which half of the networks leave the plateau with the updates given, with an interval. None
        if that is not predicted.
    """

    configuration: Configuration
    needed: Mapping[int, ByLength]
    lambda_1: float
    estimate: SpanEstimate | None
    by_noise: ClassVar[bool]

    @property
    @abstractmethod
    def limit(self) -> str:
        """What limits the span, in one or two words."""

    @abstractmethod
    def numbers(self) -> dict[str, Any]:
        """Return the prediction for JSON. What is infinite or unknown is null."""

    def quartiles(self) -> dict[int, list[float | None]]:
        """Return the quartiles by length, in ascending order. None for more than ten times the updates given."""
        far = FAR * self.configuration.updates
        each = {length: self.needed[length].quartiles for length in sorted(self.needed)}
        return {length: [one if one <= far else None for one in three] for length, three in each.items()}

    def table(self) -> "TextTable":
        """Return a table with one row for each length."""
        from memspan.runtime.tables import TextTable

        given = self.configuration.updates
        table = TextTable("T", title=f"{self.configuration.describe()}, {given:,} updates", title_justify="left")
        rows = [self.needed[length] for length in sorted(self.needed)]
        for name in rows[0].columns:
            table.add_column(name, justify="right")
        for one in rows:
            table.add_row(str(one.length), *one.cells(given))
        return table

    def line(self, label: str) -> NeededByLength:
        """Return the line of this prediction in the figure."""
        each = self.quartiles()
        known = ([np.inf if one is None else one for one in three] for three in each.values())
        low, median, high = zip(*known, strict=True)
        given = self.configuration.updates
        return NeededByLength(label, list(each), low, median, high, given, self.estimate, self.by_noise)


def shown_updates(updates: float, given: int) -> str:
    """Return updates as a text; those that are too large to be known as more than ten times the updates given."""
    return f"{updates:.0f}" if updates <= FAR * given else f"> {FAR * given:.0f}"


def finite(number: float | None) -> float | None:
    """Return a number for JSON: None if it is infinite, not a number, or None."""
    return None if number is None or not np.isfinite(number) else float(number)


@dataclass(frozen=True, repr=False)
class Needed(ByLength):
    """The updates that the networks of one length need to leave the plateau.

    Attributes
    ----------
    length : int
    updates : array [networks]
        For each network; infinity if it needs more than ten times the updates given.
    without_noise : array [networks]
        For networks that need more than the updates given: the same, for batches so large that they have no noise.
        For other networks: `updates`.
    theta : array [networks]
        Θ at the start.
    z : array [networks]
        The significance of Θ (`LabelGradient.z`).
    decay : array [networks]
        κ, the share by which the noise of the batches shortens the readout in one update, at the start.
    """

    length: int
    updates: Float[np.ndarray, "networks"]
    without_noise: Float[np.ndarray, "networks"]
    theta: Float[np.ndarray, "networks"]
    z: Float[np.ndarray, "networks"]
    decay: Float[np.ndarray, "networks"]

    columns = ("networks", "leave in time", "Θ", "updates needed", "quartiles", "without noise", "1/κ")

    @property
    def quartiles(self) -> Quartiles:
        """The lower quartile, the median and the upper quartile of `updates`."""
        low, median, high = np.quantile(self.updates, [0.25, 0.5, 0.75], method="inverted_cdf").tolist()
        return low, median, high

    def reasons(self, given: int) -> list[str]:
        """Return why each network that does not leave the plateau with `given` updates stays on it."""

        def reason(updates: float, without: float, z: float) -> str:
            if z < SEEN:
                return "no signal"
            if without > given and np.isfinite(updates):
                return "budget"
            return "noise" if np.isfinite(without) else "vanishing"

        each = zip(self.updates, self.without_noise, self.z, strict=True)
        return [reason(*one) for one in each if one[0] > given]

    def cells(self, given: int) -> list[str]:
        """Return the cells of a table, for the updates given."""
        low, median, high = (shown_updates(value, given) for value in self.quartiles)
        without = float(np.quantile(self.without_noise, 0.5, method="inverted_cdf"))
        decay = float(np.median(self.decay))
        return [
            *(str(len(self.updates)), str(int((self.updates <= given).sum())), f"{np.median(self.theta):.3g}"),
            *(median, f"{low} to {high}", shown_updates(without, given)),
            f"{1 / decay:.0f}" if decay > 0 else "",
        ]

    def __repr__(self) -> str:
        low, median, high = self.quartiles
        return f"<Needed at T = {self.length}: {median:.4g} updates, quartiles {low:.4g} and {high:.4g}>"


@dataclass(frozen=True, repr=False)
class PlateauPrediction(Prediction):
    """The predicted span of a configuration under gradient descent, as far as the plateau limits it.

    Attributes
    ----------
    configuration : Configuration
    estimate : SpanEstimate
        The length at which half of the networks leave the plateau with the updates given, with an interval.
    needed : mapping of int to Needed
        The updates needed, for each length at which networks were looked at.
    lambda_1 : float
        The largest Lyapunov exponent before training, a mean over networks. Below 0, perturbations fade.
    """

    configuration: Configuration
    estimate: SpanEstimate
    needed: Mapping[int, Needed]
    lambda_1: float

    by_noise = False

    @property
    def limit(self) -> str:
        """What keeps networks on the plateau at lengths around the predicted one: the most frequent reason.

        - `budget`: they need more updates, up to ten times those given;
        - `noise`: without the noise of the batches, the updates given would be enough, or up to ten times as many
          where with the noise even these are not enough;
        - `vanishing`: without the noise too, they need more than that;
        - `no signal`: the label gradient cannot be told from 0;
        - `none`: more than half of them leave it at every length up to the longest one.
        """
        estimate = self.estimate
        if estimate.span is None and estimate.low is not None:
            return "none"
        far = np.inf if estimate.high is None else NEAR * estimate.high
        near = [one for one in self.needed.values() if one.length <= far]
        reasons = [reason for one in near for reason in one.reasons(self.configuration.updates)]
        if not reasons:
            return "none"
        return max(dict.fromkeys(reasons), key=reasons.count)

    def __repr__(self) -> str:
        return f"<Prediction: {self.estimate.short} steps, limit {self.limit}>"

    def __str__(self) -> str:
        estimate, given = self.estimate, self.configuration.updates
        length = f"T = {estimate.short}" if estimate.span is not None else estimate.short
        half = f"The length at which half of the networks leave the plateau within {given:,} updates"
        return f"{half}: {length} ({100 * estimate.level:g} %). {SENTENCES[self.limit]}".rstrip()

    def numbers(self) -> dict[str, Any]:
        """Return the prediction for JSON. What is infinite or unknown is null."""
        ends = {name: finite(getattr(self.estimate, name)) for name in ("span", "low", "high")}
        return {
            "configuration": self.configuration.model_dump(mode="json"),
            "length_predicted": ends["span"],
            "low": ends["low"],
            "high": ends["high"],
            "limit": self.limit,
            "lambda_1": finite(self.lambda_1),
            "needed_by_length": self.quartiles(),
        }


SENTENCES = {
    "budget": "Beyond it networks need more updates.",
    "vanishing": f"Beyond it most networks need more than {FAR:g} times as many updates.",
    "noise": "Beyond it the noise of the batches keeps networks on the plateau: larger batches, or a smaller "
    "learning rate with more updates, would lift this limit.",
    "no signal": "Beyond it the label gradient cannot be told from 0, so the method says nothing: "
    "train there instead.",
    "none": "",
}
"""What each limit means."""


def needed_record(predictions: Sequence[Prediction]) -> NeededUpdates:
    """Return the record of the figure of several predictions."""
    configurations = [one.configuration for one in predictions]
    labels = labels_of(configurations) if len(predictions) > 1 else [configurations[0].cell]
    lines = [one.line(label) for label, one in zip(labels, predictions, strict=True)]
    networks = value_range([len(needed.theta) for one in predictions for needed in one.needed.values()], ",")
    tasks = ", ".join(dict.fromkeys(one.task for one in configurations))
    title = (
        f"Updates to the end of the plateau, predicted before training ({tasks})\n"
        f"{configurations[0].describe() if len(predictions) == 1 else 'one line for each configuration'}; "
        f"{networks} networks at each length"
    )
    return NeededUpdates(title, lines)
