"""The prediction before training.

For gradient descent it is the length at which half of the networks leave the plateau in time. For Adam it is the
length from which on noise throws more than half of them.
"""

from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from functools import partial

import numpy as np

from memspan.diagnostics.exponents import LyapunovExponents
from memspan.diagnostics.label import LabelGradient, label_engine, label_gradient
from memspan.diagnostics.twins import Twins
from memspan.errors import InvalidArgument, real_number, shown, whole_number
from memspan.network import Model
from memspan.runtime.progress import kind_of
from memspan.runtime.progress import progress as show_progress
from memspan.shapes import Array
from memspan.span import Answer, Group, SpanSearch
from memspan.study.configuration import Configuration
from memspan.study.group import untrained
from memspan.tasks import Task
from memspan.training.optimizers import RULES, Momentum
from memspan.why.noise_jump import HINT, demand_measured, noise_jump_of
from memspan.why.plateau import Descent, Plateau
from memspan.why.prediction import FAR, SEEN, Needed, PlateauPrediction, Prediction
from memspan.why.thrown import JumpPrediction, Thrown

PAIRS = (64, 256, 1024)
"""The numbers of pairs of twins: more are drawn where the label gradient is not clear of its error."""
CLEAR = 5.0
"""The significance z at which it is."""
BUDGET = 96
TWINS = 4
"""The last part of the spawn key of the twins; trials use 0 to 3."""
EXPONENT_STEPS, EXPONENT_NETWORKS = 300, 4
JUMP_LENGTHS = (5, 7, 10, 14, 20, 28, 40, 50)
"""The lengths at which it is predicted when noise throws R."""
JUMP_NETWORKS = 12
"""The networks of which Θ is measured there."""
GRADIENT_DESCENT = ("sgd", "momentum")
"""The optimisers whose step is proportional to the gradient."""


def demand_whole_gradient(configuration: Configuration) -> None:
    """Raise `InvalidArgument` if the gradient of a configuration is truncated."""
    if configuration.truncate is not None:
        rule = "left out: predictions and explanations are about gradients that go back to the beginning"
        raise InvalidArgument("truncate", rule, configuration.truncate)


def demand_read_out(configuration: Configuration) -> None:
    """Raise `InvalidArgument` if it is not known which weights of a model are those of a linear read-out."""
    if configuration.factory() is None:
        return
    network, _, _ = untrained(configuration, configuration.make_task().least_length, 0)
    if network.read_out() is None:
        rule = "a model with a linear read-out that memspan finds, as Steps and Sequence have with a width"
        raise InvalidArgument("cell", rule, f"{configuration.cell}, for which it finds none", HINT)


def descent_of(configuration: Configuration) -> Descent:
    """Return the numbers of the optimiser on which the plateau depends.

    Raises
    ------
    InvalidArgument
        If the optimiser's step does not follow the size of the gradient, as with Adam.
    """
    if configuration.optimizer not in GRADIENT_DESCENT:
        holds = "sgd or momentum, whose step follows the size of the gradient, or adam"
        hint = ". For other optimisers train: `memspan span` measures the span"
        raise InvalidArgument("optimizer", holds, configuration.optimizer, hint)
    rule = RULES[configuration.optimizer](configuration.learning_rate)
    mu = rule.momentum if isinstance(rule, Momentum) else 0.0
    clip = configuration.clip or np.inf
    return Descent(configuration.learning_rate / (1 - mu), configuration.batch, clip, mu / (1 - mu))


def needed_by(
    networks: Sequence[Model],
    task: Task,
    length: int,
    descent: Descent,
    given: int,
    rng: np.random.Generator | np.random.SeedSequence | int = 0,
) -> Needed:
    """Return the updates that untrained networks of one shape need to leave the plateau.

    Parameters
    ----------
    networks : sequence of Network or of another Model
    task : Task
    length : int
    descent : Descent
    given : int
        The updates given. The result is exact up to ten times as many.
    rng : Generator, SeedSequence or int
        For the sequences that stand for the task.

    Raises
    ------
    InvalidArgument
        If it is not known which weights of the networks are those of a linear read-out.
    """
    twins, gradients = label_gradients(networks, task, length, rng)
    theta, z = (np.array([getattr(one, name) for one in gradients]) for name in ("theta", "z"))
    groups = [range(len(networks))] if networks[0].interchangeable else [[k] for k in range(len(networks))]
    updates, without, decay = np.empty((3, len(networks)))
    for group in groups:
        plateau = Plateau(networks[group[0]], task, length, twins)
        parameters = np.stack([networks[k].parameters for k in group]).astype(np.float64)
        seen = z[group] >= SEEN  # elsewhere the plateau would be left along the noise of these sequences
        updates[group], without[group] = _leaving(plateau, parameters, seen, descent, given)
        decay[group] = plateau.decay(parameters, descent)
    return Needed(length, updates, without, theta, z, decay)


