import numpy as np
import pytest

from memspan import Configuration, get_task
from memspan.study.group import untrained
from memspan.why.signals import input_significance, signals_of


@pytest.mark.parametrize(
    "name", ["recall", "adding/any", "latch/3c", "order/hs97-3", "copying/urnn", "memory-capacity"]
)
def test_single_inputs_say_something_about_the_label(name):
    assert input_significance(get_task(name), 24) > 4


@pytest.mark.parametrize("name", ["parity", "delayed-xor"])
def test_single_inputs_say_nothing_about_a_sum_of_bits(name):
    assert max(input_significance(get_task(name), 12, seed) for seed in range(8)) < 2.5


@pytest.mark.parametrize("optimizer", ["momentum", "rmsprop"])
def test_every_network_has_its_signals(optimizer):
    configuration = Configuration(hidden=4, updates=50, optimizer=optimizer)
    networks = [untrained(configuration, 4, one)[0] for one in range(2)]
    first, second = signals_of(configuration, 4, networks)
    assert first["theta"] != second["theta"]
    assert first["z_inputs"] == second["z_inputs"]
    assert np.isnan(first["needed"]) == (optimizer == "rmsprop")
