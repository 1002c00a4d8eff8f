"""Measure the errors of the compiled activations, over all float32 arguments and over a sample of float64.

    python benchmarks/activation_errors.py [function ...]

The script takes two minutes for each function; the rows of functions that are not named stay as they are. Errors
are in units in the last place of the right result. If the right result is denormal, the unit is the smallest
denormal number, and the logistic function and softplus may return anything from 0 to the smallest normal number.
Sine and cosine are measured over |x| ≤ 1000. The right result for float32 comes from NumPy in float64, and for
float64 from mpmath if it is installed. The script prints the table and writes it to benchmarks/results/.
"""

import json
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numba
import numpy as np
from numba import njit

import memspan.engines.compiled.activations  # noqa: F401  (registers the twins)
from memspan.cells.activations import cos, exp, relu, sigmoid, sin, softplus, softplus_derivative, tanh

RESULTS = Path(__file__).parent / "results"
FUNCTIONS = (tanh, sigmoid, exp, softplus, softplus_derivative, relu, sin, cos)
FLUSHED = (sigmoid, softplus)  # results below the smallest normal number may be flushed to 0
PERIODIC = (sin, cos)
FARTHEST = 1000  # the largest |x| for the periodic functions
FLAGS = {"error_model": "numpy", "fastmath": {"contract"}, "nogil": True}
TINY = np.finfo(np.float32).tiny
CHUNK = 1 << 20
SAMPLE = 20_000
REPEATS = 3000


def compiled(function: Callable) -> Callable:
    """Return a kernel that applies the compiled form of `function` to every element."""

    @njit(**FLAGS)
    def kernel(x, out):
        for i in range(x.size):
            out[i] = function(x[i])

    return kernel


@njit(error_model="numpy")
def largest_error(out, truth, flushed):
    """The largest error in units in the last place, and its index; infinite if only one is NaN or infinite."""
    worst, where = 0.0, 0
    for i in range(out.size):
        right = np.float32(truth[i])
        if flushed and right < TINY and 0 <= out[i] <= TINY:
            error = 0.0
        elif np.isnan(right) or np.isinf(right):
            error = 0.0 if out[i] == right or (np.isnan(right) and np.isnan(out[i])) else np.inf
        else:
            exponent = max((right.view(np.int32) >> 23) & 255, 1)
            error = abs(np.float64(out[i]) - truth[i]) * 2.0 ** (150 - exponent)
            error = np.inf if np.isnan(error) else error
        if error > worst:
            worst, where = error, i
    return worst, where


def all_float32(function: Callable) -> tuple[float, float]:
    """The largest error over all 2³² arguments, and the argument."""
    kernel, worst, where = compiled(function), 0.0, 0.0
    # softplus_derivative takes the value of softplus, which is positive
    end = 1 << (31 if function is softplus_derivative else 32)
    for begin in range(0, end, CHUNK):
        x = np.arange(begin, begin + CHUNK, dtype=np.uint32).view(np.float32)
        x = x[np.abs(x) <= FARTHEST] if function in PERIODIC else x
        out = np.empty_like(x)
        kernel(x, out)
        with np.errstate(over="ignore", invalid="ignore"):
            error, i = largest_error(out, function(x.astype(np.float64)), function in FLUSHED)
        if error > worst:
            worst, where = error, float(x[i])
    return worst, where


def exact(name: str, x: float) -> tuple[float, float]:
    """The right result to thirty digits, as the nearest float64 and the remainder."""
    import mpmath as mp

    with mp.workdps(50):
        x = mp.mpf(x)
        match name:
            case "tanh":
                value = mp.tanh(x)
            case "sigmoid":
                value = 1 / (1 + mp.exp(-x))
            case "exp":
                value = mp.exp(x)
            case "softplus":
                value = mp.log1p(mp.exp(x))
            case "softplus_derivative":
                value = -mp.expm1(-x)
            case "sin":
                value = mp.sin(x)
            case "cos":
                value = mp.cos(x)
            case _:
                value = max(x, mp.mpf(0))
        nearest = float(value)
        return nearest, float(value - nearest)


