"""The trial, a pure function of its configuration, length and repetition."""

import hashlib
import math
import os
import socket
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from memspan._version import __version__
from memspan.diagnostics import GradientFlow
from memspan.errors import shown
from memspan.losses import Loss, value_of
from memspan.network import Network
from memspan.runtime.floats import quiet
from memspan.shapes import Array
from memspan.study.configuration import Configuration
from memspan.study.study import Key
from memspan.tasks import Batch, Batches
from memspan.training.ensemble import Ensemble
from memspan.training.history import Outcome
from memspan.training.member import Member

CURVE_POINTS = 150
DIGITS = 20  # binary digits kept of a number in a curve, about six decimal digits
ENGINE = "compiled"
VERSION = 2
"""The version of the rules by which a trial ends and is judged.

1: the held-out batches that decided to stop training gave the verdict too. 2: fresh batches give it."""


TESTED = 3
"""The spawn key of sequences for tests at other lengths; `untrained` uses 0 to 2."""


class _Record(BaseModel):
    # JSON has no NaN and no infinity, so they are written as strings.
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")


class Flow(_Record):
    """A `GradientFlow` as lists: the norms of dL/da[t] and of each step's contributions to dL/dR and dL/dW."""

    d_a: list[float]
    d_R: list[float]
    d_W: list[float]

    def __repr__(self) -> str:
        return f"<Flow over {len(self.d_a)} steps>"

    __str__ = __repr__

    @classmethod
    def of(cls, flow: GradientFlow) -> Self:
        """Return a `GradientFlow` as lists, rounded to about six digits."""
        return cls(d_a=rounded(flow.d_a), d_R=rounded(flow.d_R), d_W=rounded(flow.d_W))


class Test(_Record):
    """The score of a trained network on sequences of another length.

    Attributes
    ----------
    length : int
        T of these sequences.
    accuracy, loss : float
        The mean accuracy and loss on fresh batches.
    """

    length: int
    accuracy: float
    loss: float


class Trial(_Record):
    """The result of training one network.

    Attributes
    ----------
    configuration, length, repetition : int
        The key.
    outcome : Outcome
        `solved`, `unsolved`, `diverged`, or `failed` if an error or the death of its worker ended the trial.
    reason : str
        For `diverged` the tensor that was not finite, for `failed` the error.
    updates : int
        The number of updates done.
    accuracy, loss : float
        The mean accuracy and loss after training, on held-out batches that no decision to stop has seen.
    tests : list of Test
        The scores at each length of `Study.test_lengths`.
    version : int
        The version of the rules by which the trial ended and was judged (`VERSION`).
    accuracies, losses : list of float
        The accuracy and loss of each of these batches.
    seconds, cpu_seconds : float
        Wall-clock and processor time. Trials that ran side by side have equal shares of their time.
    engine, worker, memspan : str
        The engine, the machine and process, and the version of memspan that computed the trial.
    attempts : int
        1, plus 1 for each worker that died while it ran only this trial.
    digest : str
        SHA-256 of the trained weights, the bytes of `Network.parameters` in little-endian order.
    curve : list of float
        The training loss, one mean for every `curve_every` updates.
    start, end : Flow or None
        The gradient at every time step: for the first batch before training, and for the last batch after it.
    flow_map : list of list of float
        For repetition 0: ‖dL/da[t]‖ at every time step, one row every `flow_every` updates, from the first update.
    weights : bytes or None
        The trained weights as a safetensors file, for the first `Study.keep_weights` repetitions.
    """

    configuration: int = 0
    length: int
    repetition: int
    outcome: Literal[Outcome.SOLVED, Outcome.UNSOLVED, Outcome.DIVERGED, Outcome.FAILED]
    reason: str = ""
    updates: int = 0
    accuracy: float = float("nan")
    loss: float = float("nan")
    accuracies: list[float] = []
    losses: list[float] = []
    tests: list[Test] = []
    version: int = VERSION
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    engine: str = ENGINE
    worker: str = ""
    memspan: str = __version__
    attempts: int = 1
    digest: str = ""
    curve: list[float] = []
    curve_every: int = 1
    start: Flow | None = None
    end: Flow | None = None
    flow_map: list[list[float]] = []
    flow_every: int = 1
    weights: bytes | None = Field(None, repr=False, exclude=True)

    def __repr__(self) -> str:
        which = f"T={self.length}, repetition {self.repetition}, configuration {self.configuration}"
        scores = f"accuracy {self.accuracy:.3f}, loss {self.loss:.4g}, {self.updates} updates"
        return (
            f"<Trial {which}: {self.outcome}, {shown(self.reason) if self.outcome is Outcome.FAILED else scores}>"
        )

    __str__ = __repr__

    @property
    def key(self) -> Key:
        """The key of the trial in its study."""
        return Key(self.configuration, self.length, self.repetition)

    def scores_at(self, lengths: Iterable[int]) -> dict[str, float]:
        """Return `accuracy_at_40`, `loss_at_40` and so on for each length; NaN where it was not scored."""
        found = {test.length: test for test in self.tests}
        return {
            f"{score}_at_{length}": getattr(found.get(length), score, math.nan)
            for length in lengths
            for score in ("accuracy", "loss")
        }


