import numpy as np
import pytest

from memspan import CELLS, RNN, InvalidArgument, Network
from memspan.diagnostics.tracing import traced

X = np.random.default_rng(0).uniform(-1, 1, (4, 3, 2))


@pytest.mark.parametrize("cell", CELLS)
def test_the_pass_is_in_float64_and_the_network_keeps_its_own(cell):
    network = Network(cell, 2, 3, 1, dtype="float32", rng=0)
    network.forward(X)
    before = network.trace
    weights, trace = traced(network, X)
    assert {trace.states.dtype, trace.residuals.dtype, weights.bs.dtype} == {np.dtype("float64")}
    assert network.trace is before
    exact = network.astype("float64")
    exact.forward(X)
    np.testing.assert_array_equal(trace.states, exact.trace.states)


def test_what_is_no_real_network_is_refused():
    with pytest.raises(InvalidArgument, match="network must be a Network, got 3"):
        traced(3, X)
    with pytest.raises(InvalidArgument, match="network must be one with real weights"):
        traced(RNN(2, 3, 1, dtype="complex128"), X)
    with pytest.raises(InvalidArgument, match="x has 1 feature; the network takes 2"):
        traced(RNN(2, 3, 1), X[..., :1])


def test_a_state_that_overflows_is_refused_with_its_time_step():
    network = Network("rnn-linear", 1, 1, 1, rng=0)
    network.W, network.R = np.ones((1, 1)), np.full((1, 1), 1e200)
    traced(network, np.ones((2, 1)))
    with pytest.raises(InvalidArgument, match="stay finite on x, got infinity or NaN after time step 3"):
        traced(network, np.ones((5, 1)))
