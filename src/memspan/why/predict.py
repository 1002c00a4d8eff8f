"""The prediction of the span before training: the length at which half of the networks leave the plateau in time."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from memspan.diagnostics.label import label_gradient
from memspan.diagnostics.twins import Twins
from memspan.errors import InvalidArgument, real_number, shown, whole_number
from memspan.span import Answer, Group, SpanEstimate, SpanSearch
from memspan.study.configuration import Configuration
from memspan.study.group import untrained
from memspan.training.optimizers import RULES, Momentum
from memspan.why.plateau import Descent, Plateau

PAIRS = 64
FAR = 10.0  # updates are looked for up to this many times those given
TWINS = 4
"""The spawn key of the twins; `untrained` uses 0 to 2, and tests at other lengths 3."""
GRADIENT_DESCENT = ("sgd", "momentum")
"""The optimisers whose step is proportional to the gradient."""


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

    def __repr__(self) -> str:
        low, median, high = self.quartiles
        return f"<Needed at T = {self.length}: {median:.4g} updates, quartiles {low:.4g} and {high:.4g}>"


def descent_of(configuration: Configuration) -> Descent:
    """Return the numbers of the optimiser on which the plateau depends.

    Raises
    ------
    InvalidArgument
        If the optimiser's step does not follow the size of the gradient, as with Adam.
    """
    if configuration.optimizer not in GRADIENT_DESCENT:
        rule = "sgd or momentum, whose step follows the size of the gradient"
        hint = ". For other optimisers train: `memspan span` measures the span"
        raise InvalidArgument("optimizer", rule, configuration.optimizer, hint)
    rule = RULES[configuration.optimizer](configuration.learning_rate)
    mu = rule.momentum if isinstance(rule, Momentum) else 0.0
    clip = configuration.clip or np.inf
    return Descent(configuration.learning_rate / (1 - mu), configuration.batch, clip, mu / (1 - mu))


def updates_needed(configuration: Configuration, group: Group) -> Needed:
    """Return the updates that some networks of a study need, by the equation of `memspan.why.plateau`.

    Parameters
    ----------
    configuration : Configuration
    group : Group
        The length and the repetitions: the networks are those that a study or search would train.
    """
    length, descent = group.length, descent_of(configuration)
    repetitions = range(group.first, group.first + group.count)
    networks = [untrained(configuration, length, one)[0].astype(np.float64) for one in repetitions]
    task = configuration.make_task()
    seed = np.random.SeedSequence(configuration.seed, spawn_key=(length, TWINS))
    twins = Twins.of(task, length, PAIRS, seed)
    plateau = Plateau(networks[0], task, length, twins)
    parameters, limit = np.stack([network.parameters for network in networks]), FAR * configuration.updates
    with_noise = plateau.leave(parameters, descent, limit)
    quiet = Descent(descent.rate, np.inf, descent.clip, descent.delay)
    without = np.where(with_noise <= configuration.updates, with_noise, np.inf)
    late = np.flatnonzero(np.isinf(without))
    if len(late):
        without[late] = plateau.leave(parameters[late], quiet, limit)
    gradients = [label_gradient(network, twins, engine=plateau.engine) for network in networks]
    theta, z = ([getattr(one, name) for one in gradients] for name in ("theta", "z"))
    return Needed(length, with_noise, without, np.array(theta), np.array(z), plateau.decay(parameters, descent))


@dataclass(frozen=True, repr=False)
class Prediction:
    """The predicted span of a configuration, as far as the plateau limits it.

    Attributes
    ----------
    configuration : Configuration
    estimate : SpanEstimate
        The length at which half of the networks leave the plateau in the updates given, with an interval.
    needed : mapping of int to Needed
        The updates needed, for each length at which networks were looked at.
    limit : str
        What ends the span: `budget` (more updates would lengthen it), `noise` (larger batches, or smaller steps
        and more of them), `vanishing` (more than ten times the updates are needed), `no signal` (the label does
        not depend on the input), or `none found` up to the longest length.
    """

    configuration: Configuration
    estimate: SpanEstimate
    needed: Mapping[int, Needed]
    limit: str

    def __repr__(self) -> str:
        return f"<Prediction: {self}>"

    def __str__(self) -> str:
        return f"the plateau is left up to {self.estimate}; limit: {self.limit}"

    def numbers(self) -> dict[str, Any]:
        """Return the prediction for JSON. What is infinite is null."""
        needed = {length: [_finite(each) for each in one.quartiles] for length, one in sorted(self.needed.items())}
        return {
            "configuration": self.configuration.model_dump(mode="json"),
            "length_predicted": _finite(self.estimate.span),
            "low": _finite(self.estimate.low),
            "high": _finite(self.estimate.high),
            "limit": self.limit,
            "needed_by_length": needed,
        }


def predict(
    configuration: Configuration, *, width: float = 0.2, longest: int = 300, budget: int = 96
) -> Prediction:
    """Predict the span of a configuration without training, as far as the plateau limits it.

    The networks are those that `find_span` would train, and their lengths are chosen in the same way. For each of
    them the equation of the plateau (`memspan.why.plateau`) says after how many updates its loss begins to fall.
    A network that leaves the plateau in time may still fail later, so this is an upper bound of the span for
    networks that are far from exploding.

    Parameters
    ----------
    configuration : Configuration
        With the optimiser `sgd` or `momentum`.
    width : float
        Stop when half of the interval is at most this part of the length.
    longest : int
        The longest length to look at.
    budget : int
        The most networks to look at.

    Raises
    ------
    InvalidArgument
        If an argument is wrong, or the equation does not hold for the optimiser.
    """
    if not isinstance(configuration, Configuration):
        raise InvalidArgument("configuration", "a Configuration", shown(configuration))
    descent_of(configuration)
    task, given = configuration.make_task(), configuration.updates
    longest = task.checked_length(longest, "longest")
    search = SpanSearch(
        width=real_number("width", width, above=0),
        budget=whole_number("budget", budget, least=16),
        shortest=task.least_length,
        longest=longest,
        steps_of=lambda length: task.shape(length).steps,
    )
    found: dict[int, list[Needed]] = {}
    while groups := search.ask():
        answers = []
        for group in groups:
            needed = updates_needed(configuration, group)
            found.setdefault(group.length, []).append(needed)
            for number, updates in enumerate(needed.updates):
                steps = int(min(updates, given)) * task.shape(group.length).steps
                answers.append(Answer(group.length, group.first + number, bool(updates <= given), steps))
        search.tell(answers)
    estimate = search.estimate
    assert estimate is not None  # no answer is without a verdict
    joined = {length: _joined(parts) for length, parts in found.items()}
    return Prediction(configuration, estimate, joined, limit_of(estimate, joined.values(), given))


def limit_of(estimate: SpanEstimate, needed: Any, given: int) -> str:
    """Return what keeps networks on the plateau at lengths around the span: the most frequent reason."""
    if estimate.right_censored:
        return "none found"
    near = [one for one in needed if one.length <= 1.5 * estimate.high]
    reasons = [reason for one in near for reason in _reasons(one, given)]
    return max(dict.fromkeys(reasons), key=reasons.count) if reasons else "none found"


def _reasons(needed: Needed, given: int) -> list[str]:
    """Return why each network that does not leave the plateau stays on it."""
    if np.median(needed.z) < 2.5:
        return ["no signal"] * int((needed.updates > given).sum())
    found = []
    for updates, without in zip(needed.updates, needed.without_noise, strict=True):
        if updates > given:
            far = min(updates, without) > FAR * given
            found.append("noise" if without <= given else "vanishing" if far else "budget")
    return found


def _joined(parts: list[Needed]) -> Needed:
    arrays = ("updates", "without_noise", "theta", "z", "decay")
    return Needed(parts[0].length, *(np.concatenate([getattr(part, name) for part in parts]) for name in arrays))


def _finite(number: float) -> float | None:
    return float(number) if np.isfinite(number) else None
