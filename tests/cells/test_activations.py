import math

import numpy as np
import pytest

from memspan.cells.activations import (
    cos,
    exp,
    larger,
    one_minus,
    relu,
    relu_derivative,
    sigmoid,
    sigmoid_derivative,
    sin,
    softplus,
    softplus_derivative,
    tanh,
    tanh_derivative,
    where_positive,
)

POINTS = np.array([-30.0, -8.0, -2.5, -1.0, -0.3, -1e-9, 1e-9, 0.2, 0.7, 1.0, 3.0, 12.0, 30.0])
PAIRS = {
    "tanh": (tanh, tanh_derivative),
    "sigmoid": (sigmoid, sigmoid_derivative),
    "softplus": (softplus, softplus_derivative),
    "relu": (relu, relu_derivative),
    "exp": (exp, lambda e: e),
}
EPS = np.finfo(float).eps


def test_tanh_has_the_values_of_math():
    np.testing.assert_allclose(tanh(POINTS), [math.tanh(x) for x in POINTS], rtol=4 * EPS)


def test_sigmoid_has_the_values_of_its_definition():
    np.testing.assert_allclose(sigmoid(POINTS), [1 / (1 + math.exp(-x)) for x in POINTS], rtol=4 * EPS)
    np.testing.assert_allclose(sigmoid(math.log(3)), 0.75, rtol=4 * EPS)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex128])
def test_softplus_and_sigmoid_keep_their_digits_far_below_zero(dtype):
    x, tolerance = np.linspace(-80, 0, 81), 8 * np.finfo(dtype).eps
    np.testing.assert_allclose(softplus(x.astype(dtype)), [math.log1p(math.exp(v)) for v in x], rtol=tolerance)
    right = [math.exp(v) / (1 + math.exp(v)) for v in x]
    np.testing.assert_allclose(sigmoid(x.astype(dtype)), right, rtol=tolerance)


def test_softplus_has_the_values_of_its_definition():
    np.testing.assert_allclose(softplus(POINTS), [math.log1p(math.exp(x)) for x in POINTS], rtol=4 * EPS)
    np.testing.assert_allclose(softplus(math.log(3)), math.log(4), rtol=4 * EPS)


def test_softplus_slope_is_the_sigmoid():
    x = np.linspace(-40, 40, 81)
    np.testing.assert_allclose(softplus_derivative(softplus(x)), sigmoid(x), rtol=8 * EPS)


def test_exp_has_the_values_of_math():
    np.testing.assert_allclose(exp(POINTS), [math.exp(x) for x in POINTS], rtol=4 * EPS)


def test_sin_and_cos_have_the_values_of_math():
    np.testing.assert_allclose(sin(POINTS), [math.sin(x) for x in POINTS], rtol=4 * EPS)
    np.testing.assert_allclose(cos(POINTS), [math.cos(x) for x in POINTS], rtol=4 * EPS)


def test_the_slopes_of_sin_and_cos_are_one_another():
    h = 1e-20
    np.testing.assert_allclose(sin(POINTS + 1j * h).imag / h, cos(POINTS), rtol=4 * EPS)
    np.testing.assert_allclose(cos(POINTS + 1j * h).imag / h, -sin(POINTS), rtol=4 * EPS)


def test_relu_has_the_values_of_max():
    np.testing.assert_array_equal(relu(POINTS), [max(x, 0.0) for x in POINTS])
    assert np.isnan(relu(np.array([np.nan])))


@pytest.mark.parametrize(("function", "slope"), PAIRS.values(), ids=PAIRS)
def test_slope_of_the_value_is_the_derivative(function, slope):
    h = 1e-20
    derivative = function(POINTS + 1j * h).imag / h
    np.testing.assert_allclose(slope(function(POINTS)), derivative, rtol=4 * EPS, atol=4 * EPS)


