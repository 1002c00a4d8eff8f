from dataclasses import dataclass

import numpy as np
import pytest

from memspan import Batch, Network, get_task
from memspan.tasks.recall import Recall
from memspan.why.capacity import is_linear, lags_to_tell, numbers_to_hold


@pytest.mark.parametrize(
    ("name", "length", "parameters", "held"),
    [
        ("recall", 9, {}, 1),  # the number
        ("adding/any", 9, {}, 1),  # the sum of those seen so far
        ("parity", 9, {}, 1),  # a bit
        ("latch/3a", 9, {}, 1),
        ("memory-capacity", 6, {}, 5),  # all but the last
        ("order/pascanu-2", 12, {}, 2),  # which of four classes
        ("order/pascanu-3", 12, {}, 3),
        ("copying/urnn", 5, {"items": 2, "symbols": 4}, 2 * np.log2(4)),
        ("copying/tcn", 5, {"items": 3, "symbols": 2}, 3),
        ("delayed-xor", 12, {}, 7),  # all bits of the delay, and the one of now
    ],
)
def test_the_numbers_to_hold_are_those_that_later_answers_need(name, length, parameters, held):
    assert numbers_to_hold(get_task(name, **parameters), length) == pytest.approx(held, rel=0.02)


def test_nine_tenths_of_the_numbers_count():
    assert numbers_to_hold(get_task("memory-capacity"), 21) == pytest.approx(18, abs=1)


def test_the_seed_decides():
    task = get_task("order/pascanu-2")
    assert numbers_to_hold(task, 12, 3) == numbers_to_hold(task, 12, 3) != numbers_to_hold(task, 12, 4)


@dataclass(frozen=True)
class SumOfAll(Recall):
    """The label is a sum, so one number is enough, although it depends on all inputs."""

    family = "sum"

    def make(self, u, length):
        x = 2 * u[..., np.newaxis] - 1
        return Batch(x, x.sum(axis=0))


def test_a_sum_of_many_numbers_is_one_number():
    assert numbers_to_hold(SumOfAll(), 20) == 1


def test_linear_networks_tell_apart_the_inputs_that_vary():
    assert lags_to_tell(get_task("recall"), 7) == 7
    assert lags_to_tell(get_task("recall/kth"), 7) == 6  # what comes before the number does not matter
    assert lags_to_tell(get_task("copying/tcn"), 7) == 0  # it answers at every step


@pytest.mark.parametrize(
    ("cell", "linear"), [("rnn-linear", True), ("lru", True), ("rnn", False), ("rnn-relu", False), ("gru", False)]
)
def test_linear_networks_are_recognised(cell, linear):
    x = get_task("recall").sample(6, 8, rng=0).x
    network = Network(cell, 1, 4, 1, rng=0)
    network.parameters[:] += 0.1  # biases too
    assert is_linear(network, x) == linear
