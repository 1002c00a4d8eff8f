"""Groups of trials: repetitions of a length, trained and scored side by side; a pure function of their keys."""

import hashlib
import os
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from memspan.diagnostics import GradientFlow
from memspan.errors import FaultyPart, told
from memspan.foreign.network import ForeignNetwork
from memspan.losses import Loss, value_of
from memspan.network import Model, Network
from memspan.network.files import packed
from memspan.runtime.floats import quiet
from memspan.shapes import Array
from memspan.study.configuration import Configuration
from memspan.study.engines import engine_named, group_of
from memspan.study.trial import Flow, FlowSpreads, Test, Trial, rounded
from memspan.tasks import Batch, Batches
from memspan.training.ensemble import Ensemble
from memspan.training.history import Outcome
from memspan.training.member import Member

CURVE_POINTS = 150
TESTED = 3
"""The spawn key of sequences for tests at other lengths; `untrained` uses 0 to 2."""


class Stopped(Exception):
    """An observer raises this to end a trial without a result."""


def run_trial(configuration: Configuration, length: int, repetition: int, engine: str | None = None) -> Trial:
    """Train and score one network. With the `Trial.engine` of a stored trial it has the same bits."""
    return run_group(configuration, length, [repetition], engine=engine)[0]


@quiet
def run_group(
    configuration: Configuration,
    length: int,
    repetitions: Sequence[int],
    observe: Callable[[int, int], None] = lambda repetition, updates: None,
    *,
    keep_weights: int = 0,
    test_lengths: Sequence[int] = (),
    engine: str | None = None,
) -> list[Trial]:
    """Train and score several repetitions of a length side by side.

    All random numbers of a repetition come from `SeedSequence(seed, spawn_key=(length, repetition))` with the
    configuration's seed. So its result does not depend on the other trials, their order, or the process.
    Configurations share these streams, so they are compared on the same sequences.

    The bits of a model of another library depend on its engine too. If it cannot compute a trial, the trial fails,
    with the reason. The trial does not change to another engine: it could then have other bits on a machine where
    the first engine does not fail, for example because it has more memory.

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
    engine : str, optional
        The engine of models of another library, as in `Trial.engine`; by default the models' own.

    Returns
    -------
    list of Trial
        One for each repetition. If the group raises an error, each repetition is run alone. A repetition that
        raises an error again has `failed`.
    """
    started, began = time.perf_counter(), time.process_time()
    try:
        found = _train(configuration, length, repetitions, observe, keep_weights, test_lengths, engine)
    except Stopped:
        raise
    except Exception as error:  # one trial's error must not end the others
        if len(repetitions) > 1:
            how: dict[str, Any] = {"keep_weights": keep_weights, "test_lengths": test_lengths, "engine": engine}
            return [run_group(configuration, length, [one], observe, **how)[0] for one in repetitions]
        reason = told(error)
        if group_of(engine) > 1:  # the reader may suspect the engine
            reason = f"With the engine {engine}: {reason}"
        found = [{"outcome": "failed", "reason": reason}]
        found[0] |= {} if engine is None else {"engine": engine}
    each = {
        "length": length,
        "seconds": (time.perf_counter() - started) / len(repetitions),
        "cpu_seconds": (time.process_time() - began) / len(repetitions),
        "worker": f"{socket.gethostname()}:{os.getpid()}",
    }
    pairs = zip(repetitions, found, strict=True)
    return [Trial.model_validate({**each, "repetition": repetition, **its}) for repetition, its in pairs]


def prepared(
    configuration: Configuration, length: int, repetitions: Sequence[int], engine: str | None = None
) -> Ensemble:
    """Return the ensemble of some repetitions before training, with their batches; `engine` as in `run_group`."""
    parts = zip(*(untrained(configuration, length, one) for one in repetitions), strict=True)
    return _ensemble(configuration, *parts, engine=engine)


def fit(
    ensemble: Ensemble,
    configuration: Configuration,
    repetitions: Sequence[int],
    observe: Callable[[int, int], None] = lambda repetition, updates: None,
) -> None:
    """Train a `prepared` ensemble as a study does. The parameters are those of `run_group`."""
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
        flow_every=[0 if repetition else _curve_every(configuration) for repetition in repetitions],
    )
    if any(result.outcome is Outcome.INTERRUPTED for result in results):
        raise KeyboardInterrupt


def digest_of(model: Model) -> str:
    """Return the SHA-256 of the weights of a network, as `Trial.digest`."""
    parameters = model.parameters.astype(model.dtype.newbyteorder("<"), copy=False)
    return hashlib.sha256(parameters.tobytes()).hexdigest()


def _ensemble(
    configuration: Configuration,
    models: Sequence[Model],
    batches: Sequence[Batches],
    held_out: Sequence[Batches],
    *,
    engine: str | None = None,
) -> Ensemble:
    return Ensemble(
        models,
        configuration.make_task().make_loss(),
        batches,
        configuration.make_optimizer(),
        evaluation=held_out,
        threshold=configuration.threshold,
        truncate=configuration.truncate,
        engine=engine_named(models[0], engine),
    )


