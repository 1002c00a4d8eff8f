"""The numerical derivatives agree with one another, and with what can be worked out by hand."""

import numpy as np
import pytest

from memspan import CELLS, Cell, InvalidArgument, MSELoss, Network, gradient_check
from memspan.gradcheck.objective import Objective, central_difference
from memspan.gradcheck.oracle import Oracle


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def oracle_of(model, x):
    y_hat = model.forward(x)
    return Oracle.of(model, y_hat, np.ones_like(y_hat))


@pytest.mark.parametrize("cell", CELLS)
def test_complex_step_and_central_difference_agree_in_every_weight(cell, rng):
    model = Network(cell, 2, 3, 2, init="glorot", rng=rng)
    x = rng.uniform(-1, 1, (6, 2, 2))
    oracle = oracle_of(model, x)
    for name, shape in model.layout.shapes.items():
        truth = oracle.weight(name, np.arange(np.prod(shape))).reshape(shape)
        central = [central_difference(model, x, oracle.d_y_hat, name, index) for index in np.ndindex(shape)]
        np.testing.assert_allclose(np.reshape(central, shape), truth, atol=1e-8 * np.abs(truth).max(), rtol=0)


def test_contributions_of_the_steps_sum_to_the_derivative_by_the_weight(rng):
    model = Network("lstm", 2, 3, 2, rng=rng)
    x = rng.uniform(-1, 1, (6, 2, 2))
    oracle = oracle_of(model, x)
    delta = oracle.steps(np.eye(12))
    np.testing.assert_allclose(
        np.einsum("tbf,tbg->fg", x, delta).ravel(), oracle.weight("W", np.arange(24)), rtol=1e-13, atol=1e-17
    )


@pytest.mark.parametrize("cell", ["lstm-peephole", "lru"])
def test_contributions_of_the_steps_to_unit_weights_sum_to_the_derivative(cell, rng):
    model = Network(cell, 2, 3, 2, rng=rng)
    oracle = oracle_of(model, rng.uniform(-1, 1, (6, 2, 2)))
    total = oracle.steps(np.eye(9), unit_weights=True).sum(axis=(0, 1))
    np.testing.assert_allclose(total, oracle.weight("U", np.arange(9)), rtol=1e-12, atol=1e-16)


def test_passes_divided_for_memory_give_the_same_numbers(rng, monkeypatch):
    model = Network("lstm", 1, 3, 1, rng=rng)
    oracle = oracle_of(model, rng.uniform(-1, 1, (9, 2, 1)))
    steps, weight = oracle.steps(np.eye(12)), oracle.weight("R", np.arange(36))
    monkeypatch.setattr("memspan.gradcheck.oracle.MEMORY", 1)
    np.testing.assert_allclose(oracle.steps(np.eye(12)), steps, rtol=1e-14)
    np.testing.assert_allclose(oracle.weight("R", np.arange(36)), weight, rtol=1e-14)


def test_complex_step_keeps_its_digits_where_the_gradient_is_1e_minus_200(rng):
    rho, T = 1e-2, 101
    model = Network("rnn-linear", 1, 1, 1, rng=rng)
    model.R, model.V = np.array([[rho]]), np.ones((1, 1))
    delta = oracle_of(model, rng.uniform(-1, 1, (T, 1, 1))).steps(np.eye(1))[:, 0, 0]
    np.testing.assert_allclose(delta, rho ** np.arange(T - 1.0, -1.0, -1.0), rtol=1e-14 * T)
    assert delta[0] == pytest.approx(1e-200, rel=1e-12)


def test_derivative_follows_the_recorded_trajectory(rng):
    """Derivatives depend on all states of a trace, but the readout only on the last one."""
    model = Network("rnn", 1, 1, 1, rng=rng)
    model.V = np.ones((1, 1))
    oracle = oracle_of(model, rng.uniform(-1, 1, (2, 1, 1)))
    oracle.trace.states[0, 1] = 0.9
    w, r, b = (oracle.weights.W.item(), oracle.weights.R.item(), oracle.weights.bs.item())
    last = 1 - np.tanh(oracle.trace.x[1, 0, 0] * w + 0.9 * r + b) ** 2
    first = last * r * (1 - np.tanh(oracle.trace.x[0, 0, 0] * w + b) ** 2)
    np.testing.assert_allclose(oracle.steps(np.eye(1)).ravel(), [first, last], rtol=1e-14)


