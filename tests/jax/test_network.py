"""A JAX model as a network: the numbers of memspan's own cell with the same weights, and JAX's own."""

from dataclasses import dataclass, field

import numpy as np
import pytest

jax = pytest.importorskip("jax", reason="JAX is not installed")
pytest.importorskip("flax", reason="flax is not installed")
equinox = pytest.importorskip("equinox", reason="equinox is not installed")

import jax.numpy as jnp  # noqa: E402
from jax_twins import FACTORIES, equinox_lstm, nnx_lstm, twin_of  # noqa: E402

from memspan import GradientFlow, InvalidArgument, Network  # noqa: E402
from memspan.errors import FaultyPart, NotReady  # noqa: E402
from memspan.jax import FaultyModel, JaxNetwork, Sequence, Steps, make_network  # noqa: E402

T, B, F, H, O = 7, 3, 2, 6, 3
"""For B = 4 and H = 5, XLA 0.10.2 computes a wrong gradient of equinox's GRUCell in float64 on AVX-512."""
every_cell = pytest.mark.parametrize("name", FACTORIES)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def close(actual, expected, most=1e-12):
    assert np.shape(actual) == np.shape(expected)
    assert np.linalg.norm(actual - expected) <= most * np.linalg.norm(expected)


def pair(name, output_steps=None):
    """A network and its twin in JAX."""
    library, cell = name.split()
    network = Network(cell, F, H, O, output_steps=output_steps, rng=1)
    return network, twin_of(network, library)


@pytest.mark.parametrize(("name", "output_steps"), [*((name, None) for name in FACTORIES), ("equinox lstm", 3)])
def test_the_numbers_are_those_of_the_built_in_cell(name, output_steps, rng):
    network, twin = pair(name, output_steps)
    x = rng.uniform(-1, 1, (T, B, F))
    d = rng.standard_normal((B, O) if output_steps is None else (output_steps, B, O))
    close(twin.forward(x), network.forward(x))
    close(twin.predict(x), network.predict(x))
    grads, expected = twin.backward(d), network.backward(d)
    close(twin.trace.a, network.trace.a)
    close(grads.d_a, expected.d_a)
    total = twin.layout.by_name(grads.total())
    for one, gradient in total.items():
        close(grads[f"d_{one}"].sum(axis=0), gradient)
    close(total["read_out.weight"], expected["d_V"].T)
    close(total["read_out.bias"], expected["d_by"][:, 0])
    flows = [GradientFlow.of(one) for one in (expected, grads)]
    for part in ("d_a", "d_R", "d_W"):
        close(getattr(flows[1], part), getattr(flows[0], part))


@every_cell
def test_the_gradient_is_that_of_the_complex_step(name, rng):
    """Of each weight, in another precision than that of the forward pass: the step is 1e-30."""
    network = make_network(FACTORIES[name], F, O, hidden=4, dtype="float64", rng=0)
    x, d = rng.uniform(-1, 1, (T, B, F)), rng.standard_normal((B, O))
    network.forward(x)
    gradient, moved = network.backward(d).total(), network.astype("complex128")
    direction = rng.standard_normal(len(gradient))
    moved.parameters += 1e-30j * direction
    along = (d * moved.predict(x)).sum().imag / 1e-30
    assert along == pytest.approx(gradient @ direction, rel=1e-12)


@pytest.mark.parametrize("name", ["equinox lstm", "linen gru"])
def test_a_sequence_in_two_parts_is_the_whole(name, rng):
    """The state goes on from one part to the next, and its gradient back."""
    network = make_network(FACTORIES[name], F, O, hidden=H, dtype="float64", rng=0)
    x, d = rng.uniform(-1, 1, (T, B, F)), rng.standard_normal((B, O))
    y_hat = network.forward(x)
    whole, last = network.backward(d), network.state
    network.forward(x[:3])
    middle = network.state
    close(network.forward(x[3:], middle), y_hat)
    close(network.trace.a, whole.trace.a[3:])
    later = network.backward(d)
    for one, expected in zip(leaves(network.state), leaves(last), strict=True):
        close(one, expected)
    close(network.predict(x[3:], middle), y_hat)
    network.forward(x[:3])
    first = network.backward(np.zeros((B, O)), later.d_state)
    close(first.total() + later.total(), whole.total())
    close(np.concatenate([first.d_a, later.d_a]), whole.d_a)
    assert first.d_state is None  # the model made it itself


