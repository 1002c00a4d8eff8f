"""The contracts of a foreign model's values: shapes, repetition, and which outputs depend on which inputs."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from memspan.foreign.factory import check_call
from memspan.foreign.faulty import FaultyModel
from memspan.network.network import DTYPES
from memspan.runtime.imports import library_of
from memspan.shapes import Array
from memspan.testing.model_case import BATCH, ROUNDING, STEPS, Case, Subject, demand_alike, difference
from memspan.testing.report import Found, demand

SMALL, LARGE = 1e-9, 1e-5
"""Two changes of x. The slopes of a float64 model are nearly equal; in float32 the first is noise."""
SINGLE = 1e-3
"""The largest relative difference between y in float32 and in float64."""
SLOPES = 0.05
"""How far the two slopes may differ."""
AHEAD = "a bidirectional layer, a mean or a normalisation over time, or attention without a mask"
EXCHANGED = "batch_first: the model takes x for [B, T, F]"
ON_SELF = "a state that is kept on the model (self.h) and not started afresh in each call"


def check_built(case: Case) -> None:
    """The factory takes features, outputs and its options, and returns a model on the CPU that has parameters.

    All are of one dtype, float32 or float64.
    """
    given = {**case.options, **({"key": None} if library_of(case.factory) == "jax" else {})}
    try:
        check_call(case.factory, (case.features, case.outputs), given)
    except FaultyModel as error:
        cause = "an argument without a default, or an option that the factory does not have (--options.NAME)"
        raise Found(str(error).rstrip("."), cause) from None
    cause = "parameters without requires_grad, or layers in a list or dictionary where they are not registered"
    demand(case.native.weights, "a model without parameters that training changes", cause)
    made_in = case.native.made_in
    found = f"parameters of {' and '.join(sorted(made_in))} instead of float32 or float64"
    cause = ".half(), .to(dtype) or dtype=... in the factory; memspan moves the model to the dtype of a study"
    demand(len(made_in) == 1 and made_in <= {*DTYPES}, found, cause)


def check_shape(case: Case) -> None:
    """For x [T, B, F] the model returns the pair (y, state), with y [T, B, O] and a state of arrays [B, ...]."""
    for steps, batch in ((STEPS, BATCH), (1, 1)):
        x = case.inputs(4, steps, batch).astype(np.float32)
        y, state = case.native.evaluate(x)
        expected = (steps, batch, case.outputs)
        if y.shape != expected:
            causes = {
                (batch, steps, case.outputs): "batch_first",
                (batch, case.outputs): "y of the last step only; memspan reads y of every step",
                (steps, batch, *y.shape[2:3]): "a read-out whose width is not the factory's argument outputs",
            }
            found = f"y of shape {y.shape} instead of {expected} for x of shape {x.shape}"
            raise Found(found, causes.get(y.shape, ""))
        shapes = [leaf.shape for leaf in case.native.leaves(state)]
        wrong = [shape for shape in shapes if shape[:1] != (batch,)]
        cause = "batch_first, or a state [layers, B, H] as in torch.nn.LSTM, which memspan.torch.Sequence turns"
        demand(not wrong, f"a state of shape {(wrong or [()])[0]} for a batch of {batch}", cause)


def check_finite(case: Case) -> None:
    """y is finite."""
    y, _ = case.native.evaluate(case.single)
    wrong = np.argwhere(~np.isfinite(y))
    if len(wrong):
        t, b, o = wrong[0].tolist()
        cause = "a division by zero, the exponential of a large number, or initial weights that are not finite"
        found = f"y[{t}, {b}, {o}] = {y[t, b, o]}, the first of {len(wrong)} values that are not finite"
        raise Found(found, cause)


def check_registered(case: Case) -> None:
    """Every array that the model uses belongs to it, and so moves with it to another dtype or device."""
    strays = case.native.strays(case.single)
    cause = "a plain attribute, list or closure in place of a Parameter, register_buffer or ModuleList"
    demand(not strays, "; ".join(strays), cause)


def check_dtype(case: Case) -> None:
    """y and the state have the dtype of the model, float32 or float64, and the same values up to rounding."""
    found = []
    for dtype in (np.float32, np.float64):
        model = case.build(dtype)
        y, state = model.evaluate(case.x.astype(dtype))
        for what, values in (("y", y), *(("the state", leaf) for leaf in model.leaves(state))):
            name = values.dtype.name
            wrong = values.dtype.kind in "fc" and name != np.dtype(dtype).name
            cause = "torch.zeros(...) without dtype=x.dtype; x.new_zeros(...) has it"
            demand(not wrong, f"{what} in {name} for a model in {np.dtype(dtype)}", cause)
        found.append(y)
    apart = difference(found[0], found[1])
    demand(apart < SINGLE, f"a relative difference of {apart:.2g} between y in float32 and in float64")


def check_precision(case: Case) -> None:
    """A model in float64 computes in float64 throughout."""
    direction = case.rng(5).standard_normal(case.x.shape)

    def slope(size: float) -> Array:
        ahead, behind = (case.double.evaluate(case.x + sign * size * direction)[0] for sign in (1, -1))
        return np.asarray((ahead - behind) / (2 * size))

    apart = difference(slope(SMALL), slope(LARGE))
    found = f"slopes of y that differ by {100 * apart:.2g} % between changes of x by {SMALL} and by {LARGE}"
    cause = "a float32 buffer or cast inside the model: torch.zeros(...) without dtype=x.dtype, or .float()"
    demand(apart < SLOPES, found, cause)


def check_repeat(case: Case) -> None:
    """Two models of the same weights give the same y to the last bit."""
    layers = case.parts("Dropout", "dropout=")
    cause = f"dropout ({layers})" if layers else "dropout, or other random numbers in the model"
    _demand_same(case.again().run(case.single)[0], case.first, "y of a second, equal model", cause)


def check_fresh(case: Case) -> None:
    """A call without a state starts afresh, whatever was called before."""
    _demand_same(case.called_once.run(case.single)[0], case.first, "y of a second call", ON_SELF)


def check_inputs_kept(case: Case) -> None:
    """A call changes neither x, nor the state it is given, nor what an earlier call returned."""
    model, x = case.again(), case.single
    y, state = model.evaluate(x)
    _demand_same(x, case.single, "x after the call", "an operation in place, such as x += ... or x[t] = ...")
    kept = [np.array(leaf) for leaf in (y, *model.leaves(state))]
    model.evaluate(case.inputs(6).astype(np.float32), state)
    cause = "a state that is overwritten in place (h[:] = ..., h.copy_, h.mul_)"
    for before, after in zip(kept[1:], model.leaves(state), strict=True):
        _demand_same(after, before, "the given state after the call", cause)
    model.evaluate(case.inputs(6).astype(np.float32))
    cause = "a buffer that every call overwrites"
    for before, after in zip(kept, (y, *model.leaves(state)), strict=True):
        _demand_same(after, before, "the result of an earlier call after another one", cause)


def check_seed(case: Case) -> None:
    """The factory gives the same weights for the same seed, and others for another."""
    weights, again, other = (case.build(seed=case.seed + k).weights for k in (0, 0, 1))
    for name, weight in weights.items():
        cause = "weights from another generator (numpy.random, random), which the seed of a trial does not reach"
        demand(np.array_equal(weight, again[name]), f"other values of {name} for the same seed", cause)
    cause = "a fixed seed in the factory (torch.manual_seed, jax.random.key): all repetitions would be equal"
    same = all(np.array_equal(weight, other[name]) for name, weight in weights.items())
    demand(not same, "the same weights for another seed", cause)


def check_samples(case: Case) -> None:
    """A sample does not depend on the other samples of its batch."""
    layers = case.parts("BatchNorm")
    cause = f"batch normalisation ({layers})" if layers else "a mean or a normalisation over the batch"
    cause = EXCHANGED if case.axes_exchanged else cause
    others = case.reach.max(axis=(0, 2)) * ~np.eye(BATCH, dtype=bool)
    b, other = map(int, np.unravel_index(others.argmax(), others.shape))
    found = f"y[:, {b}] depends on x[:, {other}], with a derivative of up to {others.max():.3g}"
    demand(others.max() <= case.least, found, cause)
    for b in range(BATCH):
        x = case.inputs(6)
        x[:, b] = case.x[:, b]
        y, _ = case.double.evaluate(x)
        demand_alike(y[:, b], case.y[:, b], f"y of sample {b}, beside other samples,", cause)


def check_causal(case: Case) -> None:
    """y[t] does not depend on any x after t."""
    pairs = np.triu(case.reach.max(axis=(1, 3)), k=1)
    t, later = map(int, np.unravel_index(pairs.argmax(), pairs.shape))
    one_ahead = np.triu(pairs, k=2).max() <= case.least
    cause = "an index one step ahead (y[t] reads x[t + 1])" if one_ahead else AHEAD
    found = f"y[{t}] depends on x[{later}], with a derivative of {pairs.max():.3g}"
    demand(pairs.max() <= case.least, found, EXCHANGED if case.axes_exchanged else cause)
    for t in range(STEPS - 1):
        x = case.inputs(6)
        x[: t + 1] = case.x[: t + 1]
        y, _ = case.double.evaluate(x)
        demand_alike(y[: t + 1], case.y[: t + 1], f"y[:{t + 1}], for other x after {t},", AHEAD)


def check_memory(case: Case) -> None:
    """y after the last step depends on the first x."""
    cause = "the state is not carried from step to step"
    cause = EXCHANGED if case.axes_exchanged else cause
    demand(_depends(case, 0), f"y[{STEPS - 1}] does not change with x[0]", cause)


def check_present(case: Case) -> None:
    """y of a step depends on the x of that step."""
    cause = "an output that is read from the state before the step: y is one step late"
    demand(_depends(case, STEPS - 1), f"y[{STEPS - 1}] does not change with x[{STEPS - 1}]", cause)


def check_resume(case: Case) -> None:
    """A sequence in two parts, the second from the state after the first, gives y and the state of the whole."""
    model = case.double
    whole, last = model.evaluate(case.x)
    for cuts in ((1,), range(1, STEPS)):
        parts = np.split(case.x, list(cuts))
        y, state = _in_parts(model, parts)
        where = f"cut at {cuts[0]}" if len(cuts) == 1 else "cut at every step"
        cause = "the state that is returned is not the whole one, or is not the last one"
        if difference(y, whole) > ROUNDING and difference(_alone(model, parts), y) <= ROUNDING:
            cause = "the model ignores the state it is given"
        demand_alike(y, whole, f"y of a sequence {where}", cause)
        for leaf, expected in zip(model.leaves(state), model.leaves(last), strict=True):
            demand_alike(leaf, expected, f"the last state of a sequence {where}", cause)


def check_step(case: Case) -> None:
    """A model with a method step(x [B, F], state) gives the same y step by step as in a whole call."""
    model = case.double
    if not model.has_step:
        return
    _, state = model.evaluate(case.x[:1])
    found = []
    for x in case.x[1:]:
        y, state = model.step(x, state)
        found.append(y)
    cause = "two implementations that differ, such as a convolution and a recurrence"
    demand_alike(np.array(found), case.y[1:], "y step by step", cause)


def check_modes(case: Case) -> None:
    """The model gives the same y in training and in use."""
    model = case.again(np.float64)
    if model.evaluating():
        layers = case.parts("Dropout", "dropout=", "BatchNorm")
        cause = layers or "a branch on self.training"
        demand_alike(model.run(case.x)[0], case.y, "y in the mode of use (eval)", cause)


def _demand_same(found: Array, expected: Array, what: str, cause: str) -> None:
    """Raise `Found` unless two arrays are equal to the last bit."""
    if not np.array_equal(found, expected, equal_nan=True):
        raise Found(f"{what} differs by up to {np.abs(found - expected).max():.3g}", cause)


def _depends(case: Case, step: int) -> bool:
    """Whether the last y depends on x of a step, by its derivative or its value."""
    if case.reach[-1, :, step].any():
        return True
    x = case.x.copy()
    x[step] = case.inputs(6)[step]
    return not np.array_equal(case.double.evaluate(x)[0][-1], case.y[-1])


def _in_parts(model: Subject, parts: list[Array]) -> tuple[Array, Any]:
    """Run parts of a sequence, each from the state after the one before."""
    state, found = None, []
    for part in parts:
        y, state = model.evaluate(part, state)
        found.append(y)
    return np.concatenate(found), state


def _alone(model: Subject, parts: list[Array]) -> Array:
    """Run parts of a sequence, each from the initial state."""

    def each() -> Iterator[Array]:
        for part in parts:
            yield model.evaluate(part)[0]

    return np.concatenate([*each()])
