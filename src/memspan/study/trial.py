"""One trial: a pure function of the study and its key (length, repetition)."""

import platform
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict

from memspan._version import __version__
from memspan.axes import Array
from memspan.diagnostics import GradientFlow
from memspan.history import Status
from memspan.learner import Learner
from memspan.losses import MSELoss
from memspan.study.specification import Study
from memspan.tasks import Batch, Batches

EVALUATE_EVERY = 50
FINAL_SAMPLES = 10_000  # the standard error of an accuracy is then at most 0.005
CURVE_POINTS = 150


class _Record(BaseModel):
    # JSON has no NaN and no infinity; as strings they survive the way to the file and back.
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")


class Flow(_Record):
    """`GradientFlow` as lists."""

    d_a: list[float]
    d_R: list[float]
    d_W: list[float]

    @classmethod
    def of(cls, flow: GradientFlow) -> Self:
        """Six digits are kept."""
        return cls(d_a=_rounded(flow.d_a), d_R=_rounded(flow.d_R), d_W=_rounded(flow.d_W))


class Provenance(_Record):
    """Where a result comes from."""

    memspan: str
    commit: str | None
    python: str
    numpy: str
    machine: str


class Trial(_Record):
    """What one trained network showed.

    Attributes
    ----------
    length, repetition : int
        The key.
    seed : int
        The study's.
    status : str
        `solved`, `unsolved`, `diverged`, or `failed`: the machine's fault, with the reason.
    reason : str
        For `diverged` the tensor that was not finite, for `failed` the error.
    updates : int
        Updates done.
    accuracy, loss : float
        On fresh batches, after training.
    seconds : float
        Time taken.
    curve : list of float
        The training loss, averaged over `curve_every` updates each.
    start, end : Flow or None
        The gradient at every time step: of the first batch before training, and of the last one after it.
    flow_map : list of list of float
        For repetition 0: dL/da at every time step, one row every `flow_every` updates, beginning with the first.
    provenance : Provenance
    """

    length: int
    repetition: int
    seed: int
    status: Literal["solved", "unsolved", "diverged", "failed"]
    reason: str = ""
    updates: int = 0
    accuracy: float = float("nan")
    loss: float = float("nan")
    seconds: float = 0.0
    curve: list[float] = []
    curve_every: int = 1
    start: Flow | None = None
    end: Flow | None = None
    flow_map: list[list[float]] = []
    flow_every: int = 1
    provenance: Provenance


class Stopped(Exception):
    """Raised by an observer to end a trial without a result."""


def run_trial(
    study: Study,
    length: int,
    repetition: int,
    provenance: Provenance,
    observe: Callable[[int], None] = lambda updates: None,
) -> Trial:
    """Train and score one network.

    Every random number comes from `SeedSequence(study.seed, spawn_key=(length, repetition))`, so the result does
    not depend on which other trials run, in which order or process.

    Parameters
    ----------
    study : Study
    length, repetition : int
        The trial's key.
    provenance : Provenance
        Recorded with the result.
    observe : callable
        Called with the number of updates done, after each; may raise `Stopped`.
    """
    identity = {"length": length, "repetition": repetition, "seed": study.seed, "provenance": provenance}
    started = time.perf_counter()
    try:
        found = _train(study, length, repetition, observe)
    except Stopped:
        raise
    except Exception as error:  # whatever it was, the other trials go on
        found = {"status": "failed", "reason": f"{type(error).__name__}: {error}"}
    return Trial.model_validate({**identity, **found, "seconds": time.perf_counter() - started})


def provenance() -> Provenance:
    """The versions that are running; the commit only from a checkout of memspan's own."""
    source = Path(__file__).parents[3]
    commit = None
    if (source / ".git").exists():
        command = ["git", "-C", str(source), "rev-parse", "HEAD"]
        try:
            commit = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
        except (OSError, subprocess.CalledProcessError):
            commit = None
    return Provenance(
        memspan=__version__,
        commit=commit,
        python=platform.python_version(),
        numpy=np.__version__,
        machine=f"{platform.system()} {platform.machine()}",
    )


def _train(study: Study, length: int, repetition: int, observe: Callable[[int], None]) -> dict[str, object]:
    key = np.random.SeedSequence(study.seed, spawn_key=(length, repetition))
    for_weights, for_training, for_evaluation = key.spawn(3)
    batches = Batches(study.task, length, study.batch, for_training, study.dtype)
    fresh = Batches(study.task, length, 500, for_evaluation, study.dtype)
    learner = Learner(
        study.new_network(for_weights),
        MSELoss(),
        batches,
        study.new_optimizer(),
        evaluation=fresh,
        threshold=study.threshold,
    )
    every = -(-study.updates // CURVE_POINTS)
    start = _flow(learner, batches.peek())
    rows: list[list[float]] = []

    def watch(learner: Learner) -> None:
        observe(learner.updates)
        if repetition == 0 and (learner.updates - 1) % every == 0 and learner.flow is not None:
            rows.append(_rounded(learner.flow))

    outcome = learner.fit(
        study.updates,
        evaluate_every=EVALUATE_EVERY,
        evaluation_batches=1,
        final_batches=FINAL_SAMPLES // fresh.batch,
        progress=False,
        observe=watch,
        flow_every=every if repetition == 0 else 0,
    )
    if outcome.status is Status.INTERRUPTED:
        raise KeyboardInterrupt
    final = outcome.evaluation or learner.evaluate(FINAL_SAMPLES // fresh.batch)
    return {
        "status": outcome.status.value,
        "reason": outcome.tensor or "",
        "updates": outcome.update,
        "accuracy": final.accuracy,
        "loss": final.loss,
        "curve": _rounded(_binned(np.array(learner.history.loss), every)),
        "curve_every": every,
        "start": start,
        "end": None if learner.last_batch is None else _flow(learner, learner.last_batch),
        "flow_map": rows,
        "flow_every": every,
    }


@np.errstate(over="ignore", invalid="ignore")  # a gradient that overflows is a result
def _flow(learner: Learner, batch: Batch) -> Flow:
    """The gradient of a batch at every time step, with the weights as they are."""
    model, loss = learner.model, learner.loss
    loss.forward(model.forward(batch.x), batch.y.astype(model.dtype))
    return Flow.of(GradientFlow.of(model.backpropagate(loss.backward())))


def _binned(values: Array, width: int) -> Array:
    """Means of `width` values each; the last bin may hold fewer."""
    begins = np.arange(0, len(values), width)
    return np.add.reduceat(values, begins) / np.diff([*begins, len(values)]) if len(values) else values


def _rounded(values: Array) -> list[float]:
    return [float(f"{value:.6g}") for value in values]
