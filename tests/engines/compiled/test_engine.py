"""The contract of the two engines: the compiled one finds what the readable one finds, to rounding."""

import itertools
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from numba.core.errors import NumbaError

from memspan import CELLS, InvalidArgument, MSELoss, Network
from memspan.cells import Cell
from memspan.cells.activations import one_minus, sigmoid_derivative, tanh, tanh_derivative
from memspan.diagnostics.flow import norms_of
from memspan.engines.compiled import MEMORY, CompiledEngine, workspace
from memspan.engines.compiled.workspace import PassPlan, Workspace

SHAPES = ((1, 5, 10, 3), (7, 1, 33, 3), (4, 5, 10, 3), (3, 2, 10, 1), (2, 1, 64, 1))
"""B, F, H and O; with the last H rows would alias in the cache, and are padded, the others are padded as well."""
TIMES = (1, 2, 17, 200)
DTYPES = ("float32", "float64")
OF_EACH_STRUCTURE = ("rnn", "lstm", "gru", "gru-before", "lstm-peephole", "lru")
"""One gate, several, a reset after R and before it, and weights of each unit."""
KERNELS = [
    *((cell, "float32") for cell in CELLS),
    *(
        pytest.param(cell, "float64", marks=[] if cell in OF_EACH_STRUCTURE else pytest.mark.faults)
        for cell in CELLS
    ),
]
"""In CI all cells in the dtype that studies train in; in the other one of each structure. Compiling takes long."""


def problem(cell, T, B, F, H, O, dtype="float32", output_steps=None, seed=0):
    """A network none of whose weights is 0, and a batch whose errors do not cancel."""
    rng = np.random.default_rng(seed)
    network = Network(cell, F, H, O, dtype=dtype, output_steps=output_steps, rng=rng)
    network.parameters += rng.normal(0, 0.02, network.parameters.shape).astype(dtype)
    answers = (B, O) if output_steps is None else (output_steps, B, O)
    return network, rng.uniform(-1, 1, (T, B, F)).astype(dtype), rng.uniform(1, 2, answers).astype(dtype)


def engine_of(network, loss=None, **options):
    return CompiledEngine(
        network.layout, network.dtype, loss or MSELoss(), output_steps=network.output_steps, **options
    )


def readable(network, x, y, loss=None):
    """Loss, gradient, norms of every sample's dL/da[t] and predictions."""
    loss = loss or MSELoss()
    y_hat = network.forward(x)
    value = loss.forward(y_hat, y)
    gradients = network.backpropagate(loss.backward())
    return value, gradients.total(), norms_of(gradients.d_a), y_hat


def compiled(engine, network, x, y):
    """The same of the engine."""
    weights = network.parameters[np.newaxis]
    (loss,), (gradient,), (norms,) = engine.differentiate(weights, [(x, y)], norms=[0])
    return loss, gradient, norms, engine.predict(weights, [x])[0]


def assert_close(mine, theirs, tolerance, what):
    """Relative to the largest element."""
    assert mine.shape == theirs.shape, what
    assert mine.dtype == theirs.dtype, what
    assert np.isfinite(theirs).all(), what
    assert np.abs(mine - theirs).max() <= tolerance * np.abs(theirs).max(), what


def assert_agreement(found, expected, network, T):
    """Everything within 64·eps·T; norms step by step, unless a step is so small that denormal numbers matter."""
    info = np.finfo(network.dtype)
    tolerance, tiny = 64 * float(info.eps) * T, float(info.tiny)
    loss, gradient, norms, y_hat = found
    assert loss == pytest.approx(expected[0], rel=tolerance)
    mine, theirs = (network.layout.by_name(flat) for flat in (gradient, expected[1]))
    for name in network.layout.shapes:
        assert_close(mine[name], theirs[name], tolerance, f"d_{name}")
    assert_close(y_hat, expected[3], tolerance, "y_hat")
    small = expected[2].max(axis=1) < 1e6 * tiny
    for mine, theirs in zip(norms[~small], expected[2][~small], strict=True):
        assert_close(mine, theirs, tolerance, "norms")
    assert (norms[small] < 2e6 * tiny).all()