def _leaving(
    plateau: Plateau, parameters: Array, seen: Array, descent: Descent, given: int
) -> tuple[Array, Array]:
    """The updates that networks need to leave the plateau; of those that are late, also without the noise."""
    updates, without = (np.full(len(parameters), np.inf) for _ in range(2))
    if seen.any():
        updates[seen] = without[seen] = plateau.leave(parameters[seen], descent, FAR * given)
    late = seen & (updates > given)
    if late.any():
        without[late] = plateau.leave(parameters[late], replace(descent, batch=np.inf), FAR * given)
    return updates, without


def label_gradients(
    networks: Sequence[Model], task: Task, length: int, rng: np.random.Generator | np.random.SeedSequence | int
) -> tuple[Twins, list[LabelGradient]]:
    """Return the label gradient of each network, and the twins: enough to see it, if `PAIRS` has as many."""
    for pairs in PAIRS:
        twins = Twins.of(task, length, pairs, rng)
        gradients = _gradients(networks, twins)
        if np.median([gradient.z for gradient in gradients]) >= CLEAR:
            break
    return twins, gradients


def _gradients(networks: Sequence[Model], twins: Twins) -> list[LabelGradient]:
    """The label gradient of each network of one shape."""
    engine = label_engine(networks[0]) if networks[0].interchangeable else None
    return [label_gradient(network, twins, engine=engine) for network in networks]


def twins_seed(configuration: Configuration, length: int) -> np.random.SeedSequence:
    """Return the seed of the twins that stand for the task of a configuration."""
    return np.random.SeedSequence(configuration.seed, spawn_key=(length, 0, TWINS))


def updates_needed(configuration: Configuration, group: Group) -> Needed:
    """Return the updates that some networks of a study need.

    Parameters
    ----------
    configuration : Configuration
    group : Group
        The length and the repetitions: the networks are those that a study or search would train.
    """
    length, repetitions = group.length, range(group.first, group.first + group.count)
    networks = [untrained(configuration, length, one)[0] for one in repetitions]
    seed, task = twins_seed(configuration, length), configuration.make_task()
    return needed_by(networks, task, length, descent_of(configuration), configuration.updates, seed)


def predict(
    configuration: Configuration,
    *,
    width: float = 0.25,
    longest: int = 300,
    budget: int = BUDGET,
    progress: bool | str = True,
) -> Prediction:
    """Predict what limits the span of a configuration, without training.

    Under gradient descent the span is predicted, as far as the plateau limits it. The networks are those that
    `find_span` would train, and their lengths are chosen in the same way. For each of them the equation of the
    plateau (`memspan.why.plateau`) says after how many updates its loss begins to fall. To leave the plateau is
    necessary for solving a length and not sufficient, so the measured span may be shorter.

    Under Adam no span is predicted. The prediction is when noise throws the recurrent weights
    (`memspan.why.noise_jump`), at fixed lengths up to 50, with the label gradient of twelve networks at each.

    Parameters
    ----------
    configuration : Configuration
        With the optimiser `sgd` or `momentum`; with `adam` only where the noise jump was measured.
    width : float
        Stop when half of the interval is at most this part of the length.
    longest : int
        The longest length to look at.
    budget : int
        The most networks to look at, at least 16.
    progress : bool or str
        As in `Learner.fit`.

    Returns
    -------
    Prediction
        A `PlateauPrediction`, or for Adam a `JumpPrediction`.

    Raises
    ------
    InvalidArgument
        If an argument is wrong, the gradient is truncated, nothing is known for the optimiser or, with Adam, for
        the configuration, or a model has no linear read-out that memspan knows.
    """
    return prepared_prediction(configuration, width, longest, budget)(progress)


