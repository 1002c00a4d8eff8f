import copy
import pickle
from itertools import pairwise

import numpy as np
import pytest

from memspan import (
    CELLS,
    RNN,
    Batches,
    GradientFlow,
    InvalidArgument,
    MSELoss,
    Network,
    NotReady,
    Recall,
    gradient_check,
    lstm,
)
from memspan.errors import generator
from memspan.runtime.renamed import RenamedWarning

NAMES = ("W", "R", "bs", "V", "by")


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def model(rng):
    """Two features, three units, two outputs, and no weight that is zero."""
    model = RNN(2, 3, 2, rng=rng)
    model.parameters += rng.uniform(0.05, 0.1, model.parameters.size)
    return model


@pytest.fixture
def x(rng):
    return rng.uniform(-1, 1, (4, 5, 2))


def ready(model, x):
    """The model after a forward and a backward pass."""
    y_hat = model.forward(x)
    model.backward(np.ones_like(y_hat))
    return model


def assert_same(gradients, expected):
    assert gradients.keys() == expected.keys()
    for name, gradient in expected.items():
        np.testing.assert_array_equal(gradients[name], gradient)


# --- forward and backward -------------------------------------------------------------------------------


def test_one_sequence_is_a_batch_of_one(model, x):
    alone, batch = x[:, 0], x[:, :1]
    y_hat = model.forward(alone)
    grads = model.backward(np.array([1.0, -2.0]))
    assert y_hat.shape == (1, 2)
    np.testing.assert_array_equal(y_hat, model.forward(batch))
    assert_same(grads, model.backward(np.array([[1.0, -2.0]])))


def test_inputs_are_copied(model, x):
    model.forward(x)
    expected = model.backward(np.ones((5, 2)))
    given = x.copy()
    model.forward(given)
    given[:] = 7
    assert_same(model.backward(np.ones((5, 2))), expected)


def test_the_gradient_given_is_copied(model, x):
    model.forward(x)
    d_loss = np.full((5, 2), 2.0)
    model.backward(d_loss)
    expected = model.grads.d_W.copy()
    d_loss[:] = 7
    np.testing.assert_array_equal(model.grads.d_y_hat, 2.0)
    np.testing.assert_array_equal(model.grads.d_V, model.trace.a[-1].T @ np.full((5, 2), 2.0))
    np.testing.assert_array_equal(model.grads.d_W, expected)


def test_predict_is_forward_without_memory(model, x):
    y_hat = model.forward(x)
    kept = model.trace
    np.testing.assert_array_equal(model.predict(x), y_hat)
    assert (model.predict(-x) != y_hat).all()
    assert model.trace is kept


def test_backward_may_be_repeated_and_leaves_its_last_result_in_grads(model, x):
    model.forward(x)
    first = model.backward(np.ones((5, 2)))
    assert model.grads is first
    kept = {name: gradient.copy() for name, gradient in first.items()}
    doubled = model.backward(np.full((5, 2), 2.0))
    assert_same(first, kept)
    assert_same(doubled, {name: 2 * gradient for name, gradient in kept.items()})


def test_grads_has_every_gradient_by_name_and_as_an_attribute(model, x):
    model.forward(x)
    grads = model.backward(np.ones((5, 2)))
    assert grads is model.grads
    assert list(grads) == ["d_V", "d_W", "d_R", "d_bs", "d_by"]
    assert (len(grads), "d_W" in grads, "d_U" in grads, "W" in grads) == (5, True, False, False)
    assert_same(grads, {f"d_{name}": getattr(grads, f"d_{name}") for name in NAMES})
    assert dict(grads)["d_R"] is grads["d_R"] is model.grads["d_R"]
    assert "d_V, d_W, d_R" in repr(grads)
    with pytest.raises(KeyError):
        grads["d_U"]


def test_grads_has_d_U_where_the_cell_has_U(x):
    model = Network("lstm-peephole", 2, 3, 2, rng=0)
    ready(model, x)
    assert list(model.grads)[-1] == "d_U"
    model.grads["d_U"][:] = 0
    assert model.grads.d_U.any()


