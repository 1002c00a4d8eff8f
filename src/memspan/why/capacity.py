"""Capacity: how many numbers the units have to hold, which more training does not change.

All that later answers need of the inputs up to step t passes through the state after step t. So let z[t] be the
best guess of all answers after step t, given only the inputs up to t: E[y | inputs up to t]. The *numbers to
hold* are the directions in which z[t] varies, counted at the step t where there are most. Two bounds are exact for
the squared error:

- an answer ŷ = Vᵀ a + b_y of H units varies in at most H directions, with any cell. For the task `memory-capacity`
  this is the bound of Jaeger (2001, GMD report 152): the capacity is at most the number of units;
- the state of a linear cell with H units varies in at most H directions, so all later answers together do.

For classes, and for several answers of other cells, it is a rule of thumb: a unit holds one number, or one bit.

The covariance of z[t] is that of y with a second y whose sequence has the same random numbers up to t and new ones
after it (Sobol 1993, the estimate of "pick and freeze"). So it can be estimated for any task, also where the label
is no linear function of the input.
"""

import numpy as np
from jaxtyping import Float, Int

from memspan.errors import generator
from memspan.losses import SigmoidCrossEntropy, SoftmaxCrossEntropy
from memspan.network import Model
from memspan.runtime.floats import quiet
from memspan.shapes import Array
from memspan.tasks import Task
from memspan.tasks.base import Draws

SEQUENCES = 1024
PROBES = 8
"""The sequences in which the steps are sought that depend on a random number."""
CUTS = 8
"""The steps t at which the numbers to hold are counted."""
SHARE = 0.9
"""The share of the variance of z that the counted directions have."""
LEAST = 0.1
"""Where z has less than this share of the variance of y, its directions are noise."""
MOST = 1000
"""The most numbers among all answers whose covariance is taken; of more, some are left out."""
PURPOSE = "capacity"
"""The purpose of a seed: see `memspan.errors.generator`."""


def numbers_to_hold(task: Task, length: int, seed: np.random.SeedSequence | int = 0) -> float:
    """Return how many numbers, or bits, of the past the answers of a task need at some step.

    Parameters
    ----------
    task : Task
    length : int
    seed : SeedSequence or int
        For the sequences that stand for the task.
    """
    rng = generator("seed", seed, PURPOSE)
    steps = task.shape(length).steps
    first = _first_steps(task, length, rng)
    u, other = rng.random((2, len(first), SEQUENCES))
    y = _answers(task, length, u)
    answered = np.arange(steps - len(y), steps)  # after which steps
    most = 0.0
    for step in np.unique(np.linspace(0, steps, CUTS + 1).astype(int)[1:]):
        past = first < step
        again = _answers(task, length, np.where(past[:, np.newaxis], u, other))
        later = answered >= step - 1  # the answer after step t also passes through the state after it
        most = max(most, _directions(y[later], again[later]) * _bits(task, y[later]))
    return most


def lags_to_tell(task: Task, length: int) -> int:
    """Return how many inputs a linear network must tell apart by their lag: 0 if it answers at several steps.

    The state of a linear network is a sum over lags. A number in one of n inputs that vary alike is known from
    it only with weights of 0 for all other lags: these are n conditions on the powers of R.
    """
    if task.shape(length).output_steps is not None:
        return 0
    x = task.sample(length, SEQUENCES, rng=0).x
    begin = int(task.relevant(x).any(axis=1).argmax())
    return int((x[begin:].std(axis=1) > 0).any(axis=1).sum())


@quiet
def is_linear(network: Model, x: Float[np.ndarray, "time batch features"]) -> bool:
    """Return whether the answers of a network are a linear function of its inputs, up to a constant."""
    network = network.astype(np.float64)
    once, twice, back = (network.predict(factor * x) - network.predict(0 * x) for factor in (1, 2, -1))
    if not np.isfinite(twice).all():  # it grows too fast to tell
        return False
    least = 1e-9 * np.abs(once).max()
    return all(
        np.allclose(there, factor * once, rtol=1e-6, atol=least) for there, factor in ((twice, 2), (back, -1))
    )


def _first_steps(task: Task, length: int, rng: np.random.Generator) -> Int[np.ndarray, "draws"]:
    """The number of steps before the first input that depends on each random number of a sequence."""
    u = rng.random((task.draws(length), PROBES))
    x = task.make(u, length).x
    first = np.empty(len(u), int)
    for number in range(len(u)):
        changed = u.copy()
        changed[number] = (u[number] + 0.5) % 1  # every choice among classes changes
        differs = (task.make(changed, length).x != x).any(axis=(1, 2))
        first[number] = differs.argmax() if differs.any() else len(x)
    return first


def _answers(task: Task, length: int, u: Draws) -> Float[np.ndarray, "answers sequences outputs"]:
    """The labels after each of the last steps that has one; 0 where an answer has no label."""
    y = np.nan_to_num(task.make(u, length).y)
    return y.reshape(-1, *y.shape[-2:])


def _directions(y: Array, again: Array) -> int:
    """The number of directions that hold most of the covariance of y and `again`, both `[answers, N, O]`."""
    a, b = (values.transpose(1, 0, 2).reshape(values.shape[1], -1) for values in (y, again))
    columns = np.flatnonzero(a.std(axis=0) > 0)
    columns = columns[:: max(1, -(-len(columns) // MOST))]
    a, b = (values[:, columns] - values[:, columns].mean(axis=0) for values in (a, b))
    common = a.T @ b / len(a)
    values = np.linalg.eigvalsh((common + common.T) / 2)[::-1]
    total = values.sum()
    if total <= LEAST * (a**2).sum() / len(a):
        return 0
    return int(np.searchsorted(values.cumsum(), SHARE * total) + 1)


def _bits(task: Task, y: Array) -> float:
    """How much a unit must hold for each direction: 1 for numbers; for classes, the bits per direction."""
    loss = task.make_loss()
    if not isinstance(loss, SigmoidCrossEntropy | SoftmaxCrossEntropy):
        return 1.0
    shares = y.mean(axis=1)  # of the classes, for each answer
    if isinstance(loss, SigmoidCrossEntropy):
        shares = np.stack([shares, 1 - shares], axis=-1)
    bits = -(shares * np.log2(np.where(shares > 0, shares, 1))).sum()
    directions = np.maximum((shares > 0).sum(axis=-1) - 1, 0).sum()
    return float(bits / directions) if directions else 1.0