@pytest.mark.parametrize(("function", "slope"), PAIRS.values(), ids=PAIRS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex128])
def test_dtype_is_kept(function, slope, dtype):
    value = function(POINTS.astype(dtype))
    assert value.dtype == dtype
    assert slope(value).dtype == dtype


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex128])
def test_far_arguments_give_the_limits_without_overflow(dtype):
    far = np.array([-1e4, 1e4], dtype)
    np.testing.assert_array_equal(softplus(far), np.array([0, 1e4], dtype))
    np.testing.assert_array_equal(sigmoid(far), np.array([0, 1], dtype))
    np.testing.assert_array_equal(tanh(far), np.array([-1, 1], dtype))


def test_sigmoid_carries_the_complex_step_into_saturation():
    assert sigmoid(np.array([1e4 + 1e-20j]))[0] == 1
    derivative = sigmoid(np.array([-20 + 1e-20j])).imag / 1e-20
    np.testing.assert_allclose(derivative, math.exp(-20) / (1 + math.exp(-20)) ** 2, rtol=1e-14)


@pytest.mark.parametrize(("function", "slope"), PAIRS.values(), ids=PAIRS)
@pytest.mark.parametrize("x", [0.0, -0.0, 5e-324, -5e-324, 1e-300, -1e-300, 700.0, -700.0])
def test_at_a_branch_point_value_and_slope_are_those_of_one_branch(function, slope, x):
    h = 1e-20
    value, varied = function(np.array([x])), function(np.array([x + 1j * h]))
    np.testing.assert_allclose(varied.real, value, rtol=4 * EPS)
    np.testing.assert_allclose(varied.imag / h, slope(value), rtol=4 * EPS, atol=1e-280)


@pytest.mark.parametrize("zero", [0.0, -0.0])
def test_relu_is_flat_at_its_kink(zero):
    value = relu(np.array([zero]))
    assert value[0] == 0
    assert relu_derivative(value)[0] == 0


def test_relu_looks_at_the_real_part_only():
    x = np.array([1 - 2j, -1 + 2j, 1e-300 + 1j])
    np.testing.assert_array_equal(relu(x), [1 - 2j, 0, 1e-300 + 1j])
    np.testing.assert_array_equal(relu_derivative(x), [1, 0, 1])


def test_slopes_are_those_of_the_complex_functions_too():
    z = np.array([0.3 + 0.4j, -1.2 + 0.7j])
    np.testing.assert_allclose(tanh_derivative(tanh(z)), 1 / np.cosh(z) ** 2, rtol=1e-14)
    np.testing.assert_allclose(sigmoid_derivative(sigmoid(z)), np.exp(-z) / (1 + np.exp(-z)) ** 2, rtol=1e-14)


def test_one_minus_is_taken_from_one():
    np.testing.assert_array_equal(one_minus(np.array([0.25, -2, 3 + 1j])), [0.75, 3, -2 - 1j])
    assert one_minus(np.float32(0.25)).dtype == np.float32


def test_larger_and_where_positive_look_at_the_real_part_only():
    x, y = np.array([1 - 9j, 2 + 1j, -3 + 0j]), np.array([0 + 9j, 2 + 5j, -1 - 1j])
    np.testing.assert_array_equal(larger(x, y), [1 - 9j, 2 + 1j, -1 - 1j])
    condition = np.array([1e-300 - 1j, 0 + 1j, -1 + 1j])
    np.testing.assert_array_equal(where_positive(condition, x, y), [1 - 9j, 2 + 5j, -1 - 1j])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_numpy_scalars_are_taken_one_by_one(dtype):
    for function in (tanh, sigmoid, softplus, exp, sin, cos):
        value = function(dtype(-0.5))
        np.testing.assert_allclose(value, function(np.array([-0.5], dtype))[0], rtol=4 * np.finfo(dtype).eps)
        assert value.dtype == dtype
        assert value.shape == ()
    assert larger(dtype(1), dtype(2)) == 2
    assert where_positive(dtype(0), dtype(1), dtype(2)) == 2