def test_the_attributes_of_grads_stay_when_its_arrays_are_changed(model, x):
    grads = ready(model, x).grads
    kept = {name: getattr(grads, f"d_{name}").copy() for name in NAMES}
    total = grads.total()
    for name in grads:
        grads[name] *= 0
    assert not any(gradient.any() for gradient in grads.values())
    assert_same({name: getattr(grads, f"d_{name}") for name in NAMES}, kept)
    np.testing.assert_array_equal(grads.total(), total)


def test_a_gradient_can_be_assigned_but_not_removed_or_added(model, x):
    grads, before = ready(model, x).grads, model.get_weights()
    grads["d_W"] = np.ones((2, 3))  # summed over time already
    grads["d_R"] = np.zeros_like(grads["d_R"])
    with pytest.raises(TypeError, match="can be changed but not deleted"):
        del grads["d_W"]
    with pytest.raises(InvalidArgument, match=r"the name of a gradient must be one of d_V, d_W, .*, got 'W'"):
        grads["W"] = np.ones((2, 3))
    model.update(0.5)
    np.testing.assert_array_equal(model.W, before["W"] - 0.5)
    np.testing.assert_array_equal(model.R, before["R"])


def test_backpropagate_is_backward_without_the_finite_check(model, x):
    model.forward(x)
    gradients = model.backpropagate(np.ones((5, 2)))
    assert gradients is model.grads
    assert_same(model.backward(np.ones((5, 2))), gradients)


def test_the_old_name_of_grads_warns(model, x):
    ready(model, x)
    with pytest.warns(RenamedWarning, match="gradients is now grads"):
        assert model.gradients is model.grads


def test_a_loss_that_is_not_finite_shows_in_the_gradients(model, x):
    """Divergence is for the trainer to report, which asks for the gradients; by hand it is refused."""
    model.forward(x)
    gradients = model.backpropagate(np.full((5, 2), np.nan))
    assert all(np.isnan(getattr(gradients, f"d_{name}")).any() for name in NAMES)
    with pytest.raises(InvalidArgument, match="d_loss must be finite"):
        model.backward(np.full((5, 2), np.nan))


# --- update ---------------------------------------------------------------------------------------------


def test_update_subtracts_the_rate_times_the_sum_over_time(model, x):
    before = model.get_weights()
    grads = ready(model, x).grads
    summed = {"V": grads["d_V"], "by": grads["d_by"]}
    summed |= {name: sum(grads[f"d_{name}"][t] for t in range(4)) for name in ("W", "R", "bs")}
    model.update(0.25)
    for name in NAMES:
        assert np.abs(summed[name]).max() > 0
        np.testing.assert_allclose(getattr(model, name), before[name] - 0.25 * summed[name], rtol=1e-14)


def test_update_sees_what_was_done_to_grads_in_place(model, x):
    before = model.get_weights()
    ready(model, x)
    model.grads["d_R"][:] = 0
    model.grads["d_bs"][1:] = 0
    model.grads["d_V"] *= 3
    kept = {name: gradient.copy() for name, gradient in model.grads.items()}
    model.update(1.0)
    np.testing.assert_array_equal(model.R, before["R"])
    np.testing.assert_allclose(model.bs, before["bs"] - kept["d_bs"][0], rtol=1e-14)
    np.testing.assert_allclose(model.V, before["V"] - kept["d_V"], rtol=1e-14)


def test_small_steps_downhill_lower_the_loss(model, x):
    loss, y, losses = MSELoss(), x[0] - 1, []
    for _ in range(30):
        losses.append(loss.forward(model.forward(x), y))
        model.backward(loss.backward())
        model.update(0.1)
    assert all(later < earlier for earlier, later in pairwise(losses))
    assert losses[-1] < losses[0] / 3


def test_each_method_needs_the_one_before(model, x):
    with pytest.raises(RuntimeError, match=r"backward needs .* call \.forward\(x\) first"):
        model.backward(np.ones((5, 2)))
    model.forward(x)
    with pytest.raises(RuntimeError, match=r"update needs gradients: call .*\.backward\(d_loss\) first"):
        model.update(0.1)
    model.backward(np.ones((5, 2)))
    model.update(0.1)
    with pytest.raises(NotReady):
        model.update(0.1)
    with pytest.raises(NotReady):
        model.backward(np.ones((5, 2)))