ACCIDENTAL = frozenset({"seconds", "cpu_seconds", "worker", "attempts"})
"""The fields of a trial that differ from one run to the next. All others are a function of the key."""


class Stopped(Exception):
    """An observer raises this to end a trial without a result."""


def run_trial(configuration: Configuration, length: int, repetition: int) -> Trial:
    """Train and score one network."""
    return run_group(configuration, length, [repetition])[0]


@quiet
def run_group(
    configuration: Configuration,
    length: int,
    repetitions: Sequence[int],
    observe: Callable[[int, int], None] = lambda repetition, updates: None,
    *,
    keep_weights: int = 0,
    test_lengths: Sequence[int] = (),
) -> list[Trial]:
    """Train and score several repetitions of a length side by side.

    All random numbers of a repetition come from `SeedSequence(seed, spawn_key=(length, repetition))` with the
    configuration's seed. So its result does not depend on the other trials, their order, or the process.
    Configurations share these streams, so they are compared on the same sequences.

    Parameters
    ----------
    configuration : Configuration
    length : int
    repetitions : sequence of int
        The repetitions to run.
    observe : callable
        Called after each update, for each network that still trains, with its repetition and the number of its
        updates. It may raise `Stopped`.
    keep_weights : int
        Repetitions below this number keep their trained weights.
    test_lengths : sequence of int
        Lengths at which the trained networks are also scored.

    Returns
    -------
    list of Trial
        One for each repetition. If the group raises an error, each repetition is run alone. A repetition that
        raises an error again has `failed`.
    """
    started, began = time.perf_counter(), time.process_time()
    try:
        found = _train(configuration, length, repetitions, observe, keep_weights, test_lengths)
    except Stopped:
        raise
    except Exception as error:  # one trial's error must not end the others
        if len(repetitions) > 1:
            kept: dict[str, Any] = {"keep_weights": keep_weights, "test_lengths": test_lengths}
            return [run_group(configuration, length, [one], observe, **kept)[0] for one in repetitions]
        found = [{"outcome": "failed", "reason": f"{type(error).__name__}: {error}"}]
    each = {
        "length": length,
        "seconds": (time.perf_counter() - started) / len(repetitions),
        "cpu_seconds": (time.process_time() - began) / len(repetitions),
        "worker": f"{socket.gethostname()}:{os.getpid()}",
    }
    pairs = zip(repetitions, found, strict=True)
    return [Trial.model_validate({**each, "repetition": repetition, **its}) for repetition, its in pairs]


def prepared(configuration: Configuration, length: int, repetitions: Sequence[int]) -> Ensemble:
    """Return the ensemble of some repetitions before training, with their batches."""
    task = configuration.make_task()
    models, streams, held_out = zip(*(untrained(configuration, length, one) for one in repetitions), strict=True)
    return Ensemble(
        list(models),
        task.make_loss(),
        list(streams),
        configuration.make_optimizer(),
        evaluation=list(held_out),
        threshold=configuration.threshold,
        engine=ENGINE,
    )


def untrained(configuration: Configuration, length: int, repetition: int) -> tuple[Network, Batches, Batches]:
    """Return the initial network of a trial, its training batches and its held-out batches."""
    key = np.random.SeedSequence(configuration.seed, spawn_key=(length, repetition))
    for_weights, for_training, for_evaluation = key.spawn(3)
    task, dtype = configuration.make_task(), configuration.dtype
    return (
        configuration.make_network(length, for_weights),
        Batches(task, length, configuration.batch, for_training, dtype),
        Batches(task, length, configuration.evaluation_samples, for_evaluation, dtype),
    )


