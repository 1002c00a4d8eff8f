"""Weights from cells of flax and equinox into networks, and back."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memspan import CELLS, InvalidArgument, Network

jax = pytest.importorskip("jax", reason="JAX is not installed")
equinox = pytest.importorskip("equinox", reason="equinox is not installed")
pytest.importorskip("flax", reason="flax is not installed")

import jax.numpy as jnp  # noqa: E402
from flax import linen, nnx  # noqa: E402

from memspan.jax import load_weights, to_equinox, to_linen, to_nnx  # noqa: E402

# Not B = 4: with H = 5 and B = 4 in float64, JAX 0.10.2 compiles a wrong gradient of equinox's GRUCell for
# AVX-512. With jax.disable_jit() it is right.
F, H, O, B, T = 3, 5, 2, 3, 6
TO = {"linen": to_linen, "nnx": to_nnx, "equinox": to_equinox}
FLAX = ["rnn", "rnn-relu", "lstm", "gru"]
PAIRS = [
    *(("linen", cell) for cell in FLAX),
    *(("nnx", cell) for cell in FLAX),
    *(("equinox", c) for c in FLAX[2:]),
]
every_pair = pytest.mark.parametrize(("library", "cell"), PAIRS)


@pytest.fixture(autouse=True)
def in_64_bits():
    with jax.enable_x64(True):
        yield


def network_of(cell, dtype="float64", seed=0, library=""):
    """A network with random weights, also of all biases, except b_u where the library has none."""
    network = Network(cell, F, H, O, dtype=dtype, rng=seed)
    network.parameters[:] = np.random.default_rng(seed).uniform(-0.5, 0.5, network.parameters.size)
    if (library, cell) == ("nnx", "gru"):
        network.bs[3 * H :] = 0
    return network


def batch():
    return np.random.default_rng(1).uniform(-1, 1, (T, B, F))


# --- the libraries' own modules -------------------------------------------------------------------------


def random_like(tree):
    """The same tree with random numbers in place of its arrays, also of biases, which begin at 0."""
    rng = np.random.default_rng(4)
    return jax.tree.map(lambda leaf: jnp.asarray(rng.uniform(-0.5, 0.5, leaf.shape)), tree)


def flax_options(cell):
    return {"activation_fn": jax.nn.relu} if cell == "rnn-relu" else {}


def linen_cell(cell, kind, **options):
    made = getattr(linen, kind)(H, **flax_options(cell), **options)
    x = jnp.zeros((B, F))
    variables = made.init(jax.random.key(0), made.initialize_carry(jax.random.key(1), x.shape), x)
    return made.bind(random_like(variables))


def nnx_cell(cell, kind, **options):
    wide = {"dtype": jnp.float64, "param_dtype": jnp.float64}
    made = getattr(nnx, kind)(F, H, **flax_options(cell), **wide, **options, rngs=nnx.Rngs(0))
    nnx.update(made, random_like(nnx.state(made, nnx.Param)))
    return made


def equinox_cell(cell, kind, **options):
    return random_like(getattr(equinox.nn, kind)(F, H, key=jax.random.key(0), **options))


MADE = {"linen": linen_cell, "nnx": nnx_cell, "equinox": equinox_cell}
KINDS = {
    "rnn": ["SimpleCell"],
    "rnn-relu": ["SimpleCell"],
    "lstm": ["LSTMCell", "OptimizedLSTMCell"],
    "gru": ["GRUCell"],
}
MODULES = [
    (library, cell, kind)
    for library, cell in PAIRS
    for kind in KINDS[cell]
    if (library, kind) != ("equinox", "OptimizedLSTMCell")
]


def outputs(library, module, x):
    """The output at every step, by the library's own step."""
    width = module.hidden_size if library == "equinox" else H
    zeros = jnp.zeros((B, width))
    state = (zeros, zeros) if "LSTM" in type(module).__name__ else zeros
    found = []
    for x_t in x:
        if library == "equinox":
            state = jax.vmap(module)(x_t, state)
            found.append(state[0] if isinstance(state, tuple) else state)
        else:
            state, a = module(state, x_t)
            found.append(a)
    return np.stack(found)