@pytest.mark.slow
@pytest.mark.parametrize(("cell", "dtype"), KERNELS)
def test_the_engines_agree(cell, dtype):
    """One test a kernel, for to compile one takes far longer than all that it is asked here."""
    for T, shape, output_steps in itertools.product(TIMES, SHAPES, (None, 3)):
        if output_steps is None or output_steps <= T:
            network, x, y = problem(cell, T, *shape, dtype, output_steps)
            engine = engine_of(network)
            try:
                assert_agreement(compiled(engine, network, x, y), readable(network, x, y), network, T)
            except AssertionError as error:
                raise AssertionError(f"T={T}, (B, F, H, O)={shape}, K={output_steps}: {error}") from error
    assert len(engine._kernel.signatures) <= len(DTYPES)  # no shape, and nothing asked for, compiles it again


def mistaken(d_state, residuals, previous, state, unit):
    """The GRU's backward, with z where 1 - z belongs."""
    d_a, (n, r, z, u) = d_state[0], residuals
    d_n = d_a * one_minus(z) * tanh_derivative(n)
    d_r = d_n * u * sigmoid_derivative(r)
    d_z = d_a * (previous[0] - n) * sigmoid_derivative(z)
    return (d_n, d_r, d_z, d_n * r), (d_a * one_minus(z),), ()


@pytest.mark.slow
def test_a_mistake_in_a_cell_is_seen():
    """A comparison that agrees with everything would be worth nothing."""
    right, x, y = problem("gru", 2, *SHAPES[2])
    wrong = Network(replace(right.cell, backward=mistaken), 5, 10, 3, dtype=right.dtype, rng=0)
    wrong.parameters = right.parameters
    found = compiled(engine_of(wrong), wrong, x, y)
    assert_agreement(found, readable(wrong, x, y), wrong, 2)
    with pytest.raises(AssertionError, match="d_W"):
        assert_agreement(found, readable(right, x, y), right, 2)


# --- segments -------------------------------------------------------------------------------------------


def planned(engine, network, x):
    """What the engine is going to do."""
    options = {"output_steps": network.output_steps or 1, "memory": engine.memory, "backward": True}
    return PassPlan.of(network.layout, network.dtype, x.shape, **options)


def assert_same_bits(found, expected):
    for mine, theirs in zip(found, expected, strict=True):
        assert np.asarray(mine).tobytes() == np.asarray(theirs).tobytes()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("output_steps", [None, 3])
@pytest.mark.parametrize("shape", [(64, 1, 33, 1), (7, 5, 10, 3), (200, 2, 3, 1)])
def test_less_memory_changes_no_bit(shape, output_steps, dtype):
    network, x, y = problem("lstm", 211, *shape, dtype, output_steps)
    plenty = engine_of(network)
    whole, expected = planned(plenty, network, x), compiled(plenty, network, x, y)
    assert whole.segments == 1
    scarce = engine_of(network, memory=whole.bytes - 1)
    plan = planned(scarce, network, x)
    assert plan.segments > 5
    assert plan.bytes < whole.bytes
    assert_same_bits(compiled(scarce, network, x, y), expected)


@pytest.mark.parametrize("segment", [2, 16, 17, 50, 99, 100])
def test_segments_of_any_length_agree(segment, monkeypatch):
    """Other products for the gradients of W and R, but the same steps."""
    network, x, y = problem("lstm", 100, *SHAPES[1])
    expected = compiled(engine_of(network), network, x, y)
    plan = PassPlan.of

    def cut(layout, dtype, shape, output_steps, memory, **options):
        whole = plan(layout, dtype, shape, output_steps, memory, **options)
        if not options.get("backward", True) or shape[0] == 1:
            return whole
        block = min(segment, whole.sizes.block)
        return PassPlan.with_segments(
            layout, dtype, (*shape[:2], output_steps), whole.models, segment, block, True
        )

    monkeypatch.setattr(PassPlan, "of", cut)
    found = compiled(engine_of(network), network, x, y)
    assert_agreement(found, expected, network, 1)
    mine, theirs = (network.layout.by_name(flat) for flat in (found[1], expected[1]))
    assert_same_bits(
        [found[0], mine["V"], mine["by"], *found[2:]], [expected[0], theirs["V"], theirs["by"], *expected[2:]]
    )