def test_a_new_forward_forgets_old_gradients(model, x):
    ready(model, x).forward(x)
    assert model.grads is None
    with pytest.raises(NotReady):
        model.update(0.1)


def test_a_refused_forward_leaves_nothing_to_differentiate(model, x):
    model.forward(x)
    with pytest.raises(InvalidArgument):
        model.forward(x[..., :1])
    with pytest.raises(NotReady):
        model.backward(np.ones((5, 2)))


@pytest.mark.parametrize("lr", [0, -0.1, np.nan, np.inf, "0.1", True, None])
def test_refused_rate_changes_nothing(model, x, lr):
    ready(model, x)
    before = model.parameters.copy()
    with pytest.raises(InvalidArgument) as caught:
        model.update(lr)
    assert str(caught.value) == f"lr must be a finite number above 0, got {lr!r}"
    np.testing.assert_array_equal(model.parameters, before)
    model.update(0.1)
    assert (model.parameters != before).any()


# --- weights --------------------------------------------------------------------------------------------


def test_get_weights_returns_copies_under_the_assignments_names(model):
    weights, before = model.get_weights(), model.parameters.copy()
    assert {name: weight.shape for name, weight in weights.items()} == {
        "W": (2, 3),
        "R": (3, 3),
        "bs": (3, 1),
        "V": (3, 2),
        "by": (2, 1),
    }
    for name, weight in weights.items():
        np.testing.assert_array_equal(weight, getattr(model, name))
        weight[:] = 9
    np.testing.assert_array_equal(model.parameters, before)


def test_set_weights_copies(model, x):
    other = RNN(2, 3, 2, rng=5)
    weights = other.get_weights()
    model.set_weights(weights)
    np.testing.assert_array_equal(model.parameters, other.parameters)
    weights["R"][:] = 9
    np.testing.assert_array_equal(model.parameters, other.parameters)
    np.testing.assert_array_equal(model.forward(x), other.forward(x))


def with_change(name, value):
    """Every weight anew, but one of them wrong."""
    weights = {k: np.full(shape, 9.0) for k, shape in RNN(2, 3, 2).layout.shapes.items()}
    return {**weights, name: value}


def without(name):
    weights = with_change(name, None)
    del weights[name]
    return weights


def nan_at(shape, index):
    values = np.zeros(shape)
    values[index] = np.nan
    return values


REAL = "an array of real floating-point numbers"
EXACTLY = "weights must be a mapping with exactly W, R, bs, V, by, got "
REFUSED_WEIGHTS = {
    "missing": (without("by"), EXACTLY + "['W', 'R', 'bs', 'V']"),
    "extra": (with_change("U", np.ones(1)), EXACTLY + "['W', 'R', 'bs', 'V', 'by', 'U']"),
    "shape": (with_change("by", np.ones((1, 2))), "by must be of shape (2, 1), got shape (1, 2)"),
    "would broadcast": (with_change("by", np.ones((1, 1))), "by must be of shape (2, 1), got shape (1, 1)"),
    "flat": (with_change("bs", np.ones(3)), "bs must be of shape (3, 1), got shape (3,)"),
    "nan": (with_change("by", nan_at((2, 1), 1)), "by must be finite in float64, got nan at index [1, 0]"),
    "inf": (with_change("V", np.full((3, 2), -np.inf)), "V must be finite in float64, got -inf at index [0, 0]"),
    "complex": (with_change("by", np.ones((2, 1), complex)), f"by must be {REAL}, got dtype complex128"),
    "integer": (with_change("by", np.ones((2, 1), np.int64)), f"by must be {REAL}, got dtype int64"),
    "boolean": (with_change("by", np.ones((2, 1), bool)), f"by must be {REAL}, got dtype bool"),
}


@pytest.mark.parametrize(("weights", "message"), REFUSED_WEIGHTS.values(), ids=REFUSED_WEIGHTS)
def test_set_weights_writes_all_or_nothing(model, weights, message):
    before = model.parameters.copy()
    with pytest.raises(InvalidArgument) as caught:
        model.set_weights(weights)
    assert str(caught.value) == message
    np.testing.assert_array_equal(model.parameters, before)