def prepared_prediction(
    configuration: Configuration, width: float, longest: int, budget: int = BUDGET
) -> Callable[[bool | str], Prediction]:
    """Return the prediction as a function of `progress`, to be called once. It raises as `predict` does."""
    if not isinstance(configuration, Configuration):
        raise InvalidArgument("configuration", "a Configuration", shown(configuration))
    demand_whole_gradient(configuration)
    task = configuration.make_task()
    search = SpanSearch(
        width=real_number("width", width, above=0),
        budget=whole_number("budget", budget, least=16),
        shortest=task.least_length,
        longest=task.checked_length(longest, "longest"),
        steps_of=lambda length: task.shape(length).steps,
    )
    if configuration.optimizer == "adam":
        demand_measured(configuration)
        shortest = JUMP_LENGTHS[0]
        if longest < shortest:
            raise InvalidArgument("longest", f"at least {shortest} with adam", longest)
        return partial(_predict_jump, configuration, longest)
    descent_of(configuration)  # raises where the equation does not hold
    demand_read_out(configuration)
    return partial(_predict_leaving, configuration, search, budget)


def _predict_leaving(
    configuration: Configuration, search: SpanSearch, budget: int, progress: bool | str
) -> PlateauPrediction:
    task, given = configuration.make_task(), configuration.updates
    found: dict[int, list[Needed]] = {}
    done = 0
    with show_progress(budget, "predicting", "networks", kind=kind_of(progress)) as report:
        while groups := search.ask():
            answers: list[Answer] = []
            for group in groups:
                needed = updates_needed(configuration, group)
                found.setdefault(group.length, []).append(needed)
                steps = np.minimum(needed.updates, given) * task.shape(group.length).steps
                left = enumerate(zip(needed.updates <= given, steps, strict=True), start=group.first)
                answers += [Answer(group.length, place, bool(one), int(cost)) for place, (one, cost) in left]
                done += group.count
                report(done, f"T = {group.length}")
            search.tell(answers)
    assert search.estimate is not None  # every network has an answer
    joined = {length: _joined(parts) for length, parts in found.items()}
    return PlateauPrediction(configuration, search.estimate, joined, largest_exponent(configuration))


def _predict_jump(configuration: Configuration, longest: int, progress: bool | str) -> JumpPrediction:
    task, given = configuration.make_task(), configuration.updates
    lengths = [length for length in JUMP_LENGTHS if length <= longest]
    found: dict[int, Thrown] = {}
    with show_progress(JUMP_NETWORKS * len(lengths), "predicting", "networks", kind=kind_of(progress)) as report:
        for length in lengths:
            networks = [untrained(configuration, length, one)[0] for one in range(JUMP_NETWORKS)]
            twins = Twins.of(task, length, PAIRS[0], twins_seed(configuration, length))
            theta = np.array([one.theta for one in _gradients(networks, twins)])
            found[length] = Thrown(length, theta, noise_jump_of(configuration, length))
            report(JUMP_NETWORKS * len(found), f"T = {length}")
    every = range(JUMP_LENGTHS[0], min(longest, JUMP_LENGTHS[-1]) + 1)
    thrown = (length for length in every if noise_jump_of(configuration, length).probability(given) > 0.5)
    return JumpPrediction(configuration, found, next(thrown, None), largest_exponent(configuration))


def largest_exponent(configuration: Configuration) -> float:
    """Return the largest Lyapunov exponent of untrained networks for sequences of the task, a mean over some."""
    task = configuration.make_task()
    length = max(EXPONENT_STEPS, task.least_length)
    each = []
    for repetition in range(EXPONENT_NETWORKS):
        network, batches, _ = untrained(configuration, length, repetition)
        x = next(batches).x[:, :2]
        each.append(LyapunovExponents.largest(network, x, discard=len(x) // 6).values[0])
    return float(np.mean(each))


def _joined(parts: list[Needed]) -> Needed:
    """Join the networks of one length."""
    names = [item.name for item in fields(Needed)][1:]
    return Needed(parts[0].length, *(np.concatenate([getattr(part, name) for part in parts]) for name in names))
