"""Each convention of a cell or layer gives the outputs of that cell or layer, run by hand."""

from dataclasses import dataclass, field

import numpy as np
import pytest

jax = pytest.importorskip("jax", reason="JAX is not installed")
pytest.importorskip("flax", reason="flax is not installed")
equinox = pytest.importorskip("equinox", reason="equinox is not installed")

import jax.numpy as jnp  # noqa: E402
from flax import linen, nnx  # noqa: E402
from jax_twins import FACTORIES  # noqa: E402

from memspan import InvalidArgument  # noqa: E402
from memspan.jax import Sequence, Steps  # noqa: E402
from memspan.testing import check_model  # noqa: E402

T, B, F, H, O = 5, 3, 2, 4, 1
KEY = jax.random.key(0)


def static(default):
    return field(metadata={"static": True}, default=default)


@jax.tree_util.register_dataclass
@dataclass
class Tanh:
    """A cell of one's own. `returned` is what it makes of its new state."""

    W: object
    R: object
    returned: object = static(staticmethod(lambda h: h))
    swapped: bool = static(False)

    def __call__(self, x, h):
        x, h = (h, x) if self.swapped else (x, h)
        return self.returned(jnp.tanh(x @ self.W + h @ self.R))


@jax.tree_util.register_dataclass
@dataclass
class Keras(Tanh):
    """A cell as in Keras, with an initialiser of its own: ones."""

    def __call__(self, x, states):
        h = super().__call__(x, states[0])
        return 2 * h, [h]

    def get_initial_state(self, batch_size):
        return [jnp.ones((batch_size, H))]


class Alone(equinox.Module):
    """A cell for a single sample, as equinox's own."""

    cell: Tanh

    def __call__(self, x, h):
        assert x.ndim == 1
        return self.cell(x, h)


def tanh(*more, kind=Tanh):
    W, R = (0.5 * jax.random.normal(key, (n, H)) for key, n in zip(jax.random.split(KEY), (F, H), strict=True))
    return kind(W, R, *more)


@pytest.fixture
def x():
    return jax.random.normal(jax.random.key(1), (T, B, F))


def by_hand(cell, x, h):
    outputs = []
    for x_t in x:
        h = jnp.tanh(x_t @ cell.W + h @ cell.R)
        outputs.append(h)
    return jnp.stack(outputs)


def close(actual, expected):
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("form", "cell"), [(None, tanh()), ("equinox", Alone(tanh())), ("torch", tanh()), (None, tanh().__call__)]
)
def test_a_cell_of_ones_own(x, form, cell):
    model = Steps(cell, state=H, width=H, outputs=O, key=KEY, form=form)
    y, state = model(x)
    expected = by_hand(tanh(), x, jnp.zeros((B, H)))
    close(y, expected @ model.read_out["weight"].T + model.read_out["bias"])
    close(state, expected[-1])
    close(model.read(state, x[:1]), expected[-1])
    assert y.shape == (T, B, O)


def doubled(h):
    return h, 2 * h


@pytest.mark.parametrize(
    ("form", "cell"), [("carry", tanh(doubled, True)), ("keras", tanh(lambda h: doubled(h)[::-1]))]
)
def test_an_output_that_is_not_the_state(x, form, cell):
    a, state = Steps(cell, H, O, state=H, form=form, key=KEY).features(x)
    expected = by_hand(cell, x, jnp.zeros((B, H)))
    close(a, 2 * expected)
    close(state, expected[-1])


def test_the_cells_own_initialiser_comes_before_widths_and_after_a_function(x):
    cell = tanh(kind=Keras)
    ones, twos = by_hand(cell, x, jnp.ones((B, H))), by_hand(cell, x, jnp.full((B, H), 2.0))
    for state, expected in ((None, ones), ((H,), ones), (lambda batch, x: [jnp.full((batch, H), 2.0)], twos)):
        a, _ = Steps(cell, H, O, state=state, form="keras", key=KEY).features(x)
        close(a, 2 * expected)


@pytest.mark.parametrize("name", FACTORIES)
def test_a_call_without_a_state_starts_afresh_and_one_with_it_goes_on(x, name):
    model = FACTORIES[name](F, O, H, key=KEY)
    y, _ = model(x)
    again, state = model(x[:2])
    one, state = model(x[2:3], state)
    rest, _ = model(x[3:], state)
    close(jnp.concatenate([again, one, rest]), y)


def carried(cell, x, carry):
    outputs = []
    for x_t in x:
        carry, output = cell(carry, x_t)
        outputs.append(output)
    return jnp.stack(outputs)


def test_the_cells_of_flax_and_equinox_are_themselves(x):
    of_nnx = nnx.LSTMCell(F, H, rngs=nnx.Rngs(0))
    expected = carried(of_nnx, x, of_nnx.initialize_carry((B, F), nnx.Rngs(0)))
    close(Steps(of_nnx, H, O, key=KEY).features(x)[0], expected)
    of_linen = linen.GRUCell(H)
    model = Steps(of_linen, H, O, key=KEY, features=F)
    bound = of_linen.bind({"params": model.params})
    close(model.features(x)[0], carried(bound, x, jnp.zeros((B, H))))
    of_equinox, h, c = equinox.nn.LSTMCell(F, H, key=KEY), jnp.zeros(H), jnp.zeros(H)
    for x_t in x[:, 1]:
        h, c = of_equinox(x_t, (h, c))
    model = Steps(of_equinox, H, O, key=KEY)
    a, state = model.features(x)
    close(a[-1, 1], h)
    close(model.read(state, x[:1])[1], h)