def test_weights_and_inputs_must_be_finite_in_the_networks_own_dtype():
    model = RNN(1, 2, 1, dtype=np.float32)
    with pytest.raises(InvalidArgument, match="by must be finite"):
        model.by = np.array([[1e300]])
    with pytest.raises(InvalidArgument, match="x must be finite"):
        model.forward(np.array([[1e300]]))


@pytest.mark.parametrize("name", NAMES)
def test_assigning_a_weight_writes_its_numbers_into_the_vector(model, name):
    value = np.random.default_rng(1).standard_normal(getattr(model, name).shape)
    others = {other: w for other, w in model.get_weights().items() if other != name}
    given, vector = value.copy(), model.parameters
    setattr(model, name, given)
    given[:] = 9
    assert model.parameters is vector
    np.testing.assert_array_equal(getattr(model.layout.views(vector), name), value)
    for other, weight in others.items():
        np.testing.assert_array_equal(getattr(model, other), weight)


def test_identity_can_be_assigned(model):
    model.R = np.eye(3)
    np.testing.assert_array_equal(model.layout.views(model.parameters).R, np.eye(3))


def test_weights_can_be_changed_in_place(model):
    before = model.get_weights()
    model.W -= 0.5
    model.R[0, 1] = 4
    model.bs *= 2
    views = model.layout.views(model.parameters)
    np.testing.assert_array_equal(views.W, before["W"] - 0.5)
    assert views.R[0, 1] == 4
    np.testing.assert_array_equal(views.bs, 2 * before["bs"])


def test_a_weight_can_be_assigned_its_own_transpose(model):
    before = model.R.copy()
    model.R = model.R.T
    np.testing.assert_array_equal(model.R, before.T)


def test_assigning_a_weight_of_the_wrong_shape_is_refused_by_name(model):
    before = model.parameters.copy()
    with pytest.raises(InvalidArgument) as caught:
        model.R = np.eye(2)
    assert str(caught.value) == "R must be of shape (3, 3), got shape (2, 2)"
    np.testing.assert_array_equal(model.parameters, before)


# --- copies ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))], ids=["copy", "pickle"])
@pytest.mark.parametrize("cell", CELLS)
def test_a_copy_stands_alone_and_its_weights_are_still_views(cell, clone, x):
    model = ready(Network(cell, 2, 3, 2, rng=3), x)
    twin = clone(model)
    before = model.parameters.copy()
    np.testing.assert_array_equal(twin.parameters, before)
    assert_same(twin.backward(np.ones((5, 2))), model.grads)
    twin.W -= 1.0
    np.testing.assert_array_equal(twin.layout.views(twin.parameters).W, model.W - 1)
    twin.update(0.1)
    np.testing.assert_array_equal(model.parameters, before)


def test_complex_twin_has_the_same_weights_and_forgets_the_rest(model, x):
    y_hat = ready(model, x).forward(x)
    twin = model.astype(np.complex128)
    assert twin.dtype == twin.parameters.dtype == np.complex128
    np.testing.assert_array_equal(twin.parameters, model.parameters)
    with pytest.raises(NotReady):
        twin.backward(np.ones((5, 2)))
    np.testing.assert_allclose(twin.forward(x), y_hat, rtol=1e-14)
    before = model.parameters.copy()
    twin.R += 1j
    np.testing.assert_array_equal(model.parameters, before)
    np.testing.assert_array_equal(twin.layout.views(twin.parameters).R, model.R + 1j)
    assert model.trace is not None


def test_complex_twin_differentiates(model, x):
    d = np.ones((5, 2))
    model.forward(x)
    gradient = model.backward(d)["d_R"].sum(axis=0)[0, 2]
    twin = model.astype("complex128")
    twin.R[0, 2] += 1e-20j
    np.testing.assert_allclose((twin.forward(x).imag * d).sum() / 1e-20, gradient, rtol=1e-12)


