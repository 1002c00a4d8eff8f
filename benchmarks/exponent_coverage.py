"""Measure how often the 95 % intervals of the Lyapunov exponents contain the exact ones.

    python benchmarks/exponent_coverage.py [--repetitions 300]

Three kinds of steps have known exponents: independent Gaussian matrices (exact), diagonal matrices whose
logarithms follow an AR(1) process (exact), and a simple recurrent network on random inputs (from a run that is
hundreds of times as long). The script takes about two minutes and writes results/exponent_coverage.json and .md.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy.special import digamma

from memspan import Jacobians, LyapunovExponents, Network
from memspan.runtime.blas import one_blas_thread

RESULTS = Path(__file__).parent / "results"
DISCARD = 50
SIZES = ((50, 1), (150, 1), (500, 1), (100, 2), (100, 5))
"""The numbers of measured steps and of samples."""
UNITS = 4
AR_COEFFICIENT = 0.6

Make = Callable[[int, int, np.random.Generator], np.ndarray]


def gaussian(steps: int, samples: int, rng: np.random.Generator) -> np.ndarray:
    """Independent matrices with elements of variance 1."""
    return rng.standard_normal((steps, samples, UNITS, UNITS))


def gaussian_exponents() -> np.ndarray:
    """Newman 1986 (doi:10.1007/BF01464284): r_ii² has a χ² distribution with N - i + 1 degrees of freedom."""
    return (digamma((UNITS - np.arange(UNITS)) / 2) + np.log(2)) / 2


def autoregressive(steps: int, samples: int, rng: np.random.Generator) -> np.ndarray:
    """Diagonal matrices; neighbouring steps are alike. The exponents are the means of the logarithms."""
    noise = rng.normal(0, 0.1, (steps, samples, 2))
    logs = noise / np.sqrt(1 - AR_COEFFICIENT**2)  # the first step from the stationary distribution
    for t in range(1, steps):
        logs[t] = AR_COEFFICIENT * logs[t - 1] + noise[t]
    J = np.zeros((steps, samples, 2, 2))
    J[..., [0, 1], [0, 1]] = np.exp(logs + np.array([0, -3]))
    return J


def network() -> Network:
    """A network near the critical gain."""
    return Network("rnn", 1, UNITS, 1, gain=5.0, rng=0)


def of_network(steps: int, samples: int, rng: np.random.Generator) -> np.ndarray:
    """Its Jacobians on uniform inputs."""
    return Jacobians.of(network(), rng.uniform(-1, 1, (steps, samples, 1))).J


def long_run() -> np.ndarray:
    """The exponents of the network from many samples of many steps."""
    J = of_network(5000 + DISCARD, 40, np.random.default_rng(1))
    return LyapunovExponents.of(Jacobians(J), discard=DISCARD).values


def coverage(make: Make, exact: np.ndarray, steps: int, samples: int, repetitions: int) -> float:
    """The share of the intervals that contain the exact exponents."""
    J = make(steps + DISCARD, samples * repetitions, np.random.default_rng(0))
    inside = []
    for one in np.array_split(J, repetitions, axis=1):
        low, high = LyapunovExponents.of(Jacobians(one), discard=DISCARD).interval()
        inside.append((low <= exact) & (exact <= high))
    return float(np.mean(inside))


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repetitions", type=int, default=300)
    repetitions = parser.parse_args().repetitions
    with one_blas_thread():
        kinds = {
            "Gaussian matrices": (gaussian, gaussian_exponents()),
            "AR(1) logarithms": (autoregressive, np.array([0.0, -3.0])),
            "simple recurrent network": (of_network, long_run()),
        }
        found = {
            f"{steps} x {samples}": {
                name: coverage(make, exact, steps, samples, repetitions) for name, (make, exact) in kinds.items()
            }
            for steps, samples in SIZES
        }
    lines = [f"| steps x samples | {' | '.join(kinds)} |", f"|---|{'---:|' * len(kinds)}"]
    lines += [f"| {size} | {' | '.join(f'{x:.3f}' for x in shares.values())} |" for size, shares in found.items()]
    about = f"Intervals of 95 %, all exponents, {repetitions} repetitions, {DISCARD} steps discarded."
    table = "\n".join(lines)
    text = f"# Coverage of the intervals of Lyapunov exponents\n\n{about}\n\n{table}\n"
    print(text)
    result = {"repetitions": repetitions, "table": table, "coverage": found}
    (RESULTS / "exponent_coverage.json").write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    (RESULTS / "exponent_coverage.md").write_text(text, "utf-8")


if __name__ == "__main__":
    main()
