"""What is predicted: the updates needed by length, the length at which half of the networks leave, and why."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

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


@dataclass(frozen=True, repr=False)
class Needed:
    """The updates that the networks of one length need to leave the plateau.

    Attributes
    ----------
    length : int
    updates : array [networks]
        For each network; infinity if it needs more than ten times the updates given.
    without_noise : array [networks]
        The same, for batches so large that they have no noise.
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

    @property
    def quartiles(self) -> tuple[float, float, float]:
        """The lower quartile, the median and the upper quartile of `updates`."""
        low, median, high = np.quantile(self.updates, [0.25, 0.5, 0.75], method="inverted_cdf").tolist()
        return low, median, high

    def reasons(self, given: int) -> list[str]:
        """Return why each network that does not leave the plateau with `given` updates stays on it."""

        def reason(updates: float, without: float, z: float) -> str:
            if z < SEEN:
                return "no signal"
            if without <= given:
                return "noise"
            return "budget" if min(updates, without) <= FAR * given else "vanishing"

        each = zip(self.updates, self.without_noise, self.z, strict=True)
        return [reason(*one) for one in each if one[0] > given]

    def __repr__(self) -> str:
        low, median, high = self.quartiles
        return f"<Needed at T = {self.length}: {median:.4g} updates, quartiles {low:.4g} and {high:.4g}>"


@dataclass(frozen=True, repr=False)
class Prediction:
    """The predicted span of a configuration, as far as the plateau limits it.

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

    @property
    def limit(self) -> str:
        """What keeps networks on the plateau at lengths around the predicted one: the most frequent reason.

        - `budget`: they need more updates, up to ten times those given;
        - `vanishing`: they need more than that;
        - `noise`: without the noise of the batches, the updates given would be enough;
        - `no signal`: the label gradient cannot be told from 0;
        - `none`: they leave it at every length up to the longest one.
        """
        if self.estimate.high is None:
            return "none"
        near = [one for one in self.needed.values() if one.length <= 1.5 * self.estimate.high]
        reasons = [reason for one in near for reason in one.reasons(self.configuration.updates)]
        if not reasons:
            return "none"
        return max(dict.fromkeys(reasons), key=reasons.count)

    def __repr__(self) -> str:
        return f"<Prediction: {self}>"

    def __str__(self) -> str:
        estimate, given = self.estimate, self.configuration.updates
        within = f"Within {given:,} updates, half of the networks leave the plateau"
        if estimate.span is None and estimate.high is None:
            return f"{within} at every length up to {max(self.needed)}."
        if estimate.span is None:
            return f"{within} at no length from {min(self.needed)} on. {SENTENCES[self.limit]}"
        return f"{within} up to T = {estimate.short} ({100 * estimate.level:g} %). {SENTENCES[self.limit]}"

    def numbers(self) -> dict[str, Any]:
        """Return the prediction for JSON. What is infinite is null."""
        ends = {name: _finite(getattr(self.estimate, name)) for name in ("span", "low", "high")}
        needed = {length: [_finite(each) for each in one.quartiles] for length, one in sorted(self.needed.items())}
        return {
            "configuration": self.configuration.model_dump(mode="json"),
            "length_predicted": ends["span"],
            "low": ends["low"],
            "high": ends["high"],
            "limit": self.limit,
            "lambda_1": _finite(self.lambda_1),
            "needed_by_length": needed,
        }

    def table(self) -> "TextTable":
        """Return a table with one row for each length."""
        from memspan.runtime.tables import TextTable

        given = self.configuration.updates
        table = TextTable("T", title=self.configuration.describe(), title_justify="left")
        names = ("networks", "leave in time", "Θ", "updates needed", "quartiles", "without noise", "1/κ")
        for name in names:
            table.add_column(name, justify="right")
        for length, one in sorted(self.needed.items()):
            low, median, high = (_number(value) for value in one.quartiles)
            without = _number(float(np.quantile(one.without_noise, 0.5, method="inverted_cdf")))
            table.add_row(
                *(str(length), str(len(one.updates)), str(int((one.updates <= given).sum()))),
                *(_number(float(np.median(one.theta))), median, f"{low} to {high}", without),
                _number(1 / max(float(np.median(one.decay)), 1e-300)),
            )
        return table


SENTENCES = {
    "budget": "Beyond it networks need more updates.",
    "vanishing": f"Beyond it most networks need more than {FAR:g} times as many updates.",
    "noise": "Beyond it the noise of the batches keeps networks on the plateau: larger batches, or a smaller "
    "learning rate with more updates, would lift this limit.",
    "no signal": "The label gradient cannot be told from 0, so this method says nothing: train instead.",
    "none": "",
}
"""What each limit means."""


def needed_record(predictions: Sequence[Prediction]) -> NeededUpdates:
    """Return the record of the figure of several predictions."""
    configurations = [one.configuration for one in predictions]
    labels = labels_of(configurations) if len(predictions) > 1 else [configurations[0].cell]
    lines = []
    for label, one in zip(labels, predictions, strict=True):
        lengths = sorted(one.needed)
        low, median, high = zip(*(one.needed[length].quartiles for length in lengths), strict=True)
        lines.append(NeededByLength(label, lengths, low, median, high, one.configuration.updates, one.estimate))
    networks = value_range([len(needed.updates) for one in predictions for needed in one.needed.values()], ",")
    tasks = ", ".join(dict.fromkeys(one.task for one in configurations))
    title = (
        f"Updates needed to leave the plateau, predicted before training ({tasks})\n"
        f"{configurations[0].describe() if len(predictions) == 1 else 'one line for each configuration'}; "
        f"median and quartiles of {networks} networks at each length; diamond: half of the networks leave in time"
    )
    return NeededUpdates(title, lines)


def _finite(number: float) -> float | None:
    return float(number) if np.isfinite(number) else None


def _number(value: float) -> str:
    return f"{value:.3g}" if np.isfinite(value) else "never"