def test_a_complex_network_takes_complex_inputs(model, x):
    twin = model.astype(np.complex128)
    derivative = twin.forward(x + 1e-20j).imag / 1e-20
    h = 1e-6
    central = (model.forward(x + h) - model.forward(x - h)) / (2 * h)
    np.testing.assert_allclose(derivative, central, rtol=1e-6)


def test_single_precision_rounds_the_weights_of_double_precision():
    single, double = RNN(2, 3, 1, dtype=np.float32, rng=4), RNN(2, 3, 1, rng=4)
    np.testing.assert_array_equal(single.parameters, double.parameters.astype(np.float32))


@pytest.mark.parametrize("steps", [None, 1, 3])
def test_a_twin_with_other_output_steps_has_the_same_weights_and_forgets_the_rest(model, x, steps):
    forwarded = ready(model, x)
    twin = forwarded.with_output_steps(steps)
    made = Network(model.cell, model.input_size, model.hidden_size, model.output_size, output_steps=steps)
    made.parameters[:] = model.parameters
    np.testing.assert_array_equal(twin.predict(x), made.predict(x))
    assert (model.output_steps, twin.output_steps) == (None, steps)
    assert type(twin) is type(model)
    with pytest.raises(NotReady):
        twin.backward(np.ones((5, 2)))
    twin.W -= 1.0
    np.testing.assert_array_equal(model.parameters, made.parameters)
    with pytest.raises(InvalidArgument, match=r"^output_steps must be a whole number of at least 1, got 0$"):
        model.with_output_steps(0)


# --- how a network begins -------------------------------------------------------------------------------


def test_rnn_begins_as_in_the_assignment():
    rnn = RNN(3, 50, 4, rng=0)
    assert rnn.cell is CELLS["rnn"]
    for name in ("W", "R", "V"):
        assert 0.19 < np.abs(getattr(rnn, name)).max() < 0.2
    assert not rnn.bs.any()
    assert not rnn.by.any()


def test_identity_start_is_the_irnn():
    rnn = RNN(1, 4, 1, init="identity", gain=0.9, rng=0)
    assert rnn.cell is CELLS["rnn-relu"]
    np.testing.assert_array_equal(rnn.R, 0.9 * np.eye(4))


@pytest.mark.parametrize(
    ("init", "activation", "cell"),
    [("identity", "tanh", "rnn"), ("orthogonal", "relu", "rnn-relu"), ("glorot", None, "rnn")],
)
def test_activation_asked_for_is_given(init, activation, cell):
    assert RNN(1, 2, 1, init=init, activation=activation).cell is CELLS[cell]


def test_a_cell_brings_its_own_start():
    np.testing.assert_array_equal(Network("rnn-relu", 1, 3, 1, rng=0).R, np.eye(3))


def test_orthogonal_start_keeps_lengths_up_to_its_gain():
    R = RNN(1, 6, 1, init="orthogonal", gain=1.5, rng=0).R
    np.testing.assert_allclose(R.T @ R, 1.5**2 * np.eye(6), atol=1e-14)


@pytest.mark.parametrize("cell", CELLS)
def test_a_recurrent_gain_is_for_every_cell_that_has_an_r(cell):
    plain = Network(cell, 1, 3, 1, rng=0).get_weights()
    if "R" not in plain:
        with pytest.raises(
            InvalidArgument, match=f"recurrent_gain must be 1 for the cell {cell}, which has no R, got 2"
        ):
            Network(cell, 1, 3, 1, recurrent_gain=2, rng=0)
        return
    scaled = Network(cell, 1, 3, 1, recurrent_gain=2, rng=0).get_weights()
    for name, weight in plain.items():
        np.testing.assert_array_equal(scaled[name], 2 * weight if name == "R" else weight)


def test_a_cell_may_be_given_itself():
    network = Network(lstm(forget_bias=3.0), 1, 2, 1, rng=0)
    assert network.bs[:, 0].tolist() == [0, 0, 3, 3, 0, 0, 0, 0]
    np.testing.assert_array_equal(network.W, Network("lstm", 1, 2, 1, rng=0).W)


def start_of(rng):
    return RNN(1, 3, 1, rng=rng).W