def untrained(configuration: Configuration, length: int, repetition: int) -> tuple[Any, Batches, Batches]:
    """Return the initial network of a trial, its training batches and its held-out batches."""
    key = np.random.SeedSequence(configuration.seed, spawn_key=(length, repetition))
    for_weights, for_training, for_evaluation = key.spawn(3)
    task, dtype = configuration.make_task(), configuration.dtype
    return (
        configuration.make_network(length, for_weights),
        Batches(task, length, configuration.batch, for_training, dtype),
        Batches(task.for_evaluation, length, configuration.evaluation_samples, for_evaluation, dtype),
    )


def trained(configuration: Configuration, length: int, repetition: int, weights: bytes) -> Model:
    """Return the trained network of a trial, from its weights (`Trial.weights`)."""
    from safetensors.numpy import load

    network: Model = untrained(configuration, length, repetition)[0]
    network.set_weights(load(weights))
    return network


def _train(
    configuration: Configuration,
    length: int,
    repetitions: Sequence[int],
    observe: Callable[[int, int], None],
    keep_weights: int,
    test_lengths: Sequence[int],
    engine: str | None,
) -> list[dict[str, object]]:
    ensemble = prepared(configuration, length, repetitions, engine)
    for member in ensemble.members:
        _demand_finite(member, length)
    starts = [flow_of(ensemble, member, member.draw()) for member in ensemble.members]
    fit(ensemble, configuration, repetitions, observe)
    members = dict(zip(repetitions, ensemble.members, strict=True))
    tests = _tests(members, configuration, length, test_lengths)
    used = engine_named(ensemble.members[0].model, engine) or ensemble.members[0].model.engine
    chosen = {"critical_gain": configuration.critical_gain(length), "engine": str(used)}
    return [
        _result(ensemble, configuration, repetition, member, start)
        | {"weights": _saved(member.model) if repetition < keep_weights else None, "tests": scores}
        | chosen
        for (repetition, member), start, scores in zip(members.items(), starts, tests, strict=True)
    ]


def _demand_finite(member: Member, length: int) -> None:
    """Raise if a model of another library gives NaN or infinity before training: a fault, and no divergence.

    memspan's cells may overflow at a large gain that the user chose, and then diverge at the first update.
    """
    model = member.model
    if not isinstance(model, ForeignNetwork) or np.isfinite(model.predict(member.draw().x)).all():
        return
    rule = "must return finite numbers before training, at every length"
    raise FaultyPart(f"The model {model.name} {rule}; at T={length} it returned infinity or NaN.")


def _tests(
    members: Mapping[int, Member], configuration: Configuration, length: int, test_lengths: Sequence[int]
) -> list[list[Test]]:
    """Return for each trained network its scores at other lengths, each on sequences of its own.

    `members` are the networks by repetition. At another length the task may want another number of answers, so
    copies of the networks give them.
    """
    task, samples, dtype = configuration.make_task(), configuration.evaluation_samples, configuration.dtype
    found: list[list[Test]] = [[] for _ in members]
    for other in test_lengths:
        steps = task.shape(other).output_steps
        models = [member.model.with_output_steps(steps) for member in members.values()]
        keys = ((length, repetition, TESTED, other) for repetition in members)
        seeds = [np.random.SeedSequence(configuration.seed, spawn_key=key) for key in keys]
        fresh = [Batches(task.for_evaluation, other, samples, seed, dtype) for seed in seeds]
        unused = [replace(stream, task=task) for stream in fresh]  # nothing is trained
        scores = _ensemble(configuration, models, unused, fresh).evaluate(configuration.final_batches)
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
    return {
        "outcome": result.outcome,
        "reason": result.tensor or "",
        "updates": result.update,
        "accuracy": final.accuracy,
        "loss": final.loss,
        "accuracies": final.accuracies.tolist(),
        "losses": [float(f"{loss:.6g}") for loss in final.losses],
        "digest": digest_of(member.model),
        "curve": rounded(_binned(np.array(member.history.loss), every)),
        "curve_every": every,
        "start": start,
        "end": start if last is None else flow_of(ensemble, member, last),
        "flow_map": [rounded(flow) for flow in member.flows],
        "flow_every": every,
        "flow_spread": FlowSpreads.of(member.spreads),
    }


def _curve_every(configuration: Configuration) -> int:
    return -(-configuration.updates // CURVE_POINTS)


def _saved(model: Model) -> bytes:
    """Return the trained weights as a safetensors file; of memspan's own cells, one that `Network.load` reads."""
    from safetensors.numpy import save

    return packed(model) if isinstance(model, Network) else save(model.get_weights())


def flow_of(ensemble: Ensemble, member: Member, batch: Batch) -> Flow:
    """Return the `gradient_flow` of a member in the form that a trial keeps."""
    return Flow.of(gradient_flow(member.model, ensemble.loss, batch, ensemble.truncate))


@np.errstate(over="ignore", invalid="ignore")  # a gradient that overflows is a result
def gradient_flow(model: Model, loss: Loss, batch: Batch, truncate: int | None = None) -> GradientFlow:
    """Return the gradient of a batch at every time step, for the present weights, truncated to some steps."""
    twin = model.astype(model.dtype)  # a copy, so that the network itself does not keep the trace
    value_of(loss, twin.forward(batch.x), batch.y.astype(model.dtype))
    return GradientFlow.of(twin.backpropagate(loss.backward(), truncate=truncate))


def _binned(values: Array, width: int) -> Array:
    """Return the means of `width` values each; the last mean may be over fewer."""
    begins = np.arange(0, len(values), width)
    return np.add.reduceat(values, begins) / np.diff([*begins, len(values)]) if len(values) else values