@pytest.mark.parametrize("T", range(3, 9))
def test_short_sequences_have_segments_too(T):
    network, x, y = problem("lstm", T, 1500, 1, 33, 1)
    plenty = engine_of(network)
    scarce = engine_of(network, memory=planned(plenty, network, x).bytes - 1)
    assert planned(scarce, network, x).segments > 1
    assert_same_bits(compiled(scarce, network, x, y), compiled(plenty, network, x, y))


def test_what_does_not_fit_is_refused_before_anything_is_allocated():
    """With the least that the error names there is enough, and with a byte less there is not."""
    network, x, y = problem("lstm", 100, *SHAPES[1])
    engine = engine_of(network, memory=1000)
    with pytest.raises(
        InvalidArgument,
        match=r"memory must be at least \d+ bytes for T=100, B=7, H=33 \(lstm, float32\), .* GiB, got 1000",
    ):
        engine.differentiate(network.parameters[np.newaxis], [(x, y)])
    assert engine._kept.by_direction == {}
    least = planned(engine_of(network, memory=planned(engine_of(network), network, x).bytes - 1), network, x).bytes
    for memory, enough in ((least, True), (least - 1, False)):
        if enough:
            assert planned(engine_of(network, memory=memory), network, x).segments > 1
        else:
            with pytest.raises(InvalidArgument, match="memory"):
                planned(engine_of(network, memory=memory), network, x)


@pytest.mark.parametrize("size", [(400, 64, 1, 64, 1), (3, 4, 2, 5, 1), (7, 5, 1, 3, 200), (2, 1, 3, 300, 2)])
@pytest.mark.parametrize(("cell", "output_steps"), [("lstm", None), ("gru-before", 2), ("lru", 2)])
def test_a_plan_counts_every_byte(cell, output_steps, size):
    """For one network and for many; for the whole trace and for segments; and for predictions."""
    network, x, _ = problem(cell, *size, output_steps=output_steps)
    for models in (1, 3, 10**6):
        wanted = {"models": models, "output_steps": output_steps or 1}
        whole = PassPlan.of(network.layout, network.dtype, x.shape, memory=MEMORY, **wanted)
        for memory, backward in ((MEMORY, True), (whole.bytes - 1, True), (MEMORY, False)):
            try:
                plan = PassPlan.of(
                    network.layout, network.dtype, x.shape, memory=memory, backward=backward, **wanted
                )
            except InvalidArgument:
                assert memory < whole.bytes
                continue
            work = Workspace(network.layout, network.dtype, x.shape, models, plan)
            arrays = (work.model.padded, work.gradient.padded, *work.trace, *work.gradient[6:], *work.data)
            assert sum(array.nbytes for array in arrays) == plan.bytes <= memory


def test_a_small_network_needs_little_memory():
    network, x, y = problem("rnn", 3, 4, 1, 4, 1)
    compiled(engine_of(network, memory=50_000), network, x, y)


# --- several networks -----------------------------------------------------------------------------------


@pytest.mark.parametrize("together", [2**24, 1])
@pytest.mark.parametrize("loss", [MSELoss, lambda: Plain()])
def test_a_network_is_not_touched_by_those_beside_it(together, loss, monkeypatch):
    """Neither in one call of the kernel nor in several."""
    monkeypatch.setattr(workspace, "TOGETHER", together)
    networks, x, y = zip(*(problem("lstm", 30, 7, 5, 10, 3, seed=seed) for seed in range(5)), strict=True)
    engine = engine_of(networks[0], loss())
    weights = np.stack([network.parameters for network in networks])
    beside = weights.copy()
    found = engine.differentiate(weights, list(zip(x, y, strict=True)), norms=range(5))
    answers = engine.predict(weights, x)
    assert_same_bits([weights], [beside])
    for k in range(5):
        alone = compiled(engine_of(networks[0], loss()), networks[k], x[k], y[k])
        assert_same_bits([part[k] for part in (*found, answers)], alone)
        assert_agreement(alone, readable(networks[k], x[k], y[k]), networks[k], 30)


