"""A task of your own: was the first number larger than the second?"""

from dataclasses import dataclass

import numpy as np

from memspan import Batch, Shape
from memspan.tasks.base import OneOfClasses, one_hot


@dataclass(frozen=True)
class Mine(OneOfClasses):  # the answer is a class: the output of the right one must be the largest
    family, source = "mine", "the publication that it comes from"
    sentence = "After T random numbers, report whether the first was larger than the second."

    def shape(self, length):
        return Shape(steps=length, features=1, outputs=2)

    def draws(self, length):  # how many random numbers make a sequence
        return length

    def make(self, u, length):  # u [draws, B], uniform from 0 to 1: each column makes one sequence
        return Batch(x=2 * u[..., np.newaxis] - 1, y=one_hot((u[0] > u[1]).astype(int), 2))

    def relevant(self, x):  # which steps decide the answer, [T, B]
        return np.broadcast_to(np.arange(len(x))[:, np.newaxis] < 2, x.shape[:2])

    def trivial_answer(self, length):  # the best answer that ignores the input, and what it reaches
        return np.zeros(2)

    def trivial_risk(self, length):
        return float(np.log(2))

    def chance_accuracy(self, length):
        return 0.5
