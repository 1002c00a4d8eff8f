import numpy as np
import pytest

from memspan import Network


@pytest.fixture
def one_unit():
    """Make a network of one input, one unit and ŷ = a[T]; a weight is given by gate, 0 if it is not given."""

    def make(cell, **weights):
        network = Network(cell, 1, 1, 1, rng=0)
        given = {name: np.zeros(shape) for name, shape in network.layout.shapes.items()}
        for name, values in weights.items():
            given[name] = np.reshape(values, given[name].shape).astype(float)
        network.set_weights({**given, "V": np.ones((1, 1))})
        return network

    return make


@pytest.fixture
def impulse():
    """T steps of one sequence: x at the first, and then nothing."""

    def make(x, T):
        sequence = np.zeros((T, 1))
        sequence[0] = x
        return sequence

    return make