@pytest.mark.parametrize(("library", "cell", "kind"), MODULES)
def test_a_network_with_a_cells_weights_has_the_same_states(library, cell, kind):
    module, network = MADE[library](cell, kind), network_of(cell)
    V, by = network.V.copy(), network.by.copy()
    load_weights(network, module)
    network.forward(batch())
    np.testing.assert_allclose(network.trace.a, outputs(library, module, batch()), rtol=0, atol=1e-12)
    np.testing.assert_array_equal(network.V, V)
    np.testing.assert_array_equal(network.by, by)


@pytest.mark.parametrize("kind", ["LSTMCell", "GRUCell"])
def test_so_does_one_of_a_cell_without_a_bias(kind):
    module = equinox_cell("", kind, use_bias=False)
    network = network_of(kind.removesuffix("Cell").lower())
    load_weights(network, module)
    network.forward(batch())
    np.testing.assert_allclose(network.trace.a, outputs("equinox", module, batch()), rtol=0, atol=1e-12)
    assert not network.bs.any()


def read_outs(bias):
    dense = linen.Dense(O, use_bias=bias)
    return {
        "linen": dense.bind(random_like(dense.init(jax.random.key(0), jnp.zeros((B, H))))),
        "nnx": nnx.Linear(H, O, use_bias=bias, param_dtype=jnp.float64, rngs=nnx.Rngs(0)),
        "equinox": equinox.nn.Linear(H, O, use_bias=bias, key=jax.random.key(0)),
    }


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("library", TO)
def test_a_read_out_gives_its_weights_too(library, bias):
    read_out, network = read_outs(bias)[library], network_of("lstm")
    load_weights(network, MADE[library]("lstm", "LSTMCell"), read_out)
    y_hat = network.forward(batch())
    a = jnp.asarray(network.trace.a[-1])
    expected = jax.vmap(read_out)(a) if library == "equinox" else read_out(a)
    np.testing.assert_allclose(y_hat, expected, rtol=0, atol=1e-12)
    assert network.by.any() == (bias and library != "nnx")  # where it begins at 0


# --- models ---------------------------------------------------------------------------------------------


@every_pair
def test_a_model_predicts_the_same_after_every_step_and_its_state_goes_on(library, cell):
    network, x = network_of(cell, library=library), batch()
    model = TO[library](network)
    whole, last = model(x)
    assert whole.dtype == jnp.float64
    np.testing.assert_allclose(whole, network.with_output_steps(T).forward(x), rtol=0, atol=1e-12)
    first, state = model(x[:5])
    second, end = model(x[5:], state)
    np.testing.assert_allclose(np.concatenate([first, second]), whole, rtol=0, atol=1e-14)
    for mine, theirs in zip(jax.tree.leaves(end), jax.tree.leaves(last), strict=True):
        assert mine.shape == (B, H)
        np.testing.assert_allclose(mine, theirs, rtol=0, atol=1e-14)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@every_pair
def test_there_and_back_is_the_same_to_the_last_bit(library, cell, dtype):
    network, other = network_of(cell, dtype, library=library), network_of(cell, dtype, seed=1)
    model = TO[library](network)
    load_weights(other, model)
    assert other.parameters.tobytes() == network.parameters.tobytes()
    load_weights(other, model.cell, model.read_out)
    assert other.parameters.tobytes() == network.parameters.tobytes()
    assert {leaf.dtype.name for leaf in weights_of(library, model)} == {dtype}


def weights_of(library, model):
    parts = {
        "linen": lambda: model.variables,
        "nnx": lambda: nnx.state(model, nnx.Param),
        "equinox": lambda: model,
    }
    return jax.tree.leaves(parts[library]())


wide = st.floats(allow_nan=False, allow_infinity=False, width=32)