def leaves(state):
    return state if isinstance(state, tuple) else [state]


@pytest.mark.parametrize("output_steps", [None, 3])
def test_a_truncated_gradient_takes_the_state_before_its_window_as_a_constant(output_steps, rng):
    network = make_network(equinox_lstm, F, O, hidden=H, dtype="float64", output_steps=output_steps, rng=0)
    one, x, k = network.with_output_steps(None), rng.uniform(-1, 1, (T, B, F)), 3
    answers = output_steps or 1
    d = rng.standard_normal((answers, B, O))
    d_loss = d if output_steps else d[0]
    total, d_a = np.zeros(network.layout.size), np.zeros((T, B, H))
    for answer, end in enumerate(range(T - answers + 1, T + 1)):
        one.predict(x[: end - k])
        one.forward(x[end - k : end], one.state)
        grads = one.backward(d[answer])
        total += grads.total()
        d_a[end - k : end] += grads.d_a
    network.forward(x)
    found = network.backward(d_loss, truncate=k)
    close(found.total(), total)
    close(found.d_a, d_a)
    close(sum(found[f"d_{name}"].sum() for name in network.layout.shapes), total.sum())
    close(network.backward(d_loss, truncate=T).total(), network.backward(d_loss).total())
    with pytest.raises(InvalidArgument, match="truncate must be a whole number of at least 1, got 0"):
        network.backward(d_loss, truncate=0)
    with pytest.raises(InvalidArgument, match="d_state must be left out with truncate"):
        network.backward(d_loss, network.state, truncate=2)