def test_a_stream_is_taken_as_it_is():
    np.testing.assert_array_equal(start_of(np.random.SeedSequence(7)), start_of(np.random.default_rng(7)))


def test_a_seed_gives_weights_of_its_own():
    np.testing.assert_array_equal(start_of(7), start_of(7))
    for other in (8, np.random.default_rng(7), None):
        assert (start_of(other) != start_of(7)).all()


@pytest.mark.parametrize("seed", [0, 1, 2**70])
def test_weights_and_sequences_of_one_seed_have_nothing_in_common(seed):
    weights = RNN(1, 2000, 1, rng=seed).W.ravel()
    sequences = next(Batches(Recall(), 2000, 1, rng=seed)).x.ravel()
    own = np.random.default_rng(seed).random(2000)
    assert np.abs(np.corrcoef([weights, sequences, own]) - np.eye(3)).max() < 0.1  # 4.5 standard errors


def test_the_streams_of_studies_are_not_those_of_seeds():
    """A study passes SeedSequences of three words, users may spawn their own: a seed's has another length."""
    for purpose in ("weights", "sequences"):
        key = generator("rng", 0, purpose).bit_generator.seed_seq.spawn_key
        assert key == tuple(purpose.encode())
        assert len(key) > 3


# --- what is refused ------------------------------------------------------------------------------------

REFUSED_INPUTS = {
    "complex": (np.ones((4, 5, 2), complex), f"x must be {REAL}, got dtype complex128"),
    "integer": (np.ones((4, 5, 2), np.int64), f"x must be {REAL}, got dtype int64"),
    "boolean": (np.ones((4, 5, 2), bool), f"x must be {REAL}, got dtype bool"),
    "nothing": (None, f"x must be {REAL}, got dtype object"),
    "nan": (nan_at((4, 5, 2), (2, 0, 1)), "x must be finite in float64, got nan at index [2, 0, 1]"),
    "inf": (np.full((4, 2), np.inf), "x must be finite in float64, got inf at index [0, 0]"),
    "rank 0": (np.array(1.0), "x must be of shape [T, F] or [T, B, F], got shape ()"),
    "rank 1": (np.ones(4), "x must be of shape [T, F] or [T, B, F], got shape (4,)"),
    "rank 4": (np.ones((4, 5, 2, 1)), "x must be of shape [T, F] or [T, B, F], got shape (4, 5, 2, 1)"),
    "wide": (
        np.ones((4, 5, 3)),
        "x has 3 features; the network takes 2.",
    ),
    "no width": (
        np.ones((4, 0)),
        "x has 0 features; the network takes 2.",
    ),
    "no time": (
        np.ones((0, 5, 2)),
        "x must be of at least one time step and one sample, got shape (0, 5, 2)",
    ),
    "no batch": (
        np.ones((4, 0, 2)),
        "x must be of at least one time step and one sample, got shape (4, 0, 2)",
    ),
    "no sequence": (
        np.ones((0, 2)),
        "x must be of at least one time step and one sample, got shape (0, 2)",
    ),
}


@pytest.mark.parametrize(("x", "message"), REFUSED_INPUTS.values(), ids=REFUSED_INPUTS)
def test_forward_refuses(model, x, message):
    with pytest.raises(InvalidArgument) as caught:
        model.forward(x)
    assert str(caught.value) == message


REFUSED_GRADIENTS = {
    "complex": (np.ones((5, 2), complex), f"d_loss must be {REAL}, got dtype complex128"),
    "integer": (np.ones((5, 2), np.int64), f"d_loss must be {REAL}, got dtype int64"),
    "number": (np.array(1.0), "d_loss must be of the prediction's shape (5, 2), got shape ()"),
    "one sample": (np.ones(2), "d_loss must be of the prediction's shape (5, 2), got shape (2,)"),
    "would broadcast": (np.ones((1, 2)), "d_loss must be of the prediction's shape (5, 2), got shape (1, 2)"),
    "transposed": (np.ones((2, 5)), "d_loss must be of the prediction's shape (5, 2), got shape (2, 5)"),
    "rank 3": (np.ones((1, 5, 2)), "d_loss must be of the prediction's shape (5, 2), got shape (1, 5, 2)"),
}