def test_one_engine_serves_any_order_of_shapes():
    """The buffers are those of the last shape; nothing of it is left for the next."""
    network, *_ = problem("lstm", 1, *SHAPES[1])
    engine = engine_of(network)
    for T, B in ((30, 7), (3, 9), (30, 7), (1, 1), (30, 7)):
        _, x, y = problem("lstm", T, B, 1, 33, 3)
        assert_same_bits(compiled(engine, network, x, y), compiled(engine_of(network), network, x, y))


# --- losses ---------------------------------------------------------------------------------------------


class Plain:
    """The mean squared error with nothing for kernels."""

    def __init__(self):
        self.loss = MSELoss()

    def forward(self, y_hat, y):
        return self.loss.forward(y_hat, y)

    def backward(self):
        return self.loss.backward()


class Silent(Plain):
    """Forgets to return."""

    def forward(self, y_hat, y):
        super().forward(y_hat, y)


class Steeper(MSELoss):
    """Inherits what the kernel would compute, which is not its own."""

    def backward(self):
        return 3 * super().backward()


class OfClasses:
    """A loss whose labels have another shape than the predictions: -ŷ of the right class, on average."""

    def forward(self, y_hat, y):
        self.d_y_hat = -np.eye(y_hat.shape[-1], dtype=y_hat.dtype)[y.astype(int)] / len(y)
        return float((y_hat * self.d_y_hat).sum())

    def backward(self):
        return self.d_y_hat


def cubed_error(y_hat, y, d_y_hat, kind):
    """For kernels: the mean of |ŷ - y|³."""
    total = 0.0
    for k in range(y.shape[0]):
        for b in range(y.shape[1]):
            for o in range(y.shape[2]):
                error = y_hat[k, b, o] - y[k, b, o]
                total += abs(float(error)) ** 3
                d_y_hat[k, b, o] = 3 * error * abs(error) / y.size
    return total / y.size


class Cubed:
    """The same in NumPy, and `into`."""

    into = staticmethod(cubed_error)

    def forward(self, y_hat, y):
        self.d_y_hat = 3 * (y_hat - y) * np.abs(y_hat - y) / y.dtype.type(y.size)
        return float((np.abs(y_hat - y).astype(float) ** 3).mean())

    def backward(self):
        return self.d_y_hat


@pytest.mark.parametrize("output_steps", [None, 3])
@pytest.mark.parametrize("loss", [Plain, Steeper])
def test_a_loss_of_python_is_called_between_the_halves(loss, output_steps):
    network, x, y = problem("lstm", 30, *SHAPES[2], output_steps=output_steps)
    expected = readable(network, x, y, loss())
    assert_agreement(compiled(engine_of(network, loss()), network, x, y), expected, network, 30)


def test_labels_may_have_any_shape_that_the_loss_takes():
    network, x, _ = problem("lstm", 30, *SHAPES[2])
    y = np.array([2.0, 0.0, 1.0, 1.0], np.float32)
    expected = readable(network, x, y, OfClasses())
    assert_agreement(compiled(engine_of(network, OfClasses()), network, x, y), expected, network, 30)


@pytest.mark.slow
def test_a_loss_may_have_a_compiled_form_of_its_own():
    network, x, y = problem("lstm", 30, *SHAPES[2])
    engine = engine_of(network, Cubed())
    expected = readable(network, x, y, Cubed())
    engine.loss = None  # it is not called
    assert_agreement(compiled(engine, network, x, y), expected, network, 30)


@pytest.mark.parametrize("shape", [(1, 3), (4, 1), (3,), (1, 4, 3)])
def test_labels_are_never_broadcast(shape):
    network, x, _ = problem("lstm", 30, *SHAPES[2])
    with pytest.raises(InvalidArgument, match=r"y_hat must be of the labels' shape .*, got shape \(4, 3\)"):
        compiled(engine_of(network), network, x, np.zeros(shape, np.float32))


def test_the_derivative_of_a_loss_is_never_broadcast():
    class Averaging(MSELoss):
        def backward(self):
            return super().backward().mean(axis=0, keepdims=True)

    network, x, y = problem("lstm", 30, *SHAPES[2])
    rule = r"d_loss must be of the prediction's shape \(4, 3\), got shape \(1, 3\)"
    for run in (
        lambda: compiled(engine_of(network, Averaging()), network, x, y),
        lambda: readable(network, x, y, Averaging()),
    ):
        with pytest.raises(InvalidArgument, match=rule):
            run()


