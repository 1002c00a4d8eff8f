from dataclasses import replace

import numpy as np
import pytest

from memspan import CELLS, MSELoss, Network
from memspan.errors import FaultyPart

X, Y = np.ones((4, 2, 1)), np.zeros((2, 1))


def only_if_small(function, otherwise):
    """A cell is tried on two units when it is made: fail on more."""
    return lambda first, *rest: (function if first[0].shape[-1] == 2 else otherwise)(first, *rest)


def raising(*of):
    raise ZeroDivisionError("oh")


def wide(s, previous, unit):
    (a,), kept = CELLS["rnn"].forward(s, previous, unit)
    return (np.concatenate([a, a], axis=-1),), kept


def mine(**functions):
    changed = {name: only_if_small(getattr(CELLS["rnn"], name), faulty) for name, faulty in functions.items()}
    return Network(replace(CELLS["rnn"], name="mine", **changed), 1, 3, 1, rng=0)


@pytest.mark.parametrize(
    ("forward", "message"),
    [
        (raising, r"The cell mine failed with ZeroDivisionError: oh"),
        (wide, r"The cell mine failed with ValueError: .*shape \(2,6\)"),
        (lambda s, previous, unit: None, r"The cell mine failed with TypeError"),
    ],
)
def test_a_cell_whose_forward_fails_is_named(forward, message):
    network = mine(forward=forward)
    with pytest.raises(FaultyPart, match=message):
        network.forward(X)


def test_a_cell_whose_backward_fails_is_named():
    network, loss = mine(backward=raising), MSELoss()
    loss.forward(network.forward(X), Y)
    with pytest.raises(FaultyPart, match="The cell mine failed with ZeroDivisionError: oh"):
        network.backpropagate(loss.backward())