@pytest.mark.parametrize(("d_loss", "message"), REFUSED_GRADIENTS.values(), ids=REFUSED_GRADIENTS)
def test_backward_refuses(model, x, d_loss, message):
    model.forward(x)
    with pytest.raises(InvalidArgument) as caught:
        model.backward(d_loss)
    assert str(caught.value) == message
    assert model.grads is None


@pytest.mark.parametrize("value", [0, -1, 1.5, 2.0, True, "3", None])
@pytest.mark.parametrize("name", ["input_size", "hidden_size", "output_size"])
def test_sizes_are_whole_numbers(name, value):
    with pytest.raises(InvalidArgument) as caught:
        RNN(**{"input_size": 1, "hidden_size": 2, "output_size": 1, name: value})
    assert str(caught.value) == f"{name} must be a whole number of at least 1, got {value!r}"


REFUSED_OPTIONS = {
    "init": ({"init": "xavier"}, "init must be one of uniform, orthogonal, .*, got 'xavier'"),
    "activation": ({"activation": "gelu"}, "activation must be one of tanh, relu, got 'gelu'"),
    "dtype": (
        {"dtype": "double-double"},
        "dtype must be one of float32, float64, complex128, got .*double-double",
    ),
    "half": ({"dtype": np.float16}, "dtype must be one of float32, float64, complex128, got 'float16'"),
    "whole": ({"dtype": np.int32}, "dtype must be one of float32, float64, complex128, got 'int32'"),
    "gain 0": ({"gain": 0}, "gain must be a finite number above 0, got 0"),
    "gain nan": ({"gain": np.nan}, "gain must be a finite number above 0, got nan"),
    "gain inf": ({"gain": np.inf}, "gain must be a finite number above 0, got inf"),
    "recurrent gain": ({"recurrent_gain": 0}, "recurrent_gain must be a finite number above 0, got 0"),
    "gain text": ({"gain": "1"}, "gain must be a finite number above 0, got '1'"),
}


@pytest.mark.parametrize(("options", "message"), REFUSED_OPTIONS.values(), ids=REFUSED_OPTIONS)
def test_options_are_refused_by_name(options, message):
    with pytest.raises(InvalidArgument, match=message):
        RNN(1, 2, 1, **options)


def test_an_empty_activation_is_not_the_usual_one():
    with pytest.raises(InvalidArgument, match="activation must be one of tanh, relu, got ''"):
        RNN(1, 2, 1, activation="")


@pytest.mark.parametrize("cell", ["elman", None, 3])
def test_an_unknown_cell_is_refused_with_those_there_are(cell):
    with pytest.raises(InvalidArgument) as caught:
        Network(cell, 1, 2, 1)
    hint = "; did you mean 'rnn'?" if cell == "elman" else ""
    assert str(caught.value) == f"cell must be one of {', '.join(CELLS)}, got {cell!r}{hint}"


def test_a_twin_whose_weights_would_be_infinite_is_refused():
    network = RNN(1, 3, 1, rng=0)
    network.W[0, 0] = 1e300
    with pytest.raises(InvalidArgument, match="dtype must be one in which all weights are finite, got float32"):
        network.astype("float32")


def test_astype_refuses_an_unknown_dtype(model):
    with pytest.raises(InvalidArgument, match="dtype must be one of float32, float64, complex128, got 'int64'"):
        model.astype(np.int64)


def test_a_masked_array_is_refused_as_numpy_would_drop_its_mask():
    rnn, message = RNN(1, 3, 1, rng=0), "must be an array without a mask"
    x, hidden = np.ones((4, 2, 1)), np.ma.array(np.ones((4, 2, 1)), mask=True)
    for method in (rnn.forward, rnn.predict):
        with pytest.raises(InvalidArgument, match=f"^x {message}"):
            method(hidden)
    rnn.forward(x)
    with pytest.raises(InvalidArgument, match=f"^d_loss {message}"):
        rnn.backward(hidden[0])
    rnn.backward(np.ones((2, 1)))
    with pytest.raises(InvalidArgument, match=f"^d_W {message}"):
        rnn.grads["d_W"] = np.ma.array(rnn.grads["d_W"])
    with pytest.raises(InvalidArgument, match=f"^V {message}"):
        rnn.V = np.ma.array(rnn.V)
    with pytest.raises(InvalidArgument, match=f"^bs {message}"):
        rnn.set_weights({**rnn.get_weights(), "bs": np.ma.array(rnn.bs)})
    with pytest.raises(InvalidArgument, match=f"^x {message}"):
        gradient_check(rnn, hidden)
    with pytest.raises(InvalidArgument, match=f"^y {message}"):
        gradient_check(rnn, x, hidden[0], MSELoss())


