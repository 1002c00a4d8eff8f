"""The square wave has few different sequences, so its closed forms are compared with all of them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit

from memspan import SquareWave, get_task
from memspan.testing.tasks import constant

widths, lengths = st.integers(1, 9), st.integers(1, 40)


def all_sequences(task, length):
    """One sequence for each place of the wave, all of the same probability."""
    places = 2 * task.width + 1
    return task.make((np.arange(places) + 0.5)[np.newaxis] / places, length)


def text(values):
    return "".join(f"{value:.0f}" for value in values[:, 0])


def test_a_sequence_is_the_example_of_the_summaries_at_a_delay_of_3():
    x, y = all_sequences(get_task("square-wave/km2024"), 3)
    assert text(x[:, 6]) == "00000011111000000000000"
    assert text(y[:, 6]) == "00000000000000111110000"


@given(widths, lengths)
def test_both_waves_are_whole_wherever_the_first_begins(width, length):
    x, y = all_sequences(SquareWave(width=width), length)
    for k, (seen, wanted) in enumerate(zip(x[..., 0].T, y[..., 0].T, strict=True)):
        np.testing.assert_array_equal(np.flatnonzero(seen), k + np.arange(width))
        np.testing.assert_array_equal(np.flatnonzero(wanted), k + width + length + np.arange(width))
    assert y[-1].any()  # no step could be left out


def test_the_first_step_is_uniform():
    x, _ = SquareWave().sample(3, 110_000, np.random.default_rng(0))
    counts = np.bincount(x[..., 0].argmax(axis=0))
    assert len(counts) == 11
    assert np.abs(counts - 10_000).max() < 4 * np.sqrt(10_000)


@given(widths, lengths)
def test_trivial_answer_and_risk_are_those_of_the_labels_of_all_sequences(width, length):
    task = SquareWave(width=width)
    _, y = all_sequences(task, length)
    answer = task.trivial_answer(length)
    np.testing.assert_allclose(expit(answer), y.mean(axis=1), atol=1e-15)
    assert task.make_loss().forward(constant(answer, y), y) == pytest.approx(task.trivial_risk(length), rel=1e-12)


@given(widths, lengths)
def test_chance_is_one_of_all_sequences(width, length):
    task = SquareWave(width=width)
    _, y = all_sequences(task, length)
    assert task.accuracy(constant(task.chance_answer(length), y), y) == pytest.approx(1 / y.shape[1])
    assert task.chance_accuracy(length) == 1 / y.shape[1]


def test_a_sequence_counts_as_a_whole():
    """The answer 0 is right in 118 of 123 steps, and in no sequence."""
    task = SquareWave()
    _, y = all_sequences(task, 103)
    assert task.accuracy(np.full_like(y, -1), y) == 0
    y_hat = 2 * y - 1
    assert task.accuracy(y_hat, y) == 1
    y_hat[0, 0], y_hat[-1, 1], y_hat[60, 2] = 1, np.nan, np.nan
    assert task.accuracy(y_hat, y) == pytest.approx(8 / 11)
    assert task.correct(y_hat, y).shape == y.shape[:2]