def sample_float64(function: Callable) -> float | None:
    """The largest error over a sample of small and large arguments; None without mpmath."""
    try:
        import mpmath  # noqa: F401
    except ImportError:
        return None
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.uniform(-1, 1, SAMPLE), rng.normal(0, 3, SAMPLE), rng.uniform(-700, 700, SAMPLE)])
    x = np.abs(x) if function is softplus_derivative else x
    out = np.empty_like(x)
    compiled(function)(x, out)
    nearest, rest = np.array([exact(function.__name__, value) for value in x]).T
    return float(np.max(np.abs((out - nearest) - rest) / np.spacing(np.abs(nearest))))


def nanoseconds(kernel: Callable, dtype: type) -> float:
    """The time of the fastest of many runs, per element."""
    x = np.random.default_rng(0).normal(0, 2, 4096).astype(dtype)
    out, best = np.empty_like(x), np.inf
    kernel(x, out)
    for _ in range(REPEATS):
        began = time.perf_counter()
        kernel(x, out)
        best = min(best, time.perf_counter() - began)
    return best / x.size * 1e9


def measure(function: Callable) -> dict[str, object]:
    """Measure one row of the table."""
    worst, where = all_float32(function)
    row = {"function": function.__name__, "float32": worst, "where": where, "float64": sample_float64(function)}
    for dtype in (np.float32, np.float64):
        row[f"ns_{dtype.__name__}"] = nanoseconds(compiled(function), dtype)
        row[f"numpy_ns_{dtype.__name__}"] = nanoseconds(lambda x, out: np.copyto(out, function(x)), dtype)
    return row


def check_special_values() -> None:
    """Check the results for NaN, the infinities and the zeros."""
    x = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0])
    right = {
        "tanh": [np.nan, 1, -1, 0.0, -0.0],
        "sigmoid": [np.nan, 1, 0, 0.5, 0.5],
        "exp": [np.nan, np.inf, 0, 1, 1],
        "softplus": [np.nan, np.inf, 0, np.log(2), np.log(2)],
        "relu": [0, np.inf, 0, 0, 0],
    }
    for function in FUNCTIONS:
        for dtype in (np.float32, np.float64) if function.__name__ in right else ():
            values, out = np.array(right[function.__name__], dtype), np.empty(5, dtype)
            compiled(function)(x.astype(dtype), out)
            out[(out <= np.finfo(dtype).tiny) & (function in FLUSHED)] = 0
            np.testing.assert_array_max_ulp(out, values, 2)
            np.testing.assert_array_equal(np.signbit(out[1:]), np.signbit(values[1:]))


def table(rows: list[dict[str, object]]) -> str:
    """Write the rows as a Markdown table."""
    lines = [
        "Largest error in units in the last place (float32: all 2³² arguments, or all |x| ≤ "
        f"{FARTHEST} for sine and cosine; float64: a sample) and nanoseconds "
        f"per element, also for the NumPy function; numba {numba.__version__}, numpy {np.__version__}, "
        f"{platform.machine()}.",
        "",
        "| function | float32 | at | float64 | ns, float32 | NumPy | ns, float64 | NumPy |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        double = "not measured" if row["float64"] is None else f"{row['float64']:.2f}"
        speeds = (row[f"{who}ns_{dtype}"] for dtype in ("float32", "float64") for who in ("", "numpy_"))
        lines.append(
            f"| {row['function']} | {row['float32']:.3f} | {row['where']:.9g} | {double} | "
            + " | ".join(f"{speed:.2f}" for speed in speeds)
            + " |"
        )
    return "\n".join(lines) + "\n"


def earlier() -> dict[str, dict[str, object]]:
    """The rows of an earlier run, by function."""
    path = RESULTS / "activation_errors.json"
    rows = json.loads(path.read_text("utf-8"))["errors"] if path.exists() else []
    return {row["function"]: row for row in rows}


def main(*names: str) -> None:
    check_special_values()
    rows = {
        function.__name__: measure(function) for function in FUNCTIONS if not names or function.__name__ in names
    }
    rows = earlier() | rows
    rows = [rows[function.__name__] for function in FUNCTIONS if function.__name__ in rows]
    text = table(rows)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "activation_errors.md").write_text(text, encoding="utf-8")
    record = {"errors": rows, "numba": numba.__version__, "numpy": np.__version__}
    (RESULTS / "activation_errors.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main(*sys.argv[1:])
