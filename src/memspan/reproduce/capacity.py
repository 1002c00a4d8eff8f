"""A theorem checked: the memory capacity of a linear network is the rank of its controllability matrix.

The rank counts the present number, of lag 0, too. Jaeger's memory capacity begins with a lag of 1, so it is the
rank less the capacity of lag 0.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from memspan.cells.initializers import orthogonal
from memspan.network import Network
from memspan.reproduce.base import Finding, Options, Reproduction, Verdict, run_each
from memspan.shapes import Array, PerStep
from memspan.tasks import MemoryCapacity

SEQUENCES = 20_000
"""To fit a read-out to; as many others measure its capacity."""
ALLOWED = 0.02
"""Of the rank: what fitting a read-out to so many sequences may cost."""
LAG = 0.03
"""By how much the capacity of a lag may differ."""


@dataclass(frozen=True)
class LinearNetwork:
    """A linear network of which the memory capacity is measured.

    Attributes
    ----------
    what : str
    rank : int
        Of the controllability matrix, whose columns are the responses, in exact arithmetic.
    R, W : array
    length : int
        The largest lag plus one.
    """

    what: str
    rank: int
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
    def rank_in_float64(self) -> int:
        """The rank that is found numerically: singular values below the rounding of the largest count as 0."""
        return int(np.linalg.matrix_rank(self.responses()))

    def by_lag(self) -> PerStep:
        """The capacity of each lag in theory: the diagonal of the projection onto the rows of the responses."""
        _, _, rows = np.linalg.svd(self.responses(), full_matrices=False)
        return np.asarray((rows[: self.rank_in_float64] ** 2).sum(axis=0))


def networks(seed: int) -> list[LinearNetwork]:
    """Three of full rank, two of lower rank, and one of full rank that float64 does not see."""
    rng = np.random.default_rng(seed)
    turns = orthogonal(rng, 3, 3)
    first = np.zeros((1, 12))
    first[0, 0] = 1
    well = [
        LinearNetwork(
            "10 units, R random orthogonal times 0.9",
            10,
            0.9 * orthogonal(rng, 10, 10),
            rng.uniform(-1, 1, (1, 10)),
            100,
        ),
        LinearNetwork(
            "30 units, R random orthogonal times 0.95",
            30,
            0.95 * orthogonal(rng, 30, 30),
            rng.uniform(-1, 1, (1, 30)),
            300,
        ),
        LinearNetwork("12 units, a line of delays", 12, np.eye(12, k=1), first, 40),
        LinearNetwork(
            "9 units, 3 copies of one R of 3 units",
            3,
            0.9 * np.kron(np.eye(3), turns),
            rng.uniform(-1, 1, (1, 9)),
            100,
        ),
        LinearNetwork(
            "10 units that all forget alike, R = 0.9", 1, 0.9 * np.eye(10), rng.uniform(-1, 1, (1, 10)), 100
        ),
    ]
    return [*well, ill_conditioned(rng)]


def ill_conditioned(rng: np.random.Generator) -> LinearNetwork:
    """Units that forget at rates of their own: no two alike, but their responses nearly depend on each other."""
    what, rates = "30 units that forget at rates from 0.1 to 0.95", np.linspace(0.1, 0.95, 30)
    return LinearNetwork(what, 30, np.diag(rates), rng.uniform(-1, 1, (1, 30)), 300)


def measure(options: Options) -> list[dict[str, Any]]:
    """Fit a read-out to the states of each network, and measure it on held-out sequences."""
    arguments = [(linear, (options.seed, k)) for k, linear in enumerate(networks(options.seed))]
    return run_each(measure_one, arguments, options, "memory capacity")


def measure_one(argument: tuple[LinearNetwork, tuple[int, ...]]) -> dict[str, Any]:
    """The capacity of a network, without lag 0, beside theory. The seed is that of its sequences."""
    linear, seed = argument
    rng = np.random.default_rng(seed)
    hidden = len(linear.R)
    network = Network("rnn-linear", 1, hidden, 1, rng=0)
    network.R, network.W, network.bs = linear.R, linear.W, np.zeros((hidden, 1))
    (states, x), (held_out, y) = (_states(network, linear.length, rng) for _ in range(2))
    read_out, *_ = np.linalg.lstsq(states, x, rcond=1e-10)
    found, theory = MemoryCapacity.capacity(held_out @ read_out, y), linear.by_lag()
    return {
        "what": linear.what,
        "rank": linear.rank,
        "rank_in_float64": linear.rank_in_float64,
        "lag_0": float(theory[0]),
        "total": found.total,
        "error": found.error,
        "largest_difference": float(np.abs(found.by_lag - theory[1:]).max()),
    }


def _states(network: Network, length: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """The last states of many sequences, and the numbers of each lag from 1 on."""
    x = rng.uniform(-1, 1, (length, SEQUENCES, 1))
    network.forward(x)
    assert network.trace is not None
    return network.trace.a[-1], x[-2::-1, :, 0].T


def judge(measured: list[dict[str, Any]]) -> list[Finding]:
    """The total of each network against theory; and that of each lag, where float64 has the whole rank."""
    return [finding for found in measured for finding in _findings(**found)]


def _findings(
    what: str, rank: int, rank_in_float64: int, lag_0: float, total: float, error: float, largest_difference: float
) -> list[Finding]:
    theory, reach = rank - lag_0, 1.96 * error + ALLOWED * rank
    in_float64 = "" if rank == rank_in_float64 else f"; {rank_in_float64 - lag_0:.2f} for the rank in float64"
    findings = [
        Finding(
            f"capacity of all lags from 1 on: {what}",
            f"{theory:.2f} (rank {rank}, less lag 0){in_float64}",
            f"{total:.2f} ± {1.96 * error:.2f}",
            f"within {reach:.2f} of theory: the 95 % interval, and {100 * ALLOWED:g} % of the rank for the fit",
            Verdict.of(abs(total - theory) <= reach),
        )
    ]
    if not in_float64:
        findings.append(
            Finding(
                "capacity of each lag",
                "diagonal of the projection onto the responses",
                f"largest difference {largest_difference:.3f}",
                f"at most {LAG:g}",
                Verdict.of(largest_difference <= LAG),
            )
        )
    return findings


REPRODUCTION = Reproduction(
    "memory-capacity",
    "A theorem checked: the memory capacity of linear networks",
    "Jaeger 2001 (GMD report 152) defines it; Ballarin, Grigoryeva & Ortega 2023 (arXiv:2305.01457): with lag 0 "
    "it is the rank of the controllability matrix. There is no published table to compare with.",
    f"random inputs U(-1, 1), a read-out for every lag fitted by least squares to {SEQUENCES:,} sequences and "
    "judged by as many held-out ones, squared correlations without their bias. The last network is "
    "ill-conditioned: the theorem holds for it too, but float64 does not see its rank, and no read-out can be "
    "fitted that reaches it.",
    (),
    measure,
    judge,
    changed=(
        "lag 0, the present number, was counted, which memory capacity does not; ill-conditioned networks were "
        "left out.",
    ),
    against="theory",
)