@settings(max_examples=15)
@given(
    st.sampled_from([pair for pair in PAIRS if pair != ("nnx", "gru")]), st.lists(wide, min_size=3, max_size=20)
)
def test_so_are_all_numbers_also_zeros_with_a_sign(pair, numbers):
    library, cell = pair
    network, other = Network(cell, 1, 2, 1), Network(cell, 1, 2, 1)
    network.parameters[:] = np.resize(numbers, network.parameters.size)
    load_weights(other, TO[library](network))
    assert other.parameters.tobytes() == network.parameters.tobytes()


@every_pair
def test_the_gradients_are_those_of_the_network(library, cell):
    network, x, d = network_of(cell, library=library), batch(), np.random.default_rng(2).standard_normal((B, O))
    gradients = GRADIENTS[library](TO[library](network), x, d)
    found = network_of(cell)
    load_weights(found, gradients)
    network.forward(x)
    grads = network.backward(d)
    for name, gradient in found.get_weights().items():
        expected = grads[f"d_{name}"]
        expected = expected.sum(axis=0) if expected.ndim == 3 else expected
        if (library, cell, name) == ("nnx", "gru", "bs"):
            gradient, expected = gradient[: 3 * H], expected[: 3 * H]
        np.testing.assert_allclose(gradient, expected, rtol=0, atol=1e-12)


def linen_gradients(model, x, d):
    module, variables = model.unbind()
    return module.bind(jax.grad(lambda variables: (module.apply(variables, x)[0][-1] * d).sum())(variables))


def nnx_gradients(model, x, d):
    gradients = nnx.grad(lambda model: (model(x)[0][-1] * d).sum())(model)
    holder = nnx.clone(model)
    nnx.update(holder, gradients)
    return holder


def equinox_gradients(model, x, d):
    return equinox.filter_grad(lambda model: (model(x)[0][-1] * d).sum())(model)


GRADIENTS = {"linen": linen_gradients, "nnx": nnx_gradients, "equinox": equinox_gradients}


@every_pair
def test_a_model_has_no_other_weights(library, cell):
    network = network_of(cell, library=library)
    missing = H if (library, cell) == ("nnx", "gru") else 0
    total = sum(leaf.size for leaf in weights_of(library, TO[library](network)))
    assert total == network.parameters.size - missing


@pytest.mark.parametrize("library", TO)
def test_models_can_be_compiled(library):
    network, x = network_of("lstm"), batch()
    model = TO[library](network)
    if library == "linen":
        module, variables = model.unbind()
        y, _ = jax.jit(module.apply)(variables, x)
    else:
        y, _ = (nnx.jit if library == "nnx" else equinox.filter_jit)(lambda model, x: model(x))(model, x)
    np.testing.assert_allclose(y[-1], network.forward(x), rtol=0, atol=1e-12)


# --- what has no equal ----------------------------------------------------------------------------------


class OwnCell(nnx.LSTMCell):
    pass


def own_cell():
    return OwnCell(F, H, rngs=nnx.Rngs(0))


REFUSED = {
    "sizes": (
        lambda: linen.LSTMCell(4).bind({"params": small_params()}),
        "3 inputs and 5 units, .* got 3 inputs and 4",
    ),
    "cell": (
        lambda: nnx_cell("gru", "GRUCell"),
        "'lstm', got GRUCell, which is 'gru', in which the reset comes after",
    ),
    "subclass": (own_cell, r"a cell that memspan knows \(flax.nnx: SimpleCell, .*\), got OwnCell"),
    "linen's MGU": (lambda: linen_cell("", "MGUCell"), r"that memspan knows \(flax.linen: .*\), got MGUCell"),
    "equinox's Linear": (lambda: read_outs(True)["equinox"], r"that memspan knows \(equinox.nn: .*\), got Linear"),
    "gates": (
        lambda: nnx_cell("lstm", "LSTMCell", gate_fn=jax.nn.hard_sigmoid),
        "a cell with gate_fn=sigmoid, got",
    ),
    "activation": (lambda: linen_cell("lstm", "LSTMCell", activation_fn=jnp.sin), "activation_fn=tanh, got"),
    "unbound": (lambda: linen.LSTMCell(H), "bound to its parameters: module.bind.*, got an unbound LSTMCell"),
    "parameters": (lambda: {"params": small_params()}, "a module of flax.linen, flax.nnx or equinox, got"),
    "number": (lambda: 3, "a module of flax.linen, flax.nnx or equinox, got 3"),
}


