"""The labels of each task, computed a second time, from x alone, with plain loops over one sequence.

Each function takes a sequence as a list of lists. It returns the labels of each output step, or None for a step
without a label.
"""

import functools
import math
from importlib.resources import files

import numpy as np


def end_of(sequence):
    """The number of steps before the padding with zeros."""
    return 1 + max(t for t, x in enumerate(sequence) if any(value != 0 for value in x))


def at_the_end(sequence, length, answer):
    """`answer` at the last step of the sequence, and None at the other output steps."""
    read = length // 10 + 1
    end = end_of(sequence)
    return [answer if length + k == end else None for k in range(read)]


def recall(sequence, length, task):
    return [[sequence[task.element - 1][0]]]


def marked(sequence):
    return [value for value, marker in sequence if marker == 1]


def adding(sequence, length, task):
    one, two = marked(sequence)
    if task.variant != "hs97":
        return [[one + two]]
    return at_the_end(sequence, length, [0.5 + (one + two) / 4])


def multiplication(sequence, length, task):
    one, two = marked(sequence)
    return at_the_end(sequence, length, [one * two])


def copying(sequence, length, task):
    if task.variant == "urnn":
        numbers, classes = [x.index(1) for x in sequence], task.symbols + 1
    else:
        numbers, classes = [int(x[0]) for x in sequence], task.symbols + 2
    answers = [0] * (length + task.items) + numbers[: task.items]
    return [[float(c == answer) for c in range(classes)] for answer in answers]


def selective_copying(sequence, length, task):
    numbers = [x.index(1) for x in sequence]
    kept = [number for number in numbers if number < task.symbols]
    return [[float(c == number) for c in range(task.symbols)] for number in kept]


def order(sequence, length, task):
    old = task.variant.startswith("hs97")
    events = [x.index(1) - (2 if old else 0) for x in sequence if any(x)]
    events = [event for event in events if event in (0, 1)]
    number = int("".join(map(str, events if old else events[::-1])), 2)
    answer = [float(c == number) for c in range(2 ** len(events))]
    return at_the_end(sequence, length, answer) if old else [answer]


def latch(sequence, length, task):
    mean = sum(x[0] for x in sequence[: task.informative]) / task.informative
    high, low = (0.2, 0.8) if task.variant == "3c" else (1, 0)
    return at_the_end(sequence, length, [high if mean > 0 else low])


def parity(sequence, length, task):
    return [[float(sum(x[0] > 0 for x in sequence) % 2)]]


def delayed_xor(sequence, length, task):
    return [[float(sequence[t - length][0] != sequence[t - length // 2][0])] for t in range(length, 2 * length)]


def memory_capacity(sequence, length, task):
    return [[sequence[length - 1 - lag][0] for lag in range(1, length)]]


def square_wave(sequence, length, task):
    """The input of `width + length` steps earlier: a wave has ended, and `length` zeros follow it."""
    delayed = [0.0] * (task.width + length) + [float(x[0] == 1) for x in sequence]
    return [[value] for value in delayed[: len(sequence)]]


@functools.cache
def images():
    """The digit of each image of the data file."""
    rows = np.load(files("memspan.tasks") / "data" / "digits.npy").tolist()
    return {tuple(row[:64]): row[64] for row in rows}


def digits(sequence, length, task):
    image = tuple(round(16 * pixel, 9) for row in sequence[:8] for pixel in row)
    digit = images().get(image)
    return [[float(k == digit) for k in range(10)]]


ANSWERS = {
    "recall": recall,
    "adding": adding,
    "multiplication": multiplication,
    "copying": copying,
    "selective-copying": selective_copying,
    "order": order,
    "latch": latch,
    "parity": parity,
    "delayed-xor": delayed_xor,
    "memory-capacity": memory_capacity,
    "square-wave": square_wave,
    "digits": digits,
}


def share_of_misleading(task):
    """The probability that x of `latch/3b` belongs to the wrong class: the mean of noisy ones is below 0."""
    if task.name != "latch/3b":
        return 0.0
    return math.erfc(math.sqrt(task.informative / 0.2 / 2)) / 2