@jax.tree_util.register_dataclass
@dataclass
class Layer:
    """A layer with states `[layers, B, H]`."""

    cell: Tanh
    batch_first: bool = static(False)

    def __call__(self, x, state=None):
        x = jnp.swapaxes(x, 0, 1) if self.batch_first else x
        h = jnp.zeros((1, x.shape[1], H)) if state is None else state
        a = by_hand(self.cell, x, h[0])
        return (jnp.swapaxes(a, 0, 1) if self.batch_first else a), a[-1:]


@pytest.mark.parametrize("batch_first", [True, False])
def test_a_layer_goes_on_from_its_state_step_by_step(x, batch_first):
    """The states are [B, layers, H], and one step is read from the state itself."""
    model = Sequence(Layer(tanh(), batch_first), H, O, key=KEY, state_axis=1, read=lambda h: h[:, -1])
    y, _ = model(x)
    steps, state = [], None
    for t in range(T):
        y_t, state = model(x[t : t + 1], state)
        steps.append(y_t)
    close(jnp.concatenate(steps), y)
    assert state.shape == (B, 1, H)


def test_the_module_gives_the_outputs_itself(x):
    model = Steps(equinox.nn.GRUCell(F, H, key=KEY), width=None, outputs=H)
    assert model(x)[0].shape == (T, B, H)
    assert model.read_out is None


@pytest.mark.parametrize("name", ["equinox gru", "nnx lstm", "linen gru"])
def test_the_contracts_of_a_model_are_kept(name):
    names = [
        "built",
        "seed",
        "shape",
        "fresh",
        "registered",
        "dtype",
        "causal",
        "resume",
        "modes",
        "used",
        "gradient",
    ]
    report = check_model(FACTORIES[name], hidden=6, contracts=names)
    assert report.notes["gradient"].startswith("compared with the complex step")


class Wide(linen.RNNCellBase):
    """A cell with a variable that is no parameter."""

    @linen.compact
    def __call__(self, carry, x):
        self.variable("other", "count", jnp.zeros, ())
        return carry, linen.Dense(H)(x) + carry

    @linen.nowrap
    def initialize_carry(self, rng, input_shape):
        return jnp.zeros((*input_shape[:-1], H))

    @property
    def num_feature_axes(self):
        return 1


GRU = equinox.nn.GRUCell(F, H, key=KEY)
REFUSED = {
    "no module": (lambda: Steps(3, H, O), "module must be a pytree or a function that can be called, got 3"),
    "no key": (
        lambda: Steps(GRU, H, O),
        "key must be the key of the factory, which draws the read-out .*, got None",
    ),
    "no state": (
        lambda: Steps(tanh(), H, O, key=KEY),
        "state must be the width of the state of Tanh, .*, got None",
    ),
    "width 0": (
        lambda: Steps(tanh(), H, O, state=0, key=KEY),
        "state must be a whole number of at least 1, got 0",
    ),
    "no widths": (
        lambda: Steps(tanh(), H, O, state=(), key=KEY),
        "state must be a width, .* of at least one width",
    ),
    "another form": (
        lambda: Steps(GRU, H, O, form="carry", key=KEY),
        "form must be 'equinox' for GRUCell, or left out, got 'carry'",
    ),
    "an unknown form": (
        lambda: Steps(tanh(), H, O, form="flax", state=H, key=KEY),
        "form must be one of torch, equinox, carry, keras, got 'flax'",
    ),
    "an equinox module": (
        lambda: Steps(Alone(tanh()), H, O, state=H, key=KEY),
        r"form must be given for Alone, an equinox module: form='equinox' if it takes a single sample, x \[F\]",
    ),
    "linen without features": (
        lambda: Steps(linen.GRUCell(H), H, O, key=KEY),
        "features must be given for GRUCell of flax.linen, whose parameters they decide, got None",
    ),
    "other variables": (
        lambda: Steps(Wide(), H, O, key=KEY, features=F),
        "cell must be one whose variables are all parameters, got .*other",
    ),
    "a loop of flax": (
        lambda: Steps(nnx.RNN(nnx.GRUCell(F, H, rngs=nnx.Rngs(0))), H, O, key=KEY),
        r"module must be a cell; memspan repeats it itself, so write Steps\(rnn.cell, ...\), got RNN",
    ),
    "a cell as a layer": (
        lambda: Sequence(GRU, H, O, key=KEY),
        r"rnn must be a layer .*; write Steps\(GRUCell\(...\), ...\) for one time step, got GRUCell",
    ),
    "no batch_first": (
        lambda: Sequence(tanh(), H, O, key=KEY),
        "batch_first must be given, because Tanh has no attribute of that name, got None",
    ),
    "another batch_first": (
        lambda: Sequence(Layer(tanh()), H, O, batch_first=True, key=KEY),
        "batch_first must be False, as in this Layer, or left out, got True",
    ),
    "a wrong read": (
        lambda: Sequence(Layer(tanh()), H, O, read=3, key=KEY),
        "read must be a function of the state, got 3",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_wrong_argument_is_refused(case):
    make, message = REFUSED[case]
    with pytest.raises(InvalidArgument, match=message):
        make()


WRONG = {
    "a pair": (tanh(doubled), None, r"form must be given for Tanh: form='keras' if .*, got 2 parts for a state"),
    "no pair": (tanh(), "keras", r"The result of Tanh must be the pair \(output, states\), got one array of"),
    "a wrong width": (
        tanh(lambda h: h[:, :2]),
        None,
        r"The output of Tanh must be of shape \[B, 4\] = \[3, 4\] \(width\), got one array of shape \[3, 2\]",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_cell_of_another_convention_is_refused(x, case):
    cell, form, message = WRONG[case]
    with pytest.raises(InvalidArgument, match=message):
        Steps(cell, H, O, state=H, form=form, key=KEY)(x)
