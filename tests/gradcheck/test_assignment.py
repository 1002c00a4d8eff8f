"""The two gradients of the assignment agree, for memspan's network and for a class written by a student."""

import numpy as np
import pytest
from student import StudentRNN

from memspan import RNN, InvalidArgument, Network, get_analytical_gradient, get_numerical_gradient


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def assert_agree(numerical, analytical, model, rtol=1e-8):
    assert set(numerical) == set(analytical) == {"d_W", "d_R", "d_bs", "d_V", "d_by"}
    for name, weight in model.get_weights().items():
        one, other = numerical[f"d_{name}"], analytical[f"d_{name}"]
        assert one.shape == other.shape == weight.shape
        np.testing.assert_allclose(one, other, rtol=0, atol=rtol * np.abs(other).max(), err_msg=name)


@pytest.mark.parametrize("cell", ["rnn", "rnn-linear", "lstm"])
@pytest.mark.parametrize("shape", [(1, 2), (7, 2), (7, 1, 2), (7, 4, 2)])
def test_numerical_and_analytical_gradient_agree(cell, shape, rng):
    model = Network(cell, 2, 3, 2, rng=rng)
    x = rng.uniform(-1, 1, shape)
    assert_agree(get_numerical_gradient(model, x), get_analytical_gradient(model, x), model)


def test_in_float32_the_step_is_larger_and_they_agree_to_its_error(rng):
    model = RNN(2, 3, 2, dtype="float32", rng=rng)
    x = rng.uniform(-1, 1, (5, 4, 2))
    assert_agree(get_numerical_gradient(model, x), get_analytical_gradient(model, x), model, rtol=3e-4)


@pytest.mark.parametrize("gradient", [get_numerical_gradient, get_analytical_gradient])
def test_gradient_of_a_batch_is_the_mean_over_its_sequences(gradient, rng):
    model = RNN(2, 3, 2, rng=rng)
    x = rng.uniform(-1, 1, (6, 3, 2))
    together, alone = gradient(model, x), [gradient(model, x[:, b]) for b in range(3)]
    for name, values in together.items():
        np.testing.assert_allclose(values, np.mean([g[name] for g in alone], axis=0), rtol=1e-7, atol=1e-10)


@pytest.mark.parametrize("outputs", [1, 3])
def test_gradients_of_a_students_class_agree_and_are_those_of_memspan(outputs, rng):
    student = StudentRNN(2, 4, outputs, rng)
    ours = RNN(2, 4, outputs, rng=rng)
    ours.set_weights(student.get_weights())
    x = rng.uniform(-1, 1, (6, 2))
    analytical = get_analytical_gradient(student, x)
    assert_agree(get_numerical_gradient(student, x), analytical, student)
    for name, gradient in get_analytical_gradient(ours, x).items():
        np.testing.assert_allclose(analytical[name], gradient, rtol=1e-13, atol=1e-16)
    assert not hasattr(student, "a")


def test_a_mistake_in_a_students_class_is_seen(rng):
    class Untransposed(StudentRNN):
        def backward(self, d_loss):
            self.weights["R"] = self.weights["R"].T.copy()
            return super().backward(d_loss)

    student = Untransposed(2, 4, 1, rng)
    x = rng.uniform(-1, 1, (6, 2))
    wrong, right = get_analytical_gradient(student, x), get_numerical_gradient(student, x)
    assert np.abs(wrong["d_R"] - right["d_R"]).max() > 1e-3 * np.abs(right["d_R"]).max()
    np.testing.assert_allclose(wrong["d_V"], right["d_V"], rtol=1e-8)


@pytest.mark.parametrize("gradient", [get_numerical_gradient, get_analytical_gradient])
@pytest.mark.parametrize("fails", [False, True])
def test_the_model_is_not_changed_even_when_the_computation_fails(gradient, fails, rng):
    model = RNN(2, 3, 1, rng=rng)
    model.forward(rng.uniform(-1, 1, (4, 2)))
    model.backward(np.ones(1))
    weights, trace, grads = model.get_weights(), model.trace, model.grads
    states = trace.states.copy()
    if fails:
        with pytest.raises(InvalidArgument, match=r"x has 3 features; the network takes 2\."):
            gradient(model, np.ones((4, 3)))
    else:
        gradient(model, rng.uniform(-1, 1, (4, 2)))
    assert model.trace is trace
    assert model.grads is grads
    np.testing.assert_array_equal(trace.states, states)
    for name, weight in model.get_weights().items():
        np.testing.assert_array_equal(weight, weights[name])


@pytest.mark.parametrize("eps", [0, -1e-6, float("nan"), float("inf"), "1e-6"])
def test_the_step_must_be_a_positive_number(eps, rng):
    with pytest.raises(InvalidArgument, match="eps must be"):
        get_numerical_gradient(RNN(1, 2, 1, rng=rng), np.ones((2, 1)), eps)


def test_error_of_the_numerical_gradient_falls_with_the_square_of_the_step(rng):
    model = RNN(2, 3, 1, rng=rng)
    x = rng.uniform(-1, 1, (5, 2))
    truth = get_analytical_gradient(model, x)["d_R"]
    errors = [np.abs(get_numerical_gradient(model, x, eps)["d_R"] - truth).max() for eps in (1e-1, 1e-2)]
    assert errors[0] / errors[1] == pytest.approx(100, rel=0.05)