def small_params():
    made = linen.LSTMCell(4)
    x = jnp.zeros((B, F))
    return made.init(jax.random.key(0), made.initialize_carry(jax.random.key(1), x.shape), x)["params"]


@pytest.mark.parametrize("rule", REFUSED)
def test_a_module_without_an_equal_is_refused_and_nothing_changes(rule):
    make, message = REFUSED[rule]
    network = network_of("lstm")
    before = network.parameters.tobytes()
    with pytest.raises(InvalidArgument, match=f"^module must be .*{message}"):
        load_weights(network, make())
    assert network.parameters.tobytes() == before


@pytest.mark.parametrize("library", ["linen", "nnx"])
def test_a_simple_cell_of_another_kind_is_refused(library):
    make, network = MADE[library], network_of("rnn")
    with pytest.raises(InvalidArgument, match="without a residual connection, got residual=True"):
        load_weights(network, make("rnn", "SimpleCell", residual=True))
    with pytest.raises(InvalidArgument, match="a cell with activation_fn=tanh or relu, got"):
        load_weights(network, make("rnn", "SimpleCell", activation_fn=jax.nn.sigmoid))
    with pytest.raises(InvalidArgument, match="network's cell, 'rnn', got SimpleCell, which is 'rnn-relu'"):
        load_weights(network, make("rnn-relu", "SimpleCell"))
    load_weights(network, make("rnn", "SimpleCell", activation_fn=lambda s: jnp.tanh(s)))


def test_a_read_out_that_does_not_fit_is_refused():
    network, module = network_of("lstm"), equinox_cell("lstm", "LSTMCell")
    before = network.parameters.tobytes()
    wide = equinox.nn.Linear(H, O + 1, key=jax.random.key(0))
    for read_out, message in ((wide, "5 inputs and 3 outputs"), (module, "a Linear of equinox.nn, got LSTMCell")):
        with pytest.raises(InvalidArgument, match=rf"^read_out must be .*{message}"):
            load_weights(network, module, read_out)
    with pytest.raises(InvalidArgument, match=r"^read_out must be bound"):
        load_weights(network, module, linen.Dense(O))
    assert network.parameters.tobytes() == before


def test_a_gru_with_a_bias_that_nnx_does_not_have_is_refused():
    network = network_of("gru", library="nnx")
    to_nnx(network)
    network.bs[3 * H + 1] = 0.25
    message = (
        r"net must be without a bias of the gate u, because the gru of flax.nnx has none, got b_u\[1\] = 0.25"
    )
    with pytest.raises(InvalidArgument, match=message):
        to_nnx(network)


@pytest.mark.parametrize("library", TO)
def test_cells_that_a_library_does_not_have_are_refused(library):
    have = {cell for name, cell in PAIRS if name == library}
    for cell in CELLS.keys() - have:
        with pytest.raises(InvalidArgument, match=f"net must be of a cell that .*{library} has .*, got '{cell}'"):
            TO[library](network_of(cell))
    with pytest.raises(
        InvalidArgument, match=r"got 'gru-before'; in the GRU of .* the reset comes after the product"
    ):
        TO[library](network_of("gru-before"))
    with pytest.raises(InvalidArgument, match="net must be a Network"):
        TO[library](3)
    with pytest.raises(InvalidArgument, match="net must be a Network"):
        load_weights(3, own_cell())


@pytest.mark.parametrize("library", TO)
def test_float64_needs_jax_in_64_bits(library):
    with jax.enable_x64(False):
        with pytest.raises(
            InvalidArgument, match="net must be of float32 while JAX is in 32-bit mode, got float64; "
        ):
            TO[library](network_of("lstm"))
        y, _ = TO[library](network_of("lstm", "float32"))(batch().astype(np.float32))
    np.testing.assert_allclose(y[-1], network_of("lstm").forward(batch()), rtol=0, atol=1e-5)
