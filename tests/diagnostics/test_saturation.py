from dataclasses import replace

import numpy as np
import pytest
from complex_step import STEP
from hypothesis import given
from hypothesis import strategies as st

from memspan import CELLS, LSTM, RNN, InvalidArgument, Network, Saturation
from memspan.engines.readable import drive, pre_activations, unroll

every_cell = pytest.mark.parametrize("name", CELLS)


def network_of(cell, hidden=4, gain=4.0, **how):
    network = Network(cell, 2, hidden, 1, init="uniform", gain=gain, rng=2, **how)
    network.parameters += np.random.default_rng(2).uniform(-0.3, 0.3, network.layout.size).astype(network.dtype)
    return network


def inputs(T=7, B=3, F=2, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, (T, B, F))


def slopes_by_complex_step(network, x):
    """∂a[t]/∂s[t], [G, T, B, H], from the forward alone: with earlier states, and for a reset q, as they are."""
    cell, weights, unit = network.cell, network.weights, network.cell.unit(network.weights.U)
    trace = unroll(cell, weights, network.inputs(x))
    found = np.empty((len(cell.gates), *trace.a.shape))
    for t in range(len(x)):
        previous = tuple(trace.states[:, t])
        s = pre_activations(cell, weights, unit, drive(weights, x[t]), previous)
        for gate in range(len(cell.gates)):
            moved = tuple(value + 1j * STEP * (k == gate) for k, value in enumerate(s))
            (a, *_), _ = cell.forward(moved, tuple(state.astype(complex) for state in previous), unit)
            found[gate, t] = a.imag / STEP
    return found


@every_cell
def test_slopes_are_the_derivatives_of_the_output_by_the_pre_activations(name):
    network = network_of(name)
    found, expected = Saturation.of(network, inputs()), slopes_by_complex_step(network, inputs())
    assert list(found.slopes) == list(CELLS[name].gates)
    for gate, slopes in zip(CELLS[name].gates, expected, strict=True):
        np.testing.assert_allclose(found.slopes[gate], np.abs(slopes).mean(axis=(1, 2)), rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(found.slope, np.linalg.norm(expected, axis=0).mean(axis=(1, 2)), rtol=1e-12)


def test_a_gate_that_the_backward_forgets_is_seen():
    network = network_of("lstm")
    right = Saturation.of(network, inputs())

    def backward(*arguments):
        (d_i, _, d_g, d_o), d_previous, d_unit = network_of("lstm").cell.backward(*arguments)
        return (d_i, 0.0, d_g, d_o), d_previous, d_unit

    network.cell = replace(network.cell, backward=backward)
    wrong = Saturation.of(network, inputs())
    assert np.all(wrong.slopes["f"] == 0)
    assert np.all(right.slopes["f"][1:] > 0)
    assert np.all(wrong.slope[1:] < right.slope[1:])


def test_the_slope_of_tanh_falls_from_one_to_zero():
    network = RNN(1, 3, 1, rng=0)
    network.R = np.zeros((3, 3))
    network.W = np.ones((1, 3))
    x = np.array([0.0, 1.0, 5.0, 30.0]).reshape(4, 1, 1)
    found = Saturation.of(network, x)
    np.testing.assert_allclose(found.slope, [1, 1 - np.tanh(1) ** 2, 1 - np.tanh(5) ** 2, 0], rtol=1e-12)
    np.testing.assert_array_equal(found.slopes["a"], found.slope)
    assert found.openness == found.closed == found.open == {}


def test_of_relu_it_is_the_share_of_active_units():
    network = network_of("rnn-relu")
    network.forward(inputs())
    np.testing.assert_array_equal(Saturation.of(network, inputs()).slope, (network.trace.a > 0).mean(axis=(1, 2)))


@every_cell
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_openness_is_the_mean_value_of_each_gate_between_0_and_1(name, dtype):
    network = network_of(name, gain=15.0, dtype=dtype)
    found = Saturation.of(network, inputs())
    network.forward(inputs())
    names = set(CELLS[name].sigmoid_gates)
    assert set(found.openness) == set(found.closed) == set(found.open) == names
    for gate in names:
        values = network.trace.gate(gate).astype(float)
        tolerance = 1e-4 if dtype == "float32" else 1e-13
        np.testing.assert_allclose(found.openness[gate], values.mean(axis=(1, 2)), rtol=tolerance)
        np.testing.assert_allclose(found.closed[gate], (values < 0.1).mean(axis=(0, 1)))
        np.testing.assert_allclose(found.open[gate], (values > 0.9).mean(axis=(0, 1)))


@given(st.floats(-8, 8))
def test_a_forget_gate_is_as_open_as_its_bias(bias):
    network = LSTM(1, 3, 1, rng=0)
    network.parameters[:] = 0
    network.bs[3:6] = bias
    found, value = Saturation.of(network, np.ones((5, 2, 1))), 1 / (1 + np.exp(-bias))
    np.testing.assert_allclose(found.openness["f"], value, rtol=1e-12)
    np.testing.assert_array_equal(found.closed["f"], float(value < 0.1))
    np.testing.assert_array_equal(found.open["f"], float(value > 0.9))
    np.testing.assert_array_equal(found.openness["i"], 0.5)


def test_what_has_no_units_is_refused():
    with pytest.raises(InvalidArgument, match="network must be a Network"):
        Saturation.of("rnn", inputs())
    with pytest.raises(InvalidArgument, match="x has 1 feature; the network takes 2"):
        Saturation.of(network_of("rnn"), inputs(F=1))


def test_a_saturation_says_in_one_line_what_it_is():
    network = LSTM(1, 3, 1, rng=0)
    network.parameters[:] = 0
    expected = "<Saturation over 5 steps: slope 0.25, i 0.50, f 0.50, o 0.50>"
    assert repr(Saturation.of(network, np.ones((5, 2, 1)))) == expected
