"""The two cross-entropies, and the mask of all losses."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memspan import CELLS, InvalidArgument, MSELoss, Network, SigmoidCrossEntropy, SoftmaxCrossEntropy
from memspan.gradcheck import gradient_check
from memspan.losses import LOSSES, MeanProduct

SHAPES = [(1, 2), (5, 3), (2, 4, 3), (3, 1, 2)]
EVERY = (*LOSSES.values(), MeanProduct)
every_loss = pytest.mark.parametrize("loss", EVERY)


def labels_for(loss, shape, rng):
    """Probabilities; of classes they sum to 1."""
    y = rng.random(shape)
    return y / y.sum(axis=-1, keepdims=True) if loss is SoftmaxCrossEntropy else y


def masked(y, loss, rng):
    """Some labels, or rows, made NaN, but not all."""
    rows = rng.random(y.shape[:-1]) < 0.4
    rows.flat[0] = False
    hidden = np.broadcast_to(rows[..., np.newaxis], y.shape).copy()
    if loss is not SoftmaxCrossEntropy:
        hidden |= rng.random(y.shape) < 0.2
        hidden.flat[0] = False
    return np.where(hidden, np.nan, y)


def complex_step(loss, y_hat, y):
    derivative = np.empty_like(y_hat)
    for index in np.ndindex(y_hat.shape):
        moved = y_hat.astype(complex)
        moved[index] += 1e-20j
        derivative[index] = loss.forward(moved, y).imag / 1e-20
    return derivative


@every_loss
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("scale", [0.1, 3, 30])
@pytest.mark.parametrize("mask", [False, True])
def test_derivative_is_the_complex_step_on_the_predictions(loss, shape, scale, mask):
    rng = np.random.default_rng(0)
    y_hat, y = rng.normal(0, scale, shape), labels_for(loss, shape, rng)
    if mask:
        y = masked(y, loss, rng)
    its = loss(masked=mask)
    expected = complex_step(its, y_hat, y)
    its.forward(y_hat, y)
    np.testing.assert_allclose(its.backward(), expected, rtol=1e-12, atol=1e-15)
    assert (its.backward()[np.isnan(y)] == 0).all()


def test_softmax_by_hand():
    loss = SoftmaxCrossEntropy()
    p = math.exp(2) / (math.exp(2) + 1 + math.exp(-1))
    assert loss.forward(np.array([[2.0, 0.0, -1.0]]), np.array([[1.0, 0.0, 0.0]])) == pytest.approx(-math.log(p))
    assert loss.backward()[0, 0] == pytest.approx(p - 1)


def test_sigmoid_by_hand():
    loss = SigmoidCrossEntropy()
    p, q = 1 / (1 + math.exp(-2)), 1 / (1 + math.exp(1))
    value = loss.forward(np.array([[2.0, -1.0]]), np.array([[1.0, 0.25]]))
    assert value == pytest.approx(-(math.log(p) + 0.25 * math.log(q) + 0.75 * math.log(1 - q)) / 2)
    np.testing.assert_allclose(loss.backward(), [[(p - 1) / 2, (q - 0.25) / 2]])


@pytest.mark.parametrize("size", [1e3, 1e30, 1e300])
def test_nothing_overflows(size):
    for loss, y in ((SoftmaxCrossEntropy(), [[1.0, 0.0]]), (SigmoidCrossEntropy(), [[1.0, 0.0]])):
        y_hat = np.array([[size, -size]])
        assert loss.forward(y_hat, np.array(y)) == 0
        assert (loss.backward() == 0).all()
        assert loss.forward(-y_hat, np.array(y)) == pytest.approx(2 * size if "Soft" in repr(loss) else size)
        assert np.isfinite(loss.backward()).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_largest_numbers_that_there_are_have_a_softmax(dtype):
    """Two of them are infinitely far apart; where the label is 0 that does not count."""
    far, loss = float(np.finfo(dtype).max), SoftmaxCrossEntropy()
    y_hat, in_kernels = np.array([[[far, -far, 0]]], dtype), np.empty((1, 1, 3), dtype)
    for answer, value, derivative in ((0, 0, [0, 0, 0]), (2, far, [1, 0, -1])):
        y = np.eye(3, dtype=dtype)[[[answer]]]
        assert loss.forward(y_hat, y) == value
        assert loss.backward().tolist() == [[derivative]]
        with np.errstate(over="ignore"):
            assert loss.into(y_hat, y, in_kernels, loss.kind) == value
        assert in_kernels.tolist() == [[derivative]]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_users_errstate_does_not_reach_a_loss(dtype):
    """exp(-2000) is 0, and that is no error."""
    y_hat, y = np.array([[1000, -1000], [-1000, 1000]], dtype), np.eye(2, dtype=dtype)
    expected = {MSELoss: (999**2 + 1000**2) / 2, SoftmaxCrossEntropy: 0, SigmoidCrossEntropy: 0}
    with np.errstate(all="raise"):
        for kind, value in expected.items():
            assert kind().forward(y_hat, y) == value
        for kind, value in ((SoftmaxCrossEntropy, 2000), (SigmoidCrossEntropy, 1000)):
            loss = kind()
            assert loss.forward(-y_hat, y) == value
            np.testing.assert_array_equal(loss.backward(), (1 - 2 * y) / (2 if value == 2000 else 4))


@pytest.mark.parametrize(("size", "dtype"), [(1e200, "float64"), (1e30, "float32")])
def test_a_loss_that_is_too_large_for_a_number_is_refused(size, dtype):
    y_hat, y = np.array([[1.0], [-size]], dtype), np.zeros((2, 1), dtype)
    with pytest.raises(InvalidArgument) as refused:
        MSELoss().forward(y_hat, y)
    assert (
        str(refused.value)
        == f"y_hat must be small enough for a finite loss in {dtype}, got numbers up to {size:g}"
    )
    far = np.array([[np.finfo(dtype).max, -np.finfo(dtype).max]])
    for loss in (SoftmaxCrossEntropy(), SigmoidCrossEntropy()):
        with pytest.raises(InvalidArgument, match="y_hat must be small enough for a finite loss"):
            loss.forward(far, np.array([[0, 1]], dtype))


@every_loss
def test_what_is_not_finite_has_no_finite_loss(loss):
    y = np.array([[1.0, 0.0]])
    assert math.isnan(loss().forward(np.array([[np.nan, 0.0]]), y))
    assert not math.isfinite(loss().forward(np.array([[-np.inf, 0.0]]), y))


@every_loss
@pytest.mark.parametrize("name", ["y_hat", "y"])
def test_a_masked_array_is_refused_as_numpy_would_drop_its_mask(loss, name):
    arrays = {"y_hat": np.zeros((2, 2)), "y": np.eye(2)}
    arrays[name] = np.ma.array(arrays[name], mask=[[True, False], [False, False]])
    with pytest.raises(
        InvalidArgument, match=rf"{name} must be an array without a mask, got a numpy\.ma\.MaskedArray"
    ):
        loss().forward(**arrays)


@given(shift=st.floats(-50, 50), seed=st.integers(0, 1000))
def test_softmax_does_not_see_what_all_classes_have_in_common(shift, seed):
    rng = np.random.default_rng(seed)
    y_hat, y = rng.normal(size=(3, 4)), labels_for(SoftmaxCrossEntropy, (3, 4), rng)
    one, other = SoftmaxCrossEntropy(), SoftmaxCrossEntropy()
    assert one.forward(y_hat, y) == pytest.approx(other.forward(y_hat + shift, y), rel=1e-12, abs=1e-12)
    np.testing.assert_allclose(one.backward(), other.backward(), atol=1e-13)
    np.testing.assert_allclose(one.backward().sum(axis=-1), 0, atol=1e-15)


def test_two_classes_are_one_sigmoid():
    rng = np.random.default_rng(0)
    z, y = rng.normal(0, 2, (6, 1)), rng.random((6, 1))
    sigmoid, softmax = SigmoidCrossEntropy(), SoftmaxCrossEntropy()
    value = softmax.forward(np.hstack([z, np.zeros_like(z)]), np.hstack([y, 1 - y]))
    assert sigmoid.forward(z, y) == pytest.approx(value, rel=1e-14)
    np.testing.assert_allclose(sigmoid.backward()[:, 0], softmax.backward()[:, 0], rtol=1e-13)


# --- the mask -------------------------------------------------------------------------------------------


@every_loss
def test_what_is_masked_might_as_well_not_be_there(loss):
    rng = np.random.default_rng(0)
    y_hat, y = rng.normal(size=(5, 3)), labels_for(loss, (5, 3), rng)
    y[[1, 3]] = np.nan
    kept = [0, 2, 4]
    all_of_them, alone = loss(masked=True), loss()
    assert all_of_them.forward(y_hat, y) == pytest.approx(alone.forward(y_hat[kept], y[kept]), rel=1e-15)
    np.testing.assert_array_equal(all_of_them.backward()[kept], alone.backward())
    assert (all_of_them.backward()[[1, 3]] == 0).all()


@every_loss
def test_without_a_mask_nan_is_nan(loss):
    y = np.full((2, 3), 1 / 3)
    y[0] = np.nan
    assert math.isnan(loss().forward(np.zeros((2, 3)), y))


@every_loss
def test_without_nan_a_mask_changes_no_bit(loss):
    rng = np.random.default_rng(0)
    y_hat, y = rng.normal(size=(4, 5, 3)), labels_for(loss, (4, 5, 3), rng)
    one, other = loss(), loss(masked=True)
    assert one.forward(y_hat, y) == other.forward(y_hat, y)
    np.testing.assert_array_equal(one.backward(), other.backward())


@every_loss
def test_a_mask_over_everything_is_refused(loss):
    with pytest.raises(InvalidArgument, match=r"y must be an array with a label that is not NaN, got NaN alone"):
        loss(masked=True).forward(np.zeros((2, 3)), np.full((2, 3), np.nan))


@every_loss
@pytest.mark.parametrize("value", [1, None, "yes", 0.0])
def test_masked_is_truth(loss, value):
    with pytest.raises(InvalidArgument, match="masked must be True or False, got"):
        loss(masked=value)


@every_loss
def test_a_loss_says_what_it_is(loss):
    assert repr(loss()) == f"{loss.__name__}()"
    assert repr(loss(masked=True)) == f"{loss.__name__}(masked=True)"
    assert loss().label
    kinds = {
        (its.into, its(masked=mask).kind) for its in [*LOSSES.values(), MeanProduct] for mask in (False, True)
    }
    assert len(kinds) == 2 * (len(LOSSES) + 1)


@every_loss
def test_dtype_is_kept(loss):
    y = np.full((2, 2), 0.5, np.float32)
    its = loss(masked=True)
    assert type(its.forward(np.ones((2, 2), np.float32), y)) is float
    assert its.backward().dtype == np.float32


@pytest.mark.parametrize(
    ("y", "rule"),
    [
        ([[1.0], [0.0]], "an array with a column per class, at least two"),
        ([[0.0, 2.0], [1.0, 0.0]], "rows of probabilities"),
        ([[1.5, -0.5], [1.0, 0.0]], "rows of probabilities"),
        ([[0.5, 0.4], [1.0, 0.0]], "rows of probabilities"),
    ],
)
def test_labels_of_classes_are_rows_of_probabilities(y, rule):
    y = np.array(y)
    for ask in (
        lambda: SoftmaxCrossEntropy().forward(np.zeros_like(y), y),
        lambda: SoftmaxCrossEntropy().check_labels(y),
    ):
        with pytest.raises(InvalidArgument, match=f"y must be {rule}"):
            ask()


@pytest.mark.parametrize("wrong", [-0.1, 1.1, -1.0, 5.0])
def test_labels_of_yes_and_no_are_probabilities(wrong):
    """Bits of -1 and 1 are no labels, and would have no least loss."""
    y = np.array([[1.0], [wrong]])
    with pytest.raises(InvalidArgument, match="y must be an array of probabilities from 0 to 1, got"):
        SigmoidCrossEntropy().forward(np.zeros_like(y), y)
    SigmoidCrossEntropy(masked=True).check_labels(np.array([[1.0], [0.0], [np.nan]]))


def test_a_row_is_masked_as_a_whole():
    y = np.array([[1.0, 0.0], [np.nan, 1.0]])
    with pytest.raises(InvalidArgument, match="rows that are all NaN or free of NaN"):
        SoftmaxCrossEntropy(masked=True).forward(np.zeros((2, 2)), y)


# --- through networks -----------------------------------------------------------------------------------


@every_loss
@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
@pytest.mark.parametrize("output_steps", [None, 3])
def test_end_to_end_through_a_network(loss, cell, output_steps):
    rng = np.random.default_rng(1)
    network = Network(cell, 2, 3, 4, init="glorot", output_steps=output_steps, rng=rng)
    shape = (3, 4) if output_steps is None else (output_steps, 3, 4)
    y = masked(labels_for(loss, shape, rng), loss, rng)
    report = gradient_check(network, rng.uniform(-1, 1, (5, 3, 2)), y, loss(masked=True))
    assert report, report.verdict
    assert cell in CELLS


class Forgetful(SoftmaxCrossEntropy):
    """Divides by all rows, and not by those that are asked for."""

    def backward(self):
        return super().backward() * 0.5


def test_a_mistake_in_a_derivative_is_seen():
    rng = np.random.default_rng(1)
    network = Network("rnn", 2, 3, 4, init="glorot", rng=rng)
    y = labels_for(SoftmaxCrossEntropy, (3, 4), rng)
    assert not gradient_check(network, rng.uniform(-1, 1, (5, 3, 2)), y, Forgetful())


def test_against_torch():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    z, targets = rng.normal(0, 3, (7, 5)), rng.integers(0, 5, 7)
    functional = torch.nn.functional
    tensor = torch.tensor(z, requires_grad=True)
    for loss, y, theirs in (
        (
            SoftmaxCrossEntropy(),
            np.eye(5)[targets],
            lambda: functional.cross_entropy(tensor, torch.tensor(targets)),
        ),
        (
            SigmoidCrossEntropy(),
            (z_labels := rng.random((7, 5))),
            lambda: functional.binary_cross_entropy_with_logits(tensor, torch.tensor(z_labels)),
        ),
        (MSELoss(), z_labels, lambda: functional.mse_loss(tensor, torch.tensor(z_labels))),
    ):
        tensor.grad = None
        expected = theirs()
        expected.backward()
        assert loss.forward(z, y) == pytest.approx(expected.item(), rel=1e-14)
        np.testing.assert_allclose(loss.backward(), tensor.grad.numpy(), rtol=1e-12, atol=1e-16)


def test_masks_against_torch():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    z, targets = rng.normal(0, 3, (7, 5)), rng.integers(0, 5, 7)
    targets[[2, 5]] = -100  # PyTorch's way to leave out a row
    y = np.where((targets < 0)[:, np.newaxis], np.nan, np.eye(5)[np.maximum(targets, 0)])
    tensor = torch.tensor(z, requires_grad=True)
    expected = torch.nn.functional.cross_entropy(tensor, torch.tensor(targets))
    expected.backward()
    loss = SoftmaxCrossEntropy(masked=True)
    assert loss.forward(z, y) == pytest.approx(expected.item(), rel=1e-14)
    np.testing.assert_allclose(loss.backward(), tensor.grad.numpy(), rtol=1e-12, atol=1e-16)