def test_derivative_of_a_loss_by_the_complex_step():
    y_hat, y = np.array([[1.0, 2.0], [3.0, 5.0]]), np.array([[0.0, 2.0], [4.0, 3.0]])
    objective = Objective(MSELoss(), y)
    np.testing.assert_allclose(objective.complex_step(y_hat), [[0.5, 0.0], [-0.5, 1.0]], rtol=1e-15)
    np.testing.assert_allclose(objective.derivative(y_hat), [[0.5, 0.0], [-0.5, 1.0]], rtol=1e-15)


def test_without_a_loss_the_derivative_is_one():
    objective = Objective(None, None)
    np.testing.assert_array_equal(objective.complex_step(np.zeros((2, 3))), np.ones((2, 3)))
    assert objective.value(np.array([[1.0, 2.0]])) == 3.0


def drops(s, previous, unit):
    return (np.tanh(np.real(s[0])),), (np.tanh(np.real(s[0])),)


def stores_real(s, previous, unit):
    a = np.empty(s[0].shape)
    a[:] = np.tanh(s[0])
    return (a,), (a,)


def takes_only_reals(s, previous, unit):
    if np.iscomplexobj(s[0]):
        raise TypeError("not supported for complex input")
    return (np.tanh(s[0]),), (np.tanh(s[0]),)


def drops_in_one_state(s, previous, unit):
    return (np.tanh(np.real(s[0])), s[0] + previous[1]), (s[0],)


def backward(d_state, residuals, previous, state, unit):
    return (d_state[0] * (1 - residuals[0] ** 2),), (0.0,) * len(previous), ()


@pytest.mark.parametrize(
    ("forward", "states"),
    [
        (drops, ("a",)),
        (stores_real, ("a",)),
        (takes_only_reals, ("a",)),
        (drops_in_one_state, ("a", "c")),
    ],
)
def test_a_cell_that_loses_the_imaginary_part_is_an_error_that_names_the_gate(forward, states, rng):
    model = Network(Cell("mine", ("a",), states, forward, backward, "here"), 1, 2, 1, rng=rng)
    with pytest.raises(InvalidArgument, match="mine, whose forward loses the imaginary part of a"):
        gradient_check(model, rng.uniform(-1, 1, (3, 2, 1)))


def test_a_cell_that_is_flat_everywhere_is_not_such_an_error():
    """A dead relu has the derivative 0; at 0, where there is none, the check takes 0 too."""
    model = Network("rnn-relu", 1, 2, 1, rng=0)
    assert not gradient_check(model, np.zeros((3, 2, 1))).failures
    model.bs = np.full((2, 1), -5.0)
    assert not gradient_check(model, np.zeros((3, 2, 1))).failures


def test_rounding_of_a_saturated_derivative_is_eps_of_one_and_not_of_the_derivative(rng):
    """One unit, one step, a = tanh(15): δ = V (1 - a²) is 4e-13, and uncertain by V·eps."""
    model = Network("rnn", 1, 1, 1, rng=rng)
    model.V, model.bs = np.full((1, 1), 3.0), np.full((1, 1), 15.0)
    oracle = oracle_of(model, np.zeros((1, 1, 1)))
    assert abs(oracle.steps(np.eye(1)).item()) < 1.3e-12
    motions = oracle.rounding(1e-14, rng, draws=8).ravel()
    np.testing.assert_allclose(np.abs(motions), 3e-14, rtol=1e-3)
    assert len(np.unique(np.sign(motions))) == 2


def test_rounding_of_a_linear_network_is_of_the_size_of_its_gradient_times_eps(rng):
    model = Network("rnn-linear", 1, 4, 1, init="orthogonal", gain=0.1, rng=rng)
    oracle = oracle_of(model, rng.uniform(-1, 1, (10, 1, 1)))
    size = np.abs(oracle.steps(np.eye(4))).max(axis=(1, 2))
    moved = np.abs(oracle.rounding(1e-10, rng)).max(axis=(0, 2, 3)) / size
    assert (moved > 1e-11).all()
    assert (moved < 2e-9).all()


def test_rounding_that_is_the_same_at_every_step_adds_up():
    """One linear unit that remembers all, R = 1: in half of the draws each step back moves δ by as much again."""
    T, eps = 50, 1e-10
    model = Network("rnn-linear", 1, 1, 1, rng=0)
    model.R, model.V = np.ones((1, 1)), np.ones((1, 1))
    moved = oracle_of(model, np.zeros((T, 1, 1))).rounding(eps, np.random.default_rng(0), draws=8)[:, :, 0, 0]
    # δ[0] is a product of T derivatives by the pre-activation; the derivative by the previous state is 0.
    # The sum over units, of one term, is rounded anew at every step.
    np.testing.assert_allclose(np.abs(moved[4:, 0]), T * eps, atol=3 * np.sqrt(T) * eps)
    assert (np.abs(moved[:4, 0]) < 0.5 * T * eps).all()
