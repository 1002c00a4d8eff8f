"""One trial: a pure function of the study and its key (length, repetition)."""

import platform
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict

from memspan._version import __version__
from memspan.axes import Array
from memspan.diagnostics import GradientFlow
from memspan.ensemble import Ensemble, Member
from memspan.history import Status
from memspan.losses import Loss
from memspan.network import Network
from memspan.study.specification import Study
from memspan.tasks import Batch, Batches

EVALUATE_EVERY = 50
FINAL_SAMPLES = 10_000  # the standard error of an accuracy is then at most 0.005
CURVE_POINTS = 150
EVALUATION_SAMPLES = 500  # in a batch


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
    """Train and score one network: a group of one."""
    return run_group(study, length, [repetition], provenance, lambda repetition, updates: observe(updates))[0]


def run_group(
    study: Study,
    length: int,
    repetitions: Sequence[int],
    provenance: Provenance,
    observe: Callable[[int, int], None] = lambda repetition, updates: None,
) -> list[Trial]:
    """Train and score some repetitions of a length side by side.

    Every random number of a repetition comes from `SeedSequence(study.seed, spawn_key=(length, repetition))`, so
    its result does not depend on which other trials run, beside it or elsewhere, in which order or process.

    Parameters
    ----------
    study : Study
    length : int
    repetitions : sequence of int
        With the length, the trials' keys.
    provenance : Provenance
        Recorded with the results.
    observe : callable
        Called after each update, for each network in training, with its repetition and the number of updates done;
        may raise `Stopped`.
    """
    started = time.perf_counter()
    try:
        found = _train(study, length, repetitions, observe)
    except Stopped:
        raise
    except Exception as error:  # whatever it was, the other trials go on
        if len(repetitions) > 1:
            return [run_group(study, length, [one], provenance, observe)[0] for one in repetitions]
        found = [{"status": "failed", "reason": f"{type(error).__name__}: {error}"}]
    each = (time.perf_counter() - started) / len(repetitions)
    identity = {"length": length, "seed": study.seed, "seconds": each, "provenance": provenance}
    pairs = zip(repetitions, found, strict=True)
    return [Trial.model_validate({**identity, "repetition": repetition, **its}) for repetition, its in pairs]


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


def _train(
    study: Study, length: int, repetitions: Sequence[int], observe: Callable[[int, int], None]
) -> list[dict[str, object]]:
    task = study.new_task()
    loss, models, streams, fresh = task.new_loss(), [], [], []
    for repetition in repetitions:
        key = np.random.SeedSequence(study.seed, spawn_key=(length, repetition))
        for_weights, for_training, for_evaluation = key.spawn(3)
        models.append(study.new_network(length, for_weights))
        streams.append(Batches(task, length, study.batch, for_training, study.dtype))
        fresh.append(Batches(task, length, EVALUATION_SAMPLES, for_evaluation, study.dtype))
    starts = [_flow(model, loss, stream.peek()) for model, stream in zip(models, streams, strict=True)]
    optimizer, threshold = study.new_optimizer(), study.threshold
    ensemble = Ensemble(models, loss, streams, optimizer, evaluation=fresh, threshold=threshold)
    members = dict(zip(repetitions, ensemble.members, strict=True))

    def watch() -> None:
        for repetition, member in members.items():
            if member.outcome is None:
                observe(repetition, member.updates)

    every = -(-study.updates // CURVE_POINTS)
    outcomes = ensemble.fit(
        study.updates,
        evaluate_every=EVALUATE_EVERY,
        evaluation_batches=1,
        final_batches=FINAL_SAMPLES // EVALUATION_SAMPLES,
        progress=False,
        observe=watch,
        flow_every=every if 0 in members else 0,
    )
    if any(outcome.status is Status.INTERRUPTED for outcome in outcomes):
        raise KeyboardInterrupt
    pairs = zip(members.items(), starts, strict=True)
    return [_result(ensemble, repetition, member, start, every) for (repetition, member), start in pairs]


def _result(ensemble: Ensemble, repetition: int, member: Member, start: Flow, every: int) -> dict[str, object]:
    """What a trial shows of a network that has been trained."""
    outcome, last = member.outcome, member.last
    assert outcome is not None
    final = outcome.evaluation or ensemble.evaluate(FINAL_SAMPLES // EVALUATION_SAMPLES, [member])[0]
    return {
        "status": outcome.status.value,
        "reason": outcome.tensor or "",
        "updates": outcome.update,
        "accuracy": final.accuracy,
        "loss": final.loss,
        "curve": _rounded(_binned(np.array(member.history.loss), every)),
        "curve_every": every,
        "start": start,
        "end": start if last is None else _flow(member.model, ensemble.loss, last),
        "flow_map": [_rounded(flow) for flow in member.flows] if repetition == 0 else [],
        "flow_every": every,
    }


@np.errstate(over="ignore", invalid="ignore")  # a gradient that overflows is a result
def _flow(model: Network, loss: Loss, batch: Batch) -> Flow:
    """The gradient of a batch at every time step, with the weights as they are."""
    loss.forward(model.forward(batch.x), batch.y.astype(model.dtype))
    return Flow.of(GradientFlow.of(model.backpropagate(loss.backward())))


def _binned(values: Array, width: int) -> Array:
    """Means of `width` values each; the last bin may hold fewer."""
    begins = np.arange(0, len(values), width)
    return np.add.reduceat(values, begins) / np.diff([*begins, len(values)]) if len(values) else values


def _rounded(values: Array) -> list[float]:
    return [float(f"{value:.6g}") for value in values]
