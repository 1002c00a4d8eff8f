import numpy as np
import pytest

from memspan import CELLS, LOSSES, InvalidArgument, MSELoss, Network, NotReady, SigmoidCrossEntropy
from memspan.gradcheck import gradient_check
from memspan.losses import MeanProduct


def test_value_and_derivative_by_hand():
    loss = MSELoss()
    y_hat, y = np.array([[1.0, 2.0], [3.0, -1.0]]), np.array([[0.0, 4.0], [3.5, -1.0]])
    assert loss.forward(y_hat, y) == (1 + 4 + 0.25 + 0) / 4
    assert loss.backward().tolist() == [[0.5, -1.0], [-0.25, 0.0]]


def test_one_output_is_the_assignments_mean_over_samples():
    y_hat, y = np.array([[0.5], [-1.0], [2.0]]), np.array([[1.0], [1.0], [1.0]])
    assert MSELoss().forward(y_hat, y) == pytest.approx((0.5**2 + 2**2 + 1**2) / 3, rel=1e-15)


@pytest.mark.parametrize("batch", [1, 2, 7, 64])
@pytest.mark.parametrize("outputs", [1, 3])
def test_derivative_is_the_complex_step_on_the_predictions(batch, outputs):
    rng = np.random.default_rng(0)
    y_hat, y = rng.standard_normal((2, batch, outputs))
    loss, h = MSELoss(), 1e-20
    derivative = np.empty_like(y_hat)
    for index in np.ndindex(y_hat.shape):
        moved = y_hat.astype(complex)
        moved[index] += 1j * h
        derivative[index] = loss.forward(moved, y).imag / h
    loss.forward(y_hat, y)
    np.testing.assert_allclose(loss.backward(), derivative, rtol=1e-13)


def test_value_is_a_plain_float_and_the_derivative_keeps_the_dtype():
    loss = MSELoss()
    assert type(loss.forward(np.ones((2, 1), np.float32), np.zeros((2, 1), np.float32))) is float
    assert loss.backward().dtype == np.float32


def test_derivative_belongs_to_the_last_forward_and_to_the_caller():
    loss, y_hat, y = MSELoss(), np.array([[3.0]]), np.array([[1.0]])
    loss.forward(np.zeros((5, 2)), np.ones((5, 2)))
    loss.forward(y_hat, y)
    y_hat[:], y[:] = 100, -100
    first = loss.backward()
    assert first.tolist() == [[4.0]]
    first[:] = 0
    assert loss.backward().tolist() == [[4.0]]


@pytest.mark.parametrize(
    ("predicted", "labelled"),
    [
        ((4, 1), (4,)),
        ((4,), (4, 1)),
        ((4, 1), (1, 1)),
        ((1, 1), (4, 1)),
        ((4, 1), (4, 4)),
        ((4, 1), ()),
        ((2, 3), (3, 2)),
    ],
)
def test_shapes_are_never_broadcast(predicted, labelled):
    loss = MSELoss()
    with pytest.raises(InvalidArgument) as caught:
        loss.forward(np.ones(predicted), np.ones(labelled))
    assert str(caught.value) == f"y_hat must be of the labels' shape {labelled}, got shape {predicted}"
    with pytest.raises(NotReady):
        loss.backward()


def test_an_empty_batch_has_no_mean():
    with pytest.raises(InvalidArgument, match=r"y must be an array with at least one label, got shape \(0, 1\)"):
        MSELoss().forward(np.ones((0, 1)), np.ones((0, 1)))


def test_derivative_needs_the_value_first():
    with pytest.raises(RuntimeError, match=r"call \.forward\(y_hat, y\) first"):
        MSELoss().backward()


@pytest.mark.parametrize("cell", CELLS)
def test_end_to_end_through_a_network(cell):
    rng = np.random.default_rng(1)
    network = Network(cell, 2, 3, 2, init="glorot", rng=rng)
    x, y = rng.uniform(-1, 1, (4, 3, 2)), rng.uniform(-1, 1, (3, 2))
    report = gradient_check(network, x, y, MSELoss())
    assert report, report.verdict


@pytest.mark.parametrize("name", ["y_hat", "y"])
@pytest.mark.parametrize("values", [np.array([[1], [2]], dtype=np.uint8), [[1], [2]], np.array([["a"], ["b"]])])
def test_what_is_not_floating_point_is_refused_by_name(name, values):
    pair = {"y_hat": np.ones((2, 1)), "y": np.ones((2, 1)), name: values}
    with pytest.raises(InvalidArgument, match=f"{name} must be an array of floating-point numbers"):
        MSELoss().forward(pair["y_hat"], pair["y"])


@pytest.mark.parametrize("kind", [*LOSSES.values(), MeanProduct])
@pytest.mark.parametrize("scale", [1, 1e3, 1e30])
def test_what_kernels_compute_is_the_same_also_where_answers_are_certain(kind, scale):
    """`into`, as Python: nothing overflows on the way."""
    rng = np.random.default_rng(0)
    y_hat, y = scale * rng.standard_normal((2, 6, 3)), np.eye(3)[rng.integers(3, size=(2, 6))]
    for holes in ([], [0, 2, 5]):
        y[:, holes] = np.nan
        loss, derivative = kind(masked=bool(holes)), np.empty_like(y_hat)
        assert kind.into(y_hat, y, derivative, loss.kind) == pytest.approx(loss.forward(y_hat, y), rel=1e-13)
        np.testing.assert_allclose(derivative, loss.backward(), rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("kind", [MSELoss, SigmoidCrossEntropy, MeanProduct])
def test_of_numbers_each_may_be_left_out_by_itself(kind):
    """N is the number of those that are asked for, and not of rows."""
    rng = np.random.default_rng(0)
    y_hat, y, holes = rng.standard_normal((5, 3)), rng.random((5, 3)), np.zeros((5, 3), bool)
    holes[0, 1] = holes[3] = holes[4, :2] = True
    loss, alone = kind(masked=True), kind()
    expected = alone.forward(y_hat[~holes][:, np.newaxis], y[~holes][:, np.newaxis])
    assert loss.forward(y_hat, np.where(holes, np.nan, y)) == pytest.approx(expected, rel=1e-14)
    np.testing.assert_allclose(loss.backward()[~holes], alone.backward().ravel(), rtol=1e-14)
