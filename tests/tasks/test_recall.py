import inspect
from itertools import islice

import numpy as np
import pytest

from memspan import InvalidArgument, MSELoss, Recall, generate_samples

SAMPLES = 200_000


@pytest.fixture(scope="module")
def many():
    return Recall().sample(2, SAMPLES, np.random.default_rng(0))


def test_label_is_the_first_number():
    x, y = Recall().sample(7, 5, np.random.default_rng(0))
    assert x.shape == (7, 5, 1)
    np.testing.assert_array_equal(y, x[0])
    assert (y != x[-1]).all()


def test_label_is_a_copy():
    x, y = Recall().sample(3, 2, np.random.default_rng(0))
    kept = y.copy()
    x[:] = 9
    np.testing.assert_array_equal(y, kept)


def test_numbers_are_uniform_and_independent(many):
    """Range, mean, variance and correlation of U(-1, 1), each within four standard errors."""
    x, n = many.x, many.x.size
    assert -1 <= x.min() < -0.9999
    assert 0.9999 < x.max() < 1
    assert abs(x.mean()) < 4 * np.sqrt(1 / 3 / n)
    assert abs((x**2).mean() - 1 / 3) < 4 * np.sqrt(4 / 45 / n)
    assert abs((x[0] * x[1]).mean()) < 4 * (1 / 3) / np.sqrt(SAMPLES)


def test_trivial_risk_is_that_of_answering_zero(many):
    risk = MSELoss().forward(np.zeros_like(many.y), many.y)
    assert Recall().trivial_risk(2) == 1 / 3
    assert abs(risk - Recall().trivial_risk(2)) < 4 * np.sqrt(4 / 45 / SAMPLES)


@pytest.mark.parametrize("tolerance", [0.1, 0.25])
@pytest.mark.parametrize("constant", [0.0, 0.5, -0.7])
def test_chance_accuracy_is_that_of_any_constant(many, tolerance, constant):
    task = Recall(tolerance)
    accuracy = task.accuracy(np.full_like(many.y, constant), many.y)
    assert task.chance_accuracy(2) == tolerance
    assert abs(accuracy - tolerance) < 4 * np.sqrt(tolerance * (1 - tolerance) / SAMPLES)


def test_accuracy_counts_what_lies_within_the_tolerance():
    y = np.array([[0.0], [0.0], [0.5], [0.5], [-1.0]])
    y_hat = np.array([[0.25], [0.3], [0.25], [0.8], [np.nan]])
    assert Recall(0.25).accuracy(y_hat, y) == 2 / 5
    assert Recall(0.25).accuracy(y, y) == 1


def test_accuracy_never_broadcasts():
    with pytest.raises(InvalidArgument, match=r"y_hat must be of the labels' shape \(4, 1\), got shape \(4,\)"):
        Recall().accuracy(np.zeros(4), np.zeros((4, 1)))


@pytest.mark.parametrize("tolerance", [0, 1, -0.1, 1.5, np.nan, "0.1", True])
def test_tolerance_lies_between_zero_and_one(tolerance):
    with pytest.raises(InvalidArgument) as caught:
        Recall(tolerance)
    assert str(caught.value) == f"tolerance must be a finite number above 0 and below 1, got {tolerance!r}"


def test_a_sequence_is_a_function_of_random_numbers_of_its_own():
    x, y = Recall().sample(4, 5, np.random.default_rng(3))
    u = np.random.default_rng(3).random((5, 4))
    np.testing.assert_array_equal(x[..., 0], 2 * u.T - 1)
    fewer = Recall().sample(4, 2, np.random.default_rng(3))
    np.testing.assert_array_equal(fewer.x, x[:, :2])
    np.testing.assert_array_equal(fewer.y, y[:2])


def test_another_element_is_the_label_where_it_is_asked_for():
    x, y = Recall(variant="kth", element=3).sample(7, 5, np.random.default_rng(0))
    np.testing.assert_array_equal(y, x[2])
    plain = Recall().sample(7, 5, np.random.default_rng(0))
    np.testing.assert_array_equal(x, plain.x)
    with pytest.raises(InvalidArgument, match="length must be at least 3 for recall/kth, got 2"):
        Recall(variant="kth", element=3).sample(2, 5, np.random.default_rng(0))


def test_distractors_are_larger_than_the_number_to_recall():
    plain = Recall().sample(7, 5, np.random.default_rng(0))
    x, y = Recall(variant="distractors", element=2, scale=3.0).sample(7, 5, np.random.default_rng(0))
    np.testing.assert_array_equal(y, plain.x[1])
    np.testing.assert_array_equal(x[1], plain.x[1])
    np.testing.assert_array_equal(np.delete(x, 1, axis=0), 3 * np.delete(plain.x, 1, axis=0))


@pytest.mark.parametrize("parameters", [{"element": 2}, {"scale": 3.0}])
def test_the_plain_task_is_the_plain_task(parameters):
    rule = "variant must be kth or distractors to change element or scale, got element="
    with pytest.raises(InvalidArgument, match=rule):
        Recall(**parameters)


def test_generator_yields_batches_without_end():
    samples = generate_samples(batch_size=3, seq_length=4, rng=0)
    assert inspect.isgenerator(samples)
    batches = list(islice(samples, 500))
    assert len(batches) == 500
    for x, y in batches:
        assert x.shape == (4, 3, 1)
        np.testing.assert_array_equal(y, x[0])
    assert len({x[0, 0, 0] for x, _ in batches}) == 500


def test_generator_is_a_function_of_its_stream():
    one, same, other = (generate_samples(2, 3, rng) for rng in (5, 5, 6))
    for _ in range(3):
        x, y = next(one)
        same_x, same_y = next(same)
        np.testing.assert_array_equal(x, same_x)
        np.testing.assert_array_equal(y, same_y)
        assert (next(other)[0] != x).all()


def test_generator_without_a_stream_takes_fresh_numbers():
    assert (next(generate_samples(2, 3))[0] != next(generate_samples(2, 3))[0]).all()


@pytest.mark.parametrize("value", [0, -1, 2.0, True, "3", None])
@pytest.mark.parametrize("name", ["batch_size", "seq_length"])
def test_generator_checks_its_sizes_at_the_call(name, value):
    sizes = {"batch_size": 2, "seq_length": 3, name: value}
    with pytest.raises(InvalidArgument) as caught:
        generate_samples(**sizes)
    assert str(caught.value) == f"{name} must be a whole number of at least 1, got {value!r}"