def test_the_seed_alone_decides_the_weights_in_float32():
    one, same, other = (make_network(equinox_lstm, F, O, rng=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one.parameters, same.parameters)
    assert not np.array_equal(one.parameters, other.parameters)
    with jax.enable_x64(True), jax.default_prng_impl("rbg"):  # the user's settings do not matter
        double = make_network(equinox_lstm, F, O, rng=0, dtype="float64")
    np.testing.assert_array_equal(double.parameters, one.parameters)


def test_weights_go_in_and_out_by_name(rng):
    network, other = (make_network(nnx_lstm, F, O, hidden=H, rng=seed, dtype="float64") for seed in (0, 1))
    other.set_weights(network.get_weights())
    x = rng.uniform(-1, 1, (T, B, F))
    np.testing.assert_array_equal(other.predict(x), network.predict(x))
    with jax.enable_x64(True):
        y, _ = other.to_module()(jnp.asarray(x))
    close(np.array(y[-1]), network.predict(x), 1e-14)
    with pytest.raises(InvalidArgument, match=r"weights must be a mapping with exactly module\.dense_h\.bias"):
        other.set_weights({"W": np.ones(3)})


def test_other_dtypes_and_output_steps(rng):
    network, x = make_network(equinox_lstm, F, O, hidden=H, rng=0, dtype="float64"), rng.uniform(-1, 1, (T, B, F))
    single = network.astype("float32")
    assert single.predict(x).dtype == np.float32
    np.testing.assert_allclose(single.predict(x), network.predict(x), atol=1e-6)
    assert network.dtype == network.parameters.dtype == np.float64
    assert network.with_output_steps(4).predict(x).shape == (4, B, O)
    assert network.output_steps is None


def test_a_gradient_read_late_is_that_of_the_weights_of_its_pass(rng):
    network, x = make_network(equinox_lstm, F, O, hidden=H, rng=0), rng.uniform(-1, 1, (T, B, F))
    network.forward(x)
    grads = network.backward(np.ones((B, O)))
    expected = network.backward(np.ones((B, O))).d_a
    network.parameters[:] = 0
    np.testing.assert_array_equal(grads.d_a, expected)
    assert np.abs(expected[0]).max() > 0


def static(default):
    return field(metadata={"static": True}, default=default)


@jax.tree_util.register_dataclass
@dataclass
class Memory:
    """A model that follows the protocol without an adapter; its state is a dictionary without its output."""

    W: object
    scale: object
    returned: object = static(staticmethod(lambda y, state: (y, state)))

    def __call__(self, x, state=None):
        state = (
            {"h": jnp.zeros((x.shape[1], H), x.dtype), "steps": jnp.zeros(x.shape[1], int)}
            if state is None
            else state
        )

        def step(h, x):
            h = jnp.tanh(jnp.concatenate([x, h], axis=-1) @ self.W)
            return h, 0.5 * h[:, :O]

        h, ys = jax.lax.scan(step, state["h"], x)
        return self.returned(ys, {"h": h, "steps": state["steps"] + len(x)})


def memory(returned=Memory.returned, dtype="float64"):
    with jax.enable_x64(True):
        W = np.random.default_rng(1).standard_normal((F + H, H)) / 2
        return Memory(jnp.asarray(W, dtype), jnp.arange(2), returned)


def test_a_model_of_the_protocol_itself(rng):
    """y is computed from the state inside a scan; a is the state all the same."""
    network = JaxNetwork(memory(), F, O)
    assert (network.hidden_size, network.name, list(network.layout.shapes)) == (H, "Memory", ["W"])
    x, d = rng.uniform(-1, 1, (T, B, F)), rng.standard_normal((B, O))
    network.forward(x)
    np.testing.assert_array_equal(network.state["steps"], [T] * B)
    grads = network.backward(d)
    np.testing.assert_allclose(grads.d_a[-1], np.hstack([0.5 * d, np.zeros((B, H - O))]))
    later = grads.d_a[1:] * (1 - network.trace.a[1:] ** 2)
    np.testing.assert_allclose(grads.d_a[:-1], later @ network.get_weights()["W"][F:].T, atol=1e-14)
    assert np.isnan(GradientFlow.of(grads).d_R).all()


@jax.tree_util.register_dataclass
@dataclass
class Beside:
    """A layer whose output is computed beside its state, and not from it."""

    W: object
    batch_first: bool = static(False)

    def __call__(self, x, state=None):
        def step(h, x):
            s = jnp.concatenate([x, h], axis=-1) @ self.W
            return jnp.tanh(s), jnp.tanh(s + 0)

        start = jnp.zeros((x.shape[1], H), x.dtype) if state is None else state
        h, ys = jax.lax.scan(step, start, x)
        return ys, h


def test_an_output_beside_the_state_counts_as_well(rng):
    layer = Beside(memory().W)
    network, known = (JaxNetwork(Sequence(layer, None, H, read=read), F, H) for read in (None, lambda h: h))
    assert (network.hidden_size, known.hidden_size) == (2 * H, H)
    x, d = rng.uniform(-1, 1, (T, B, F)), rng.standard_normal((B, H))
    for one in (network, known):
        one.forward(x)
    y_part, state_part = np.split(network.backward(d).d_a, 2, axis=-1)
    np.testing.assert_allclose(y_part + state_part, known.backward(d).d_a, atol=1e-15)
    np.testing.assert_array_equal(y_part[-1], d)


def module(build):
    """A factory of one's own that returns what `build` makes."""

    def mine(features, outputs, hidden=H, *, key):
        return build()

    return mine


def raises():
    raise ValueError("no such size.\nAnother line")


def single(returned):
    return module(lambda: memory(returned, "float32"))


class NoTree:
    def __call__(self, x, state=None):
        return x, ()


FAULTY = {
    "raises": (module(raises), "The factory .*mine must return a model; it raised ValueError: no such size."),
    "no model": (module(lambda: 3), "must return a pytree that can be called, such as Steps .*; it returned 3."),
    "no pytree": (module(NoTree), "must return a pytree that can be called, .*; it returned <.*NoTree object"),
    "a cell alone": (
        module(lambda: equinox.nn.GRUCell(F, H, key=jax.random.key(0))),
        r"Steps\(GRUCell\(.*; it returned the GRUCell alone.",
    ),
    "other arguments": (
        lambda features, outputs, *, key: memory(),
        r"callable as \(features, outputs, hidden=..., key=...\); its signature is \(features, outputs, \*, key\)",
    ),
    "no parameters": (
        module(lambda: Memory(jnp.arange(2), jnp.arange(2))),
        "must have parameters to train; it has no array of floating-point numbers.",
    ),
    "two dtypes": (
        module(lambda: Memory(memory().W, jnp.ones(2, "float32"))),
        "must have parameters of one dtype; it has float32 and float64.",
    ),
    "half": (module(lambda: memory(dtype="float16")), "must have parameters of float32, .*; it has float16."),
    "y alone": (single(lambda y, state: y), r"must return the pair \(y, state\); it returned an array of shape"),
    "another shape": (
        single(lambda y, state: (y[-1], state)),
        r"must return y of shape \[T, B, O\], which is \[4, 3, 3\] for x .*; it returned an array of shape \[3",
    ),
    "a wrong read": (
        module(lambda: Sequence(Beside(memory(dtype="float32").W), None, H, read=lambda h: 2 * h)),
        "must have an argument read of Sequence that returns the layer's output; y differs by",
    ),
    "NaN": (
        single(lambda y, state: (y / 0, state)),
        "must return finite numbers for numbers from -1 to 1 at the start, in float32; it returned infinity",
    ),
    "float16 inside": (
        single(lambda y, state: (y.astype("float16"), state)),
        r"must compute in the dtype of its input, float32; it returned float16, as with jnp.zeros\(...\) in",
    ),
    "a state of the layer": (
        single(lambda y, state: (y, state | {"other": y[None, 0]})),
        r"must return a state of arrays \[B, ...\], with B = 3 here; it returned \[3, 6\], \[1, 3, 3\].",
    ),
    "a state that it does not take": (
        single(lambda y, state: (y, {"other": state["h"]})),
        "must run on x .T, B, F., with and without the state that it returned; it raised KeyError",
    ),
}


@pytest.mark.parametrize("case", FAULTY)
def test_a_faulty_model_is_named(case):
    factory, message = FAULTY[case]
    outputs = H if case == "a wrong read" else O
    with pytest.raises(FaultyModel, match=message) as caught:
        make_network(factory, F, outputs, hidden=H, rng=0)
    assert "\n" not in str(caught.value)
    assert f"test_network:{factory.__qualname__}" in str(caught.value)


def test_wrong_arguments():
    for arguments, message in (
        ({"factory": 3}, "factory must be a function"),
        ({"hidden": 0}, "hidden must be a whole number of at least 1, got 0"),
        ({"dtype": "int8"}, "dtype must be one of float32, float64, complex128, got 'int8'"),
        ({"device": "cpu:0"}, "device must be one that JAX can use, .*, got 'cpu:0'; for the processor write cpu"),
        ({"device": "cellar"}, "device must be one that JAX can use, such as cpu, cuda or cuda:1, got 'cellar': "),
        ({"device": "cpu:7"}, "device must be one that JAX can use, .*, got 'cpu:7'"),
        ({"device": 3}, "device must be one that JAX can use, such as cpu, cuda or cuda:1, got 3"),
        ({"options": {"depth": 3}}, r"callable as \(features, outputs, hidden=..., depth=..., key=...\)"),
        ({"rng": "x"}, "rng must be a Generator"),
    ):
        with pytest.raises(InvalidArgument, match=message):
            make_network(**{"factory": equinox_lstm, "features": F, "outputs": O, **arguments})
    with pytest.raises(InvalidArgument, match=r"module must be a pytree that can be called, .*, got 3"):
        JaxNetwork(3, F, O)
    network = make_network(equinox_lstm, F, O, rng=0)
    with pytest.raises(NotReady):
        network.backward(np.ones((B, O)))
    with pytest.raises(InvalidArgument, match="x has 1 feature; the network takes 2"):
        network.forward(np.ones((T, B, 1)))


def test_an_error_in_a_later_call_names_the_model():
    def short(x, h):
        if len(x) > 40:
            raise IndexError("too many samples")
        return jnp.tanh(x @ W + h)

    W = jnp.ones((F, H))
    network = JaxNetwork(Steps(short, H, O, state=H, key=jax.random.key(0)), F, O, name="mypkg.cells:short")
    with pytest.raises(
        FaultyPart, match=r"^The model mypkg.cells:short failed with IndexError: too many samples$"
    ):
        network.forward(np.ones((5, 50, F)))


def test_each_says_in_one_line_what_it_is(rng):
    network = make_network(equinox_lstm, F, O, hidden=H, rng=0)
    network.forward(rng.uniform(-1, 1, (T, B, F)))
    grads = network.backward(np.ones((B, O)))
    for thing, line in (
        (network, f"<JaxNetwork of jax_twins:equinox_lstm, {F} in, {H} hidden, {O} out, float32>"),
        (network.trace, f"<ForeignTrace of jax_twins:equinox_lstm: T = {T}, B = {B}, F = {F}>"),
        (grads, "<ForeignGradients of jax_twins:equinox_lstm: 5 parameters>"),
    ):
        assert repr(thing) == line
