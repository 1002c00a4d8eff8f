"""Check of a theorem: the memory capacity of a linear network equals the rank of its controllability matrix.

In the theorem the capacity includes the present input, which has lag 0. Jaeger's memory capacity begins at lag 1,
so it is the rank minus the capacity of lag 0.
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
"""The number of sequences to fit the readouts to, and of the held-out sequences that measure the capacity."""
ALLOWED = 0.02
"""The allowed error from fitting readouts to a finite number of sequences, as a fraction of the rank."""
LAG = 0.03
"""The allowed difference from theory in the capacity of one lag."""


@dataclass(frozen=True)
class LinearNetwork:
    """A linear network whose memory capacity is measured.

    Attributes
    ----------
    what : str
        The description on the page.
    rank : int
        The rank, in exact arithmetic, of the controllability matrix, whose columns are the responses.
    R : array [H, H]
        The recurrent weights.
    W : array [1, H]
        The input weights.
    length : int
        The largest lag plus one.
    """

    what: str
    rank: int
    R: Array
    W: Array
    length: int

    def responses(self) -> Array:
        """Return the response of every unit to a unit input k steps earlier, for k = 0 ... T-1: `[H, T]`."""
        response, found = self.W[0], []
        for _ in range(self.length):
            found.append(response)
            response = response @ self.R
        return np.array(found).T

    @property
    def rank_in_float64(self) -> int:
        """The numerical rank in float64. Singular values below the rounding error of the largest count as 0."""
        return int(np.linalg.matrix_rank(self.responses()))

    def by_lag(self) -> PerStep:
        """Return the theoretical capacity of each lag.

        It is the diagonal of the projection onto the row space of the responses.
        """
        _, _, rows = np.linalg.svd(self.responses(), full_matrices=False)
        return np.asarray((rows[: self.rank_in_float64] ** 2).sum(axis=0))


def networks(seed: int) -> list[LinearNetwork]:
    """Create three networks of full rank, two of lower rank, and one whose full rank is lost in float64."""
    rng = np.random.default_rng(seed)
    block = orthogonal(rng, 3, 3)
    first = np.zeros((1, 12))
    first[0, 0] = 1
    well_conditioned = [
        LinearNetwork(
            "10 units, R = 0.9 times a random orthogonal matrix",
            10,
            0.9 * orthogonal(rng, 10, 10),
            rng.uniform(-1, 1, (1, 10)),
            100,
        ),
        LinearNetwork(
            "30 units, R = 0.95 times a random orthogonal matrix",
            30,
            0.95 * orthogonal(rng, 30, 30),
            rng.uniform(-1, 1, (1, 30)),
            300,
        ),
        LinearNetwork("12 units that form a delay line", 12, np.eye(12, k=1), first, 40),
        LinearNetwork(
            "9 units, R has 3 equal blocks of 3 units",
            3,
            0.9 * np.kron(np.eye(3), block),
            rng.uniform(-1, 1, (1, 9)),
            100,
        ),
        LinearNetwork(
            "10 units with the same decay, R = 0.9 times the identity",
            1,
            0.9 * np.eye(10),
            rng.uniform(-1, 1, (1, 10)),
            100,
        ),
    ]
    return [*well_conditioned, ill_conditioned(rng)]


def ill_conditioned(rng: np.random.Generator) -> LinearNetwork:
    """Create a network of units with different decay factors, whose responses are nearly linearly dependent."""
    what, rates = "30 units with decay factors from 0.1 to 0.95", np.linspace(0.1, 0.95, 30)
    return LinearNetwork(what, 30, np.diag(rates), rng.uniform(-1, 1, (1, 30)), 300)


def measure(options: Options) -> list[dict[str, Any]]:
    """Fit readouts to the states of each network, and measure the capacity on held-out sequences."""
    arguments = [(linear, (options.seed, k)) for k, linear in enumerate(networks(options.seed))]
    return run_each(measure_one, arguments, options, "memory capacity")


def measure_one(argument: tuple[LinearNetwork, tuple[int, ...]]) -> dict[str, Any]:
    """Measure the capacity of a network without lag 0. `argument` is the network and the seed of its sequences."""
    linear, seed = argument
    rng = np.random.default_rng(seed)
    hidden = len(linear.R)
    network = Network("rnn-linear", 1, hidden, 1, rng=0)
    network.R, network.W, network.bs = linear.R, linear.W, np.zeros((hidden, 1))
    (states, x), (held_out, y) = (_states(network, linear.length, rng) for _ in range(2))
    readout, *_ = np.linalg.lstsq(states, x, rcond=1e-10)
    found, theory = MemoryCapacity.capacity(held_out @ readout, y), linear.by_lag()
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
    """Return the last state `[B, H]` of each sequence, and its inputs at the lags from 1 on: `[B, T-1]`."""
    x = rng.uniform(-1, 1, (length, SEQUENCES, 1))
    network.forward(x)
    assert network.trace is not None
    return network.trace.a[-1], x[-2::-1, :, 0].T


def judge(measured: list[dict[str, Any]]) -> list[Finding]:
    """Compare the total capacity of each network with theory.

    Single lags are compared only if the numerical rank is the exact one; otherwise float64 cannot compute their
    theoretical capacities.
    """
    return [finding for found in measured for finding in _findings(**found)]


def _findings(
    what: str, rank: int, rank_in_float64: int, lag_0: float, total: float, error: float, largest_difference: float
) -> list[Finding]:
    """Compare one network, described by the entries of `measure_one`."""
    theory, reach = rank - lag_0, 1.96 * error + ALLOWED * rank
    in_float64 = (
        "" if rank == rank_in_float64 else f"; {rank_in_float64 - lag_0:.2f} with the numerical rank in float64"
    )
    findings = [
        Finding(
            f"total capacity of the lags from 1 on: {what}",
            f"{theory:.2f} (rank {rank} minus the capacity of lag 0){in_float64}",
            f"{total:.2f} ± {1.96 * error:.2f}",
            f"within {reach:.2f} of theory: the 95 % margin plus {100 * ALLOWED:g} % of the rank for the fit",
            Verdict.of(abs(total - theory) <= reach),
        )
    ]
    if not in_float64:
        findings.append(
            Finding(
                "capacity of each lag, same network",
                "diagonal of the projection onto the rows of the responses",
                f"largest difference {largest_difference:.3f}",
                f"the largest difference is at most {LAG:g}",
                Verdict.of(largest_difference <= LAG),
            )
        )
    return findings


REPRODUCTION = Reproduction(
    "memory-capacity",
    "Check of a theorem: the memory capacity of linear networks",
    "Jaeger 2001 (GMD report 152) defines the memory capacity. Ballarin, Grigoryeva & Ortega 2023 "
    "(arXiv:2305.01457) prove that, with lag 0 included, it equals the rank of the controllability matrix. "
    "There is no published table to compare with.",
    "the inputs are random numbers from U(-1, 1). A readout for every lag is fitted by least squares to "
    f"{SEQUENCES:,} sequences. The squared correlations, corrected for bias, are measured on as many held-out "
    "sequences. The last network is ill-conditioned. The theorem holds for it too, but its numerical rank in "
    "float64 is lower, and no fitted readout reaches the full capacity.",
    (),
    measure,
    judge,
    changed=(
        "the capacity. Before: with lag 0, the present input. Now: without it, as in Jaeger's definition.",
        "the networks. Before: only well-conditioned ones. Now: also an ill-conditioned one.",
    ),
    against="theory",
)
