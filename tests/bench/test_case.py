import numpy as np
import pytest

from memspan import InvalidArgument
from memspan.bench import Case


@pytest.mark.parametrize(("cell", "gates"), [("rnn", 1), ("gru", 3), ("lstm", 4), ("mgu", 2)])
def test_operations_are_those_of_three_products_and_two_transcendentals_a_gate(cell, gates):
    case = Case(cell, 50, 64, 32)
    assert case.product_operations == 6 * 50 * 64 * gates * 32**2
    assert case.transcendentals == 2 * 50 * 64 * gates * 32


def test_a_cell_without_recurrent_products_has_none():
    assert Case("mingru", 5, 4, 3).product_operations == 0


def test_every_process_gets_the_same_problem_and_both_precisions_the_same_numbers():
    case = Case("gru", 6, 3, 4)
    once, again, double = case.problem(), case.problem(), case.problem(np.float64)
    for other in (again, double):
        np.testing.assert_array_equal(other.network.parameters, once.network.parameters)
        np.testing.assert_array_equal(other.x, once.x)
        np.testing.assert_array_equal(other.y, once.x[0])
    assert once.x.dtype == once.network.dtype == np.float32
    assert double.x.dtype == double.network.dtype == np.float64
    assert (once.network.hidden_size, once.x.shape) == (4, (6, 3, 1))


def test_the_result_is_the_loss_and_its_derivative():
    case = Case("lstm", 4, 3, 2)
    network, x, y = case.problem(np.float64)
    loss, gradient = case.result()
    assert loss == pytest.approx(np.mean((network.predict(x) - y) ** 2), rel=1e-14)
    step = 1e-20 * np.eye(len(gradient))
    for k in range(0, len(gradient), 5):
        moved = network.astype(np.complex128)
        moved.parameters += 1j * step[k]
        slope = np.mean((moved.predict(x.astype(complex)) - y) ** 2).imag / 1e-20
        assert gradient[k] == pytest.approx(slope, rel=1e-10, abs=1e-16)


@pytest.mark.parametrize(
    ("given", "name"), [(("rnn", 0, 1, 1), "time"), (("rnn", 1, 1, 2.0), "hidden"), (("tree", 1, 1, 1), "cell")]
)
def test_sizes_and_cells_that_there_are_not(given, name):
    with pytest.raises(InvalidArgument, match=f"^{name} must be"):
        Case(*given)
