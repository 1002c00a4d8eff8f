"""The self-test: a gradient, the two engines, and a small study."""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from memspan.cli.doctor.finding import Finding, State
from memspan.engines.compiled import CompiledEngine
from memspan.errors import told
from memspan.execution.run import run_study
from memspan.gradcheck import gradient_check
from memspan.losses import MSELoss
from memspan.network import Network
from memspan.study import Study

STEPS = 20
SIZES = {"hidden": 4, "batch": 4, "updates": 20, "final_batches": 1, "evaluation_samples": 50}
TINY = Study(**SIZES, lengths=(2, 4), repetitions=2, name="tiny")
ADVICE = "Report this, with the output of `memspan doctor --json`."


def selftest() -> list[Finding]:
    """Run each test; an error is a finding too."""
    tests = {"gradient": _gradient, "engines": _engines, "study": _study}
    return [_tested(part, test) for part, test in tests.items()]


def _tested(part: str, test: Callable[[], tuple[bool, str]]) -> Finding:
    began = time.perf_counter()
    try:
        sound, found = test()
    except Exception as error:
        return Finding(part, told(error), State.BROKEN, ADVICE)
    found = f"{found} ({time.perf_counter() - began:.1f} s)"
    return Finding(part, found) if sound else Finding(part, found, State.BROKEN, ADVICE)


def _gradient() -> tuple[bool, str]:
    """Compare the gradient of an LSTM with the complex step."""
    rng = np.random.default_rng(0)
    network = Network("lstm", 2, 4, 1, rng=rng)
    report = gradient_check(network, rng.normal(size=(STEPS, 3, 2)), rng.normal(size=(3, 1)), MSELoss())
    return bool(report), report.verdict.removesuffix(".")


def _engines() -> tuple[bool, str]:
    """Compare the gradient of the compiled engine with that of the readable one, in float32."""
    rng = np.random.default_rng(0)
    network, loss = Network("rnn", 1, 8, 1, dtype="float32", rng=rng), MSELoss()
    x, y = rng.normal(size=(STEPS, 4, 1)).astype("f4"), rng.normal(size=(4, 1)).astype("f4")
    loss.forward(network.forward(x), y)
    expected = network.backpropagate(loss.backward()).total()
    engine = CompiledEngine(network.layout, network.dtype, MSELoss())
    (found,) = engine.differentiate(network.parameters[np.newaxis], [(x, y)]).gradients
    error = float(np.abs(found - expected).max() / np.abs(expected).max())
    sound = error <= 64 * float(np.finfo("f4").eps) * STEPS
    return sound, f"the compiled engine differs from the readable one by {error:.1e}"


def _study() -> tuple[bool, str]:
    """Train a small study in another process and in this one, and compare the results to the last bit."""
    with tempfile.TemporaryDirectory(prefix="memspan-") as folder:
        there, here = (run_study(TINY, Path(folder, f"{n}.sqlite"), workers=n, progress=False) for n in (1, 0))
    digests = [[trial.digest for trial in result.trials] for result in (there, here)]
    same = digests[0] == digests[1] and there.complete
    how = "equal to" if same else "DIFFERENT from"
    return (
        same,
        f"{len(there.trials)} trainings in a worker process, kept in SQLite, are {how} those here",
    )
