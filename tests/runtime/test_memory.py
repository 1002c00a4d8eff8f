"""Sizes that exceed the memory are refused, by every function that takes one, before anything is allocated."""

import numpy as np
import pytest

from memspan import Batches, InvalidArgument, MSELoss, Network, Recall, generate_samples, gradient_check
from memspan.bench import Case
from memspan.errors import MOST
from memspan.figures.tasks import TaskSamples
from memspan.runtime import memory
from memspan.runtime.memory import amount, demand_memory


def test_a_size_is_refused_with_the_memory_that_it_would_take(monkeypatch):
    monkeypatch.setattr(memory, "total", lambda: 16 << 30)
    demand_memory("hidden", "5", 16 << 30)
    with pytest.raises(InvalidArgument) as caught:
        demand_memory("hidden", "5", 17 << 30)
    rule = "small enough for the memory of this machine, 16 GiB"
    assert str(caught.value) == f"hidden must be {rule}, got 5, which takes 17 GiB"


def test_amounts_have_units():
    assert [amount(size) for size in (5, 2048, 3 << 40, 1 << 60, 1 << 75)] == [
        *("5 bytes", "2 KiB", "3 TiB", "1 EiB", "32,768 EiB")
    ]


@pytest.mark.parametrize(
    "make",
    [
        lambda: Network("rnn", 1, 10**30, 1),
        lambda: Network("lstm", 1, 10**9, 1),
        lambda: Network("lru", MOST, MOST, MOST),
        lambda: Batches(Recall(), 10**12, 1, 0),
        lambda: Batches(Recall(), 10**9, 10**9, 0),
        lambda: Batches(Recall(), 2, MOST**2, 0),
        lambda: Recall().sample(10**9, 10**9, 0),
        lambda: next(generate_samples(10**9, 10**9, rng=0)),
        lambda: TaskSamples.of(Recall(), 10**12, samples=1, seed=0),
        lambda: Case("rnn", 10**12, 1, 1),
        lambda: Case("rnn", MOST, MOST, 1).problem(),
    ],
)
def test_no_size_ends_in_a_traceback(make):
    with pytest.raises(InvalidArgument, match=r"must be (at most 2,147,483,647|small enough for the memory)"):
        make()


def test_a_trace_that_cannot_fit_is_refused_before_it_is_made(monkeypatch):
    network = Network("lstm", 1, 64, 1, rng=0)
    x = np.zeros((50, 20, 1))
    monkeypatch.setattr(memory, "total", lambda: x.nbytes * 64)
    for pass_ in (lambda: network.forward(x), lambda: gradient_check(network, x, np.zeros((20, 1)), MSELoss())):
        with pytest.raises(InvalidArgument, match=r"^x must be small enough .* got shape \(50, 20, 1\), which"):
            pass_()