@pytest.mark.parametrize(
    ("name", "new"),
    [("d_W", np.ones(3)), ("d_W", np.ones((4, 3, 1))), ("d_V", "much"), ("d_by", np.ones((1, 1), bool))],
)
def test_a_gradient_is_replaced_by_one_of_its_shape(name, new):
    rnn = RNN(1, 3, 1, rng=0)
    rnn.forward(np.ones((4, 2, 1)))
    gradients = rnn.backward(np.ones((2, 1)))
    with pytest.raises(InvalidArgument, match=f"^{name} must be an array of floating-point numbers of shape"):
        gradients[name] = new
    gradients["d_W"] = gradients["d_W"].sum(axis=0)  # as an update would sum it
    rnn.update(0.1)


def test_a_step_to_infinity_is_not_taken():
    rnn = RNN(1, 3, 1, rng=0)
    rnn.forward(np.ones((4, 2, 1)))
    rnn.backward(np.full((2, 1), 1e3))
    before = rnn.parameters.copy()
    with pytest.raises(
        InvalidArgument, match=r"^lr must be small enough to keep \w+ finite in float64, got 1e\+308$"
    ):
        rnn.update(1e308)
    rnn.grads["d_R"][0, 0, 0] = np.nan
    with pytest.raises(InvalidArgument, match=r"^d_R must be finite in float64, got infinity or NaN$"):
        rnn.update(0.1)
    np.testing.assert_array_equal(rnn.parameters, before)


def test_the_old_name_of_the_gradients_writes_the_new_one():
    """It used to make an attribute of its own, at which nobody looked."""
    rnn = RNN(1, 3, 1, rng=0)
    rnn.forward(np.ones((4, 2, 1)))
    gradients = rnn.backward(np.ones((2, 1)))
    rnn.grads = None
    with pytest.warns(RenamedWarning, match="^RNN.gradients is now grads;"):
        rnn.gradients = gradients
    assert rnn.grads is gradients


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("cell", CELLS)
def test_the_users_errstate_does_not_reach_a_pass(cell, dtype):
    """At a gain of 30 gates saturate, and gradients vanish: what is 0 is 0."""
    gain = 2 if cell in ("rnn-relu", "rnn-linear") else 30  # without a limit these two do overflow
    x = np.random.default_rng(0).uniform(-1, 1, (60, 3, 1)).astype(dtype)

    def passed():
        network = Network(cell, 1, 5, 1, gain=gain, init="glorot", dtype=dtype, rng=0)
        network.forward(1e-30 * x)
        network.backward(np.full((3, 1), 1e-30, dtype))
        network.update(1e-30)
        network.forward(x)
        gradients = network.backward(np.ones((3, 1), dtype))
        return [network.parameters, gradients.total(), *gradients.values(), GradientFlow.of(gradients).d_R]

    expected = passed()
    with np.errstate(all="raise"):
        for found, right in zip(passed(), expected, strict=True):
            np.testing.assert_array_equal(found, right)


@pytest.mark.parametrize("name", ["z", "", None, 0])
def test_a_gate_or_state_that_the_cell_does_not_have_is_named(name):
    network = Network("lstm", 1, 3, 1, rng=0)
    network.forward(np.ones((4, 1)))
    with pytest.raises(InvalidArgument, match=f"name must be one of a, c, got {name!r}"):
        network.trace.state(name)
    with pytest.raises(InvalidArgument, match=f"name must be one of i, f, g, o, got {name!r}"):
        network.trace.gate(name)