def in_words(s, previous, unit):
    """Runs on arrays, but Numba knows no such function."""
    a = np.clip(s[0], *map(float, ("-1", "1")))
    return (a,), ()


def test_a_cell_that_numba_cannot_compile_is_told_to_take_the_other_engine():
    network = Network(replace(CELLS["rnn"], name="mine", forward=in_words), 1, 3, 1, rng=0)
    assert network.forward(np.zeros((2, 4, 1))).shape == (4, 1)
    rule = r"engine must be 'readable' .*, got 'compiled' and the cell mine"
    with pytest.raises(InvalidArgument, match=rule) as raised:
        engine_of(network)
    assert isinstance(raised.value.__cause__, NumbaError)


# --- what goes wrong ------------------------------------------------------------------------------------


def dividing(s, previous, unit):
    """A unit that moves as slowly as its own time constant says."""
    h = tanh(s[0])
    return (previous[0] + (h - previous[0]) / unit[0],), (h,)


def dividing_back(d_state, residuals, previous, state, unit):
    d, h, tau = d_state[0], residuals[0], unit[0]
    return (d / tau * tanh_derivative(h),), (d - d / tau,), (-d * (h - previous[0]) / tau / tau,)


DIVIDING = Cell(
    *("dividing", ("h",), ("a",), dividing, dividing_back, "here"),
    unit_weights=("tau",),
    unit_init=lambda rng, hidden: rng.uniform(2, 3, (1, hidden)),
)


@pytest.mark.slow
@pytest.mark.parametrize("H", [16, 17, 33])
def test_units_that_are_there_for_padding_alone_disturb_nobody(H):
    network, x, y = problem(DIVIDING, 17, 4, 2, H, 2)
    assert_agreement(compiled(engine_of(network), network, x, y), readable(network, x, y), network, 17)


class Refusing(MSELoss):
    @staticmethod
    def into(y_hat, y, d_y_hat, kind):
        if y_hat.size > 0:
            raise ValueError("not with me")
        return 0.0


@pytest.mark.slow
def test_after_a_kernel_that_raised_denormal_numbers_are_back():
    network, x, y = problem("rnn", 3, *SHAPES[2])
    engine = engine_of(network)
    with pytest.raises(ValueError, match="not with me"):
        engine_of(network, Refusing())
    assert (np.full(3, 1e-310) * 1.0 > 0).all()
    assert_agreement(compiled(engine, network, x, y), readable(network, x, y), network, 3)


def test_what_the_kernel_would_read_beyond_its_end_is_recompiled():
    network, x, y = problem("lstm", 3, *SHAPES[2], output_steps=3)
    engine, weights = engine_of(network), network.parameters[np.newaxis]
    for wrong in (weights[:, :-1], weights[0], np.zeros((1, weights.shape[1] + 1), np.float32)):
        with pytest.raises(InvalidArgument, match=r"parameters must be of shape \[M, \d+\]"):
            engine.differentiate(wrong, [(x, y)])
        with pytest.raises(InvalidArgument, match="parameters must be"):
            engine.predict(wrong, [x])
    for wrong in (x[..., :-1], x[:2], x[0]):
        with pytest.raises(InvalidArgument, match=r"x must be of shape \[T, B, 5\] with T of at least 3"):
            engine.differentiate(weights, [(wrong, y)])


def test_a_loss_that_returns_nothing_is_not_a_divergence():
    network, x, y = problem("lstm", 3, *SHAPES[2])
    with pytest.raises(InvalidArgument, match=r"what loss.forward returns must be a number, got None"):
        compiled(engine_of(network, Silent()), network, x, y)


def test_two_threads_may_use_one_engine():
    network, x, y = problem("lstm", 50, *SHAPES[1])
    engine, weights = engine_of(network), network.parameters[np.newaxis]
    batches = [(factor * x, y) for factor in (1, 2)]
    expected = [engine.differentiate(weights, [batch]) for batch in batches]

    def repeat(k):
        return [engine.differentiate(weights, [batches[k]]) for _ in range(200)]

    with ThreadPoolExecutor(2) as pool:
        for all_found, right in zip(pool.map(repeat, (0, 1)), expected, strict=True):
            for found in all_found:
                assert_same_bits(found, right)
