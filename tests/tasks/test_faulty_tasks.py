from dataclasses import dataclass

import numpy as np
import pytest

from memspan import Batch, Recall
from memspan.errors import FaultyPart, InvalidArgument
from memspan.tasks.batches import Batches, Counted


@dataclass(frozen=True)
class Raising(Recall):
    family = "mine"

    def make(self, u, length):
        return {}["key"]


@dataclass(frozen=True)
class Short(Recall):
    family = "mine"

    def make(self, u, length):
        x, y = super().make(u, length)
        return Batch(x[1:], y)


@dataclass(frozen=True)
class Nothing(Recall):
    family = "mine"

    def make(self, u, length):
        return None


@pytest.mark.parametrize(
    ("task", "message"),
    [
        (Raising(), r"The task mine\S* failed with KeyError: 'key'"),
        (
            Short(),
            r"The task mine\S* must make x and y of shapes \(\(5, 3, 1\), \(3, 1\)\), got \(\(4",
        ),
        (Nothing(), r"The task mine\S* must make x and y .*, got NoneType"),
    ],
)
def test_a_task_that_makes_no_batch_is_named(task, message):
    with pytest.raises(FaultyPart, match=message):
        next(Batches(task, 5, 3, 0))


@pytest.mark.parametrize("given", [np.ones(3), (np.ones(3),), 7, None, "xy"])
def test_a_generator_must_give_pairs(given):
    with pytest.raises(InvalidArgument, match=r"mine must be an iterator of pairs \(x, y\) of arrays, got "):
        next(Counted(iter([given]), "mine"))