def _train(
    configuration: Configuration,
    length: int,
    repetitions: Sequence[int],
    observe: Callable[[int, int], None],
    keep_weights: int,
    test_lengths: Sequence[int],
) -> list[dict[str, object]]:
    ensemble = prepared(configuration, length, repetitions)
    starts = [flow_of(member.model, ensemble.loss, member.draw()) for member in ensemble.members]
    members = dict(zip(repetitions, ensemble.members, strict=True))

    def watch() -> None:
        for repetition, member in members.items():
            if member.result is None:
                observe(repetition, member.updates)

    results = ensemble.fit(
        configuration.updates,
        evaluate_every=configuration.evaluate_every,
        evaluation_batches=1,
        final_batches=configuration.final_batches,
        progress=False,
        observe=watch,
        flow_every=_curve_every(configuration) if 0 in members else 0,
    )
    if any(result.outcome is Outcome.INTERRUPTED for result in results):
        raise KeyboardInterrupt
    tests = _tests(ensemble, configuration, length, repetitions, test_lengths)
    return [
        _result(ensemble, configuration, repetition, member, start)
        | {"weights": _saved(member.model) if repetition < keep_weights else None, "tests": scores}
        for (repetition, member), start, scores in zip(members.items(), starts, tests, strict=True)
    ]


def _tests(
    ensemble: Ensemble,
    configuration: Configuration,
    length: int,
    repetitions: Sequence[int],
    test_lengths: Sequence[int],
) -> list[list[Test]]:
    """Return for each trained network its scores at other lengths, each on sequences of its own."""
    task, samples, dtype = configuration.make_task(), configuration.evaluation_samples, configuration.dtype
    found: list[list[Test]] = [[] for _ in repetitions]
    for other in test_lengths:
        keys = ((length, repetition, TESTED, other) for repetition in repetitions)
        seeds = [np.random.SeedSequence(configuration.seed, spawn_key=key) for key in keys]
        streams = [Batches(task, other, samples, seed, dtype) for seed in seeds]
        scores = ensemble.evaluate(configuration.final_batches, streams=streams)
        for tests, score in zip(found, scores, strict=True):
            tests.append(Test(length=other, accuracy=score.accuracy, loss=score.loss))
    return found


def _result(
    ensemble: Ensemble,
    configuration: Configuration,
    repetition: int,
    member: Member,
    start: Flow,
) -> dict[str, object]:
    """Return the fields of a trial that describe its trained network."""
    result, last, every = member.result, member.last, _curve_every(configuration)
    assert result is not None
    final = result.evaluation or ensemble.evaluate(configuration.final_batches, [member])[0]
    parameters = member.model.parameters.astype(member.model.dtype.newbyteorder("<"), copy=False)
    return {
        "outcome": result.outcome,
        "reason": result.tensor or "",
        "updates": result.update,
        "accuracy": final.accuracy,
        "loss": final.loss,
        "accuracies": final.accuracies.tolist(),
        "losses": [float(f"{loss:.6g}") for loss in final.losses],
        "digest": hashlib.sha256(parameters.tobytes()).hexdigest(),
        "curve": rounded(_binned(np.array(member.history.loss), every)),
        "curve_every": every,
        "start": start,
        "end": start if last is None else flow_of(member.model, ensemble.loss, last),
        "flow_map": [rounded(flow) for flow in member.flows] if repetition == 0 else [],
        "flow_every": every,
    }


def _curve_every(configuration: Configuration) -> int:
    return -(-configuration.updates // CURVE_POINTS)


def _saved(model: Network) -> bytes:
    from safetensors.numpy import save

    return save(
        {name: np.ascontiguousarray(view) for name, view in model.layout.by_name(model.parameters).items()}
    )


def flow_of(model: Network, loss: Loss, batch: Batch) -> Flow:
    """Return `gradient_flow` in the form that a trial keeps."""
    return Flow.of(gradient_flow(model, loss, batch))


@np.errstate(over="ignore", invalid="ignore")  # a gradient that overflows is a result
def gradient_flow(model: Network, loss: Loss, batch: Batch) -> GradientFlow:
    """Return the gradient of a batch at every time step, for the present weights."""
    twin = model.astype(model.dtype)  # a copy, so that the network itself does not keep the trace
    value_of(loss, twin.forward(batch.x), batch.y.astype(model.dtype))
    return GradientFlow.of(twin.backpropagate(loss.backward()))


def _binned(values: Array, width: int) -> Array:
    """Return the means of `width` values each; the last mean may be over fewer."""
    begins = np.arange(0, len(values), width)
    return np.add.reduceat(values, begins) / np.diff([*begins, len(values)]) if len(values) else values


def rounded(values: Array) -> list[float]:
    """Round each value to about six digits, which is enough for a plot and compresses well."""
    mantissa, exponent = np.frexp(np.asarray(values, np.float64))
    kept: list[float] = np.ldexp(np.trunc(mantissa * 2**DIGITS) / 2**DIGITS, exponent).tolist()
    return kept
