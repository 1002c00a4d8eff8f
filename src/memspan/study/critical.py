"""The critical gain: the gain of R at which untrained networks keep the label of a task to the end of a sequence.

Below it the state forgets the label: its label signal falls by a factor with every step. Far above it the state is
chaotic: what the label did to it cannot be told from what all other inputs did, and gradients explode. Mean-field
theory places the border where perturbations neither grow nor shrink, χ₁ = 1, whatever the task (Schoenholz et al.
2017, arXiv:1611.01232). The label signal (`memspan.diagnostics.label`) depends on the task,
the length, the inputs and the cell, so it gives a gain for each of them.
"""

import math
from collections.abc import Callable

import numpy as np
from jaxtyping import Float

from memspan.cells import Cell
from memspan.cells.initializers import CRITICAL
from memspan.diagnostics.label import LabelGradient, label_engine, label_gradient
from memspan.diagnostics.twins import Twins
from memspan.errors import InvalidArgument
from memspan.network import Network
from memspan.runtime.floats import quiet
from memspan.tasks import Task

NETWORKS, PARTS = 7, 16
PAIRS = (64, 512, 4096)
"""The pairs of sequences: more if the fewest show no label, as in tasks whose answer depends on several inputs."""
GAINS = tuple(2 ** (k / 2) for k in range(-4, 9))
"""The gains that are tried first, from 1/4 to 16."""
FALLEN = math.log(1 / 8)
"""No larger gain is tried when ln P has fallen by this much below its maximum."""
HALVINGS = 2
"""How often the interval between two gains is halved in which P reaches the value."""
SEEN, SHOWN = 1.5, 2.5
"""The least significance of the label signals of all networks together: at any gain, and at the chosen one."""
ROUNDING = 1e-20
"""A power below this counts as 0, because rounding errors could have made it."""
SHARE = 0.8
"""The share of the largest power that the chosen gain reaches."""
DIGITS = 3
SPAWN = 1 << 31
"""The spawn keys of networks and sequences begin with this number, which no length of a trial reaches."""


def critical_gain(cell: Cell, task: Task, length: int, hidden: int, gain: float = 1.0, seed: int = 0) -> float:
    """Return the gain of R at which untrained networks keep the label of a task for `length` steps.

    It is the smallest gain at which the power P of the label signal at the end is nearly the largest: at least 0.8
    times as large. (P is flat around its maximum, and at larger gains gradients explode.) P is the mean over seven
    networks. A state between -1 and 1 has P of at most H, the number of units. In cells without such a bound P may
    rise with the gain for ever, so H counts as the largest value there.

    The result depends on the arguments alone. So it is the same for all repetitions of a length. It is rounded to
    three digits, so that rounding errors, which differ between processors, do not change it.

    Parameters
    ----------
    cell : Cell
    task : Task
    length : int
    hidden : int
    gain : float
        The gain of all initial weights. The result multiplies R in addition.
    seed : int

    Raises
    ------
    InvalidArgument
        If no gain shows the label in the state.
    """
    for pairs in PAIRS:
        signals = Signals(cell, task, length, hidden, gain, seed, pairs)
        found = _found(signals.log_power, math.log(hidden))
        if found is not None and signals.shown(found):
            return float(f"{found:.{DIGITS}g}")
    rule = f"another than {CRITICAL} for {task.name} at length {length}"
    hint = f", because the last state of an untrained {cell.name} does not show the label, with any gain of R"
    raise InvalidArgument("init", rule, repr(CRITICAL), hint)


def _found(log_power: Callable[[float], float], most: float) -> float | None:
    """Return the critical gain from ln P as a function of the gain, and the largest ln P that counts.

    None if no gain shows the label.
    """
    logs: dict[float, float] = {}
    for factor in GAINS:
        logs[factor] = log_power(factor)
        largest = max(logs.values())
        if logs[factor] >= most or (largest > -math.inf and logs[factor] < largest + FALLEN):
            break
    best = max(logs, key=lambda factor: logs[factor])
    if logs[best] == -math.inf:
        return None
    for middle in (best * 2**-0.25, best * 2**0.25):
        if GAINS[0] < middle < GAINS[-1]:
            logs[middle] = log_power(middle)
    wanted = min(max(logs.values()), most) + math.log(SHARE)
    ordered = sorted(logs.items())
    place = next(k for k, (_, log) in enumerate(ordered) if log >= wanted)
    return _reached(log_power, wanted, *ordered[place - 1 : place + 1]) if place else ordered[0][0]


def _reached(
    log_power: Callable[[float], float], wanted: float, below: tuple[float, float], above: tuple[float, float]
) -> float:
    """Return the gain at which ln P reaches a value, from two pairs of a gain and ln P, below and above it."""
    for _ in range(HALVINGS):
        middle = math.sqrt(below[0] * above[0])
        log = log_power(middle)
        if log >= wanted:
            above = middle, log
        else:
            below = middle, log
    share = (wanted - below[1]) / (above[1] - below[1]) if below[1] > -math.inf else 1.0
    return below[0] * (above[0] / below[0]) ** share


class Signals:
    """The label signals of some untrained networks, which get several gains of R.

    The parameters are those of `critical_gain`, and the number of pairs of sequences (`memspan.Twins`).
    """

    def __init__(
        self,
        cell: Cell,
        task: Task,
        length: int,
        hidden: int,
        gain: float = 1.0,
        seed: int = 0,
        pairs: int = PAIRS[0],
    ) -> None:
        _, features, outputs, output_steps = task.shape(length)
        for_twins, *for_networks = np.random.SeedSequence(seed, spawn_key=(SPAWN, length)).spawn(1 + NETWORKS)
        self.twins = Twins.of(task, length, pairs, for_twins, PARTS)
        self.networks = [
            Network(cell, features, hidden, outputs, gain=gain, output_steps=output_steps, rng=one)
            for one in for_networks
        ]
        self.engine = label_engine(self.networks[0])

    @quiet  # the state of some cells has no bound
    def log_power(self, factor: float) -> float:
        """Return ln P, the mean of P over the networks with R times `factor`; -inf if it may be noise."""
        signal = self._all(factor)
        power = signal.theta / self.twins.variance / NETWORKS
        return math.log(power) if power > ROUNDING and signal.z >= SEEN else -math.inf

    @quiet
    def shown(self, factor: float) -> bool:
        """Whether the signals with R times `factor` are clearly more than noise."""
        return self._all(factor).z >= SHOWN

    def _all(self, factor: float) -> LabelGradient:
        """Return the label signals of the last states of all networks, side by side."""
        return LabelGradient(np.concatenate([self._signal(one, factor) for one in self.networks], axis=1))

    def _signal(self, network: Network, factor: float) -> Float[np.ndarray, "parts signals"]:
        """Return the label signal of the last state, from each part of the twins."""
        scaled = network.astype(np.float64)  # a copy
        scaled.R = factor * network.R
        gradient = label_gradient(scaled, self.twins, engine=self.engine)
        # The label signal of the last state is the label gradient with respect to the readout V.
        return np.stack([scaled.layout.views(part).V.ravel() for part in gradient.parts])
