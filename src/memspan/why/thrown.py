"""What is predicted for Adam: after how many updates noise throws R, by length (`memspan.why.noise_jump`)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from memspan.study.configuration import Configuration
from memspan.why.noise_jump import NoiseJump
from memspan.why.prediction import ByLength, Prediction, Quartiles, finite, shown_updates


@dataclass(frozen=True, repr=False)
class Thrown(ByLength):
    """When noise throws the networks of one length.

    Attributes
    ----------
    length : int
    theta : array [networks]
        Θ at the start.
    jump : NoiseJump
        The distribution of the update at which R jumps; the same for all networks.
    """

    length: int
    theta: Float[np.ndarray, "networks"]
    jump: NoiseJump

    columns = ("networks", "Θ", "thrown in time", "update of the jump", "quartiles")

    @property
    def quartiles(self) -> Quartiles:
        """The updates at which R of a quarter, half and three quarters of the networks has jumped."""
        return self.jump.quantile(0.25), self.jump.quantile(0.5), self.jump.quantile(0.75)

    def cells(self, given: int) -> list[str]:
        """Return the cells of a table, for the updates given."""
        low, median, high = (shown_updates(value, given) for value in self.quartiles)
        share = f"{100 * float(self.jump.probability(given)):.0f} %"
        return [str(len(self.theta)), f"{np.median(self.theta):.3g}", share, median, f"{low} to {high}"]

    def __repr__(self) -> str:
        low, median, high = self.quartiles
        return f"<Thrown at T = {self.length}: at update {median:.4g}, quartiles {low:.4g} and {high:.4g}>"


@dataclass(frozen=True, repr=False)
class JumpPrediction(Prediction):
    """When noise throws the networks of a configuration under Adam. A span is not predicted.

    Attributes
    ----------
    configuration : Configuration
    needed : mapping of int to Thrown
        When noise throws networks, by length.
    thrown_from : int or None
        The shortest length at which noise throws more than half of the networks within the updates given. None if
        noise does so at no length of the prediction.
    lambda_1 : float
        The largest Lyapunov exponent before training, a mean over networks. Below 0, perturbations fade.
    """

    configuration: Configuration
    needed: Mapping[int, Thrown]
    thrown_from: int | None
    lambda_1: float

    estimate = None
    by_noise = True

    @property
    def limit(self) -> str:
        """`noise jump` if noise throws more than half of the networks at some length; else `undetermined`."""
        return "undetermined" if self.thrown_from is None else "noise jump"

    @property
    def at_once(self) -> bool:
        """Whether the first updates alone throw R."""
        return any(one.jump.at_once for one in self.needed.values())

    def __repr__(self) -> str:
        begin = "" if self.thrown_from is None else f", from T = {self.thrown_from}"
        return f"<Prediction: limit {self.limit}{begin}>"

    def __str__(self) -> str:
        given, longest = self.configuration.updates, max(self.needed)
        within = f"within {given:,} updates"
        if self.at_once:
            text = "The first updates alone throw R, sooner than the table says: use a smaller learning rate. "
        elif self.thrown_from is None:
            text = f"Up to T = {longest} noise throws R of at most half of the networks {within}. "
        else:
            text = f"From T = {self.thrown_from} on noise throws R of more than half of the networks {within}. "
            text += f"{REMEDY} "
        return text + NO_SPAN

    def numbers(self) -> dict[str, Any]:
        """Return the prediction for JSON. What is infinite or unknown is null."""
        given = self.configuration.updates
        thrown = {
            length: {"updates": quartiles, "share": float(self.needed[length].jump.probability(given))}
            for length, quartiles in self.quartiles().items()
        }
        return {
            "configuration": self.configuration.model_dump(mode="json"),
            **dict.fromkeys(("length_predicted", "low", "high")),
            "limit": self.limit,
            "lambda_1": finite(self.lambda_1),
            "needed_by_length": {},
            "thrown_by_length": thrown,
            "thrown_from": self.thrown_from,
            "at_once": self.at_once,
        }


REMEDY = "A third of the learning rate with three times the updates postpones this."
NO_SPAN = "The label makes R jump sooner. The span is not predicted: `memspan span` measures it."
