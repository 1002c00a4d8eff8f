"""The total memory capacity of a linear network is the rank of its controllability matrix."""

from dataclasses import dataclass

import numpy as np

from memspan.cells.initializers import orthogonal
from memspan.network import Network
from memspan.reproduce.base import Finding, Options, Reproduction, run_each
from memspan.shapes import Array, PerStep
from memspan.tasks import MemoryCapacity

SEQUENCES = 20_000
"""To fit a read-out to; as many others measure its capacity."""
ALLOWED = 0.02
"""Of the rank: what fitting a read-out to so many sequences may cost."""


@dataclass(frozen=True)
class LinearNetwork:
    """A linear network of which the memory capacity is measured: R, W, and the largest lag plus one."""

    what: str
    R: Array
    W: Array
    length: int

    def responses(self) -> Array:
        """`[H, T]`: how much of the input of k steps ago is in each unit's state, for k = 0 ... T-1."""
        response, found = self.W[0], []
        for _ in range(self.length):
            found.append(response)
            response = response @ self.R
        return np.array(found).T

    @property
    def rank(self) -> int:
        """Of the controllability matrix, whose columns are the responses."""
        return int(np.linalg.matrix_rank(self.responses()))

    def by_lag(self) -> PerStep:
        """The capacity of each lag in theory: the diagonal of the projection onto the rows of the responses."""
        _, _, rows = np.linalg.svd(self.responses(), full_matrices=False)
        return np.asarray((rows[: self.rank] ** 2).sum(axis=0))


def networks(seed: int) -> list[LinearNetwork]:
    """Three of full rank, and two of lower rank."""
    rng = np.random.default_rng(seed)
    turns = orthogonal(rng, 3, 3)
    first = np.zeros((1, 12))
    first[0, 0] = 1
    return [
        LinearNetwork(
            "10 units, R random orthogonal times 0.9",
            0.9 * orthogonal(rng, 10, 10),
            rng.uniform(-1, 1, (1, 10)),
            100,
        ),
        LinearNetwork(
            "30 units, R random orthogonal times 0.95",
            0.95 * orthogonal(rng, 30, 30),
            rng.uniform(-1, 1, (1, 30)),
            300,
        ),
        LinearNetwork("12 units, a line of delays", np.eye(12, k=1), first, 40),
        LinearNetwork(
            "9 units, 3 copies of one R of 3 units",
            0.9 * np.kron(np.eye(3), turns),
            rng.uniform(-1, 1, (1, 9)),
            100,
        ),
        LinearNetwork(
            "10 units that all forget alike, R = 0.9", 0.9 * np.eye(10), rng.uniform(-1, 1, (1, 10)), 100
        ),
    ]


def run(options: Options) -> list[Finding]:
    """Fit a read-out to the states of each network, and measure it on held-out sequences."""
    arguments = [(linear, (options.seed, k)) for k, linear in enumerate(networks(options.seed))]
    found = run_each(measure, arguments, options, "memory capacity")
    return [finding for findings in found for finding in findings]


def measure(argument: tuple[LinearNetwork, tuple[int, ...]]) -> list[Finding]:
    """The total capacity of a network and that of each lag, against theory. The seed is that of its sequences."""
    linear, seed = argument
    rng = np.random.default_rng(seed)
    hidden = len(linear.R)
    network = Network("rnn-linear", 1, hidden, 1, rng=0)
    network.R, network.W, network.bs = linear.R, linear.W, np.zeros((hidden, 1))
    (states, x), (held_out, y) = (_states(network, linear.length, rng) for _ in range(2))
    read_out, *_ = np.linalg.lstsq(states, x, rcond=1e-10)
    found = MemoryCapacity.capacity(held_out @ read_out, y)
    rank, theory = linear.rank, linear.by_lag()
    reach = 1.96 * found.error + ALLOWED * rank
    worst = float(np.abs(found.by_lag - theory).max())
    return [
        Finding(
            f"total capacity: {linear.what}",
            f"{rank} (rank)",
            f"{found.total:.3f} ± {1.96 * found.error:.3f}",
            f"within {reach:.2f} of the rank: the 95 % interval, and 2 % for the fit",
            bool(abs(found.total - rank) <= reach),
        ),
        Finding(
            "capacity of each lag",
            "diagonal of the projection onto the responses",
            f"largest difference {worst:.3f}",
            "at most 0.03",
            worst <= 0.03,
        ),
    ]


def _states(network: Network, length: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """The last states of many sequences, and the numbers of each lag from 0 on."""
    x = rng.uniform(-1, 1, (length, SEQUENCES, 1))
    network.forward(x)
    assert network.trace is not None
    return network.trace.a[-1], x[::-1, :, 0].T


REPRODUCTION = Reproduction(
    "memory-capacity",
    "The memory capacity of linear networks",
    "Jaeger 2001 (GMD report 152); Ballarin, Grigoryeva & Ortega 2023 (arXiv:2305.01457): the total is the rank "
    "of the controllability matrix",
    f"random inputs U(-1, 1), a read-out for every lag fitted by least squares to {SEQUENCES:,} sequences and "
    "judged by as many held-out ones, squared correlations without their bias.",
    (),
    "",
    run,
)
