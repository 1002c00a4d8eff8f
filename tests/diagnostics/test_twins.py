"""Twins are an unbiased covariance, and what does not belong to the label is equal in both, bit for bit."""

import tracemalloc
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from memspan import TASKS, Batch, InvalidArgument, Recall, Twins, get_task
from memspan.diagnostics import twins as module
from memspan.errors import generator
from memspan.runtime import memory

MIRRORED = ("recall", "recall/kth", "recall/distractors", "memory-capacity")
"""Tasks whose label is an odd function of fixed random numbers."""
RESOLVED = ("recall", "recall/kth", "recall/distractors", "latch/3a")
"""Tasks in which the covariance below is known to a few hundredths."""
every_task = pytest.mark.parametrize("name", TASKS)


def problem(name):
    task = get_task(name)
    return task, max(6, task.least_length)


def pairs_of(twins, values):
    """Split the batch axis (the last but one) into the first and the second twins."""
    lead, (_, features) = values.shape[:-2], values.shape[-2:]
    split = values.reshape(*lead, twins.parts, 2, -1, features)
    return tuple(split[..., k, :, :].reshape(*lead, -1, features) for k in (0, 1))


def function_of(task, length, seed=0):
    """A function of x [T, B, F] that gives [B, O] or [K, B, O] and is neither linear, nor even, nor odd.

    It depends most on the steps that decide the label, so that its covariance with the label can be resolved.
    """
    shape, rng = task.shape(length), np.random.default_rng(seed)
    mix = rng.normal(size=(shape.steps * shape.features, 6)) / np.sqrt(2 * shape.features)
    out = rng.normal(size=(*([shape.output_steps] if shape.output_steps else ()), 6, shape.outputs))

    def h(x):
        seen = np.where(task.relevant(x)[..., np.newaxis], x, 0.1 * x)
        z = seen.transpose(1, 0, 2).reshape(x.shape[1], -1) @ mix
        return (np.tanh(z) + z * z / 3 * np.sign(z[:, :1])) @ out

    return h


def plain(task, length, h, batch):
    """E[d h] as the mean over independent sequences, and its standard error."""
    found = []
    for seed in range(10):
        x, y = task.sample(length, batch // 10, seed)
        products = module._label_part(task, length, y) * h(x)
        found.append(products.reshape(-1, *products.shape[-2:]).sum(axis=(0, 2)))
    return np.mean(found), np.std(found) / np.sqrt(np.size(found))


def by_twins(estimates):
    """The mean of the estimates of all parts, and its standard error."""
    return np.mean(estimates), np.std(estimates) / np.sqrt(len(estimates))


def parts_of(twins, h):
    every = [twins.part(number) for number in range(twins.parts)]
    return [float((twins.weights[..., part, :] * h(twins.x[:, part])).sum()) for part in every]


def z_of(one, other):
    (mean, error), (other_mean, other_error) = one, other
    return abs(mean - other_mean) / np.hypot(error, other_error)


@every_task
@pytest.mark.parametrize("seed", [0, 1])
def test_twins_estimate_the_covariance_without_bias(name, seed):
    task, length = problem(name)
    h = function_of(task, length, seed)
    expected = plain(task, length, h, 20_000)
    found = by_twins([one for seed in range(20) for one in parts_of(Twins.of(task, length, 256, seed), h)])
    assert z_of(found, expected) < 4


@pytest.mark.parametrize("name", RESOLVED)
def test_a_covariance_that_is_a_tenth_too_large_would_be_seen(name):
    task, length = problem(name)
    h = function_of(task, length)
    expected = plain(task, length, h, 20_000)
    found = by_twins([1.1 * one for seed in range(20) for one in parts_of(Twins.of(task, length, 256, seed), h)])
    assert z_of(found, expected) > 4


def test_the_symmetric_form_would_be_biased_where_the_label_chooses_what_it_depends_on():
    """In adding/any the positions are redrawn: the second twin may add values that both of them share."""
    task, length = get_task("adding/any"), 12

    def h(x):
        return (x[..., 0] - 0.5).sum(axis=0)[:, np.newaxis]

    expected = plain(task, length, h, 20_000)
    right, wrong = [], []
    for seed in range(10):
        twins = Twins.of(task, length, 256, seed)
        first, second = pairs_of(twins, module._label_part(task, length, twins.y))
        share = (first - second) / 2 / (256 // twins.parts)
        right += parts_of(twins, h)
        wrong += parts_of(replace(twins, weights=module._paired(share, -share, twins.parts)), h)
    assert z_of(by_twins(right), expected) < 4
    assert z_of(by_twins(wrong), expected) > 10


@every_task
def test_the_second_twin_has_the_label_of_its_sequence(name):
    """Its label is what the task makes of the same random numbers, so weights add to 0 in every pair."""
    task, length = problem(name)
    twins = Twins.of(task, length, 64, 0)
    first, second = pairs_of(twins, twins.weights)
    assert np.array_equal(first, -second)
    assert np.isfinite(twins.weights).all()
    assert np.abs(twins.weights).max() > 0
    assert twins.x.shape == (task.shape(length).steps, 128, task.shape(length).features)
    assert twins.weights.shape == twins.y.shape == task.sample(length, 128, 0).y.shape


@pytest.mark.parametrize("name", ["recall", "recall/kth", "recall/distractors"])
def test_only_the_step_of_the_label_differs_and_bit_for_bit_no_other(name):
    task, length = problem(name)
    twins = Twins.of(task, length, 64, 0)
    first, second = pairs_of(twins, twins.x)
    relevant = task.relevant(first)
    assert np.array_equal(first[~relevant], second[~relevant])
    assert (first[relevant] != second[relevant]).any(axis=-1).all()


def test_in_the_adding_problem_the_values_that_are_not_added_are_equal():
    task, length = problem("adding/any")
    twins = Twins.of(task, length, 64, 0)
    first, second = pairs_of(twins, twins.x)
    value = first[..., 0] == second[..., 0]
    marked = task.relevant(first)
    assert value[~marked].all()
    assert not value[marked].any()


@pytest.mark.parametrize("name", MIRRORED)
def test_an_odd_label_has_mirrored_twins(name):
    task, length = problem(name)
    twins = Twins.of(task, length, 64, 0)
    first, second = pairs_of(twins, twins.y)
    np.testing.assert_allclose(first, -second, rtol=1e-12, atol=1e-15)
    d, other = (module._label_part(task, length, y) for y in (first, second))
    np.testing.assert_allclose(pairs_of(twins, twins.weights)[0] * 64 / twins.parts, (d - other) / 4, rtol=1e-12)


@pytest.mark.parametrize("name", ["multiplication/hs97", "parity"])
def test_a_label_that_is_not_odd_has_no_mirrored_twins(name):
    task, length = problem(name)
    twins = Twins.of(task, length, 64, 0)
    first, second = pairs_of(twins, module._label_part(task, length, twins.y))
    assert not module._opposite(first, second)


def test_the_variance_is_that_of_the_label():
    assert Twins.of(get_task("recall"), 5, 512, 0).variance == pytest.approx(1 / 3, rel=0.01)
    task = get_task("memory-capacity")
    y = task.sample(30, 50_000, 0).y
    assert Twins.of(task, 30, 512, 0).variance == pytest.approx(y.var() / y.shape[-1], rel=0.02)


def test_random_numbers_are_stratified_in_each_part():
    u = module._stratified(np.random.default_rng(0), 5, 3, 8)
    for part in range(3):
        cells = np.sort((u[:, 8 * part : 8 * part + 8] * 8).astype(int), axis=1)
        assert np.array_equal(cells, np.tile(np.arange(8), (5, 1)))
    assert len(np.unique(u)) == u.size


def test_parts_have_different_random_numbers_and_stand_behind_one_another():
    twins = Twins.of(get_task("recall"), 6, 32, 0, parts=4)
    parts = [twins.x[:, twins.part(number)] for number in range(4)]
    assert np.array_equal(np.concatenate(parts, axis=1), twins.x)
    assert all(len(np.intersect1d(one, other)) == 0 for one, other in pairwise(parts))
    assert np.array_equal(parts[0][1:, :8], parts[0][1:, 8:])


def test_parts_are_not_correlated():
    task, length = problem("recall")
    h = function_of(task, length)
    found = np.array([parts_of(Twins.of(task, length, 16, seed, parts=2), h) for seed in range(400)])
    assert abs(np.corrcoef(found.T)[0, 1]) < 4 / np.sqrt(400)


def test_stratified_mirrored_twins_are_more_precise_than_independent_sequences():
    task, length = problem("recall")
    h = function_of(task, length)
    _, of_plain = plain(task, length, h, 20_000)
    _, of_twins = by_twins([one for seed in range(20) for one in parts_of(Twins.of(task, length, 128, seed), h)])
    assert of_twins * np.sqrt(20 * 2 * 128) < of_plain * np.sqrt(20_000) / 2


def test_the_search_for_dependence_is_the_same_in_any_number_of_calls(monkeypatch):
    task, length = problem("adding/any")
    u, other = np.random.default_rng(0).random((2, task.draws(length), 20))
    at_once = module._dependence(task, length, u, other)
    by_hand = np.empty_like(at_once)
    for i in range(len(u)):
        changed = u.copy()
        changed[i] = other[i]
        by_hand[i] = (task.make(changed, length).y != task.make(u, length).y)[:, 0]
    assert np.array_equal(at_once, by_hand)
    monkeypatch.setattr(module, "AT_ONCE", 1)
    assert np.array_equal(module._dependence(task, length, u, other), by_hand)


FIXED = {"recall": 1, "latch/3a": 1, "order/pascanu-2": 2, "copying/urnn": 10, "selective-copying": 16}


@every_task
def test_a_label_that_depends_on_the_same_numbers_in_every_sequence_is_told_from_one_that_chooses_them(name):
    task, length = problem(name)
    u, other = np.random.default_rng(0).random((2, task.draws(length), 64))
    found = module._fixed_dependence(task, length, u, other, task.make(u, length).y)
    by_chance = name == "digits/rows"  # another image has the same label in a tenth of the sequences
    assert (found is None) == (name.startswith(("adding", "multiplication")) or by_chance)
    assert found is None or name not in FIXED or found.sum() == FIXED[name]


class Rarely(Recall):
    """The first random number is the label, except in one sequence of fifty, where the second one is."""

    def make(self, u, length):
        return Batch(u[:, :, np.newaxis], np.where(u[2] < 0.02, u[1], u[0])[:, np.newaxis])


def test_a_rare_exception_is_seen():
    u, other = np.random.default_rng(0).random((2, 3, 400))
    u[2, : module.PROBES] = 0.1  # no number moved by one half falls below 0.02, and none of these is
    task = Rarely()
    assert module._fixed_dependence(task, 3, u, other, task.make(u, 3).y) is None


def test_mirrored_numbers_stay_below_one():
    below = np.nextafter(1, 0)
    assert module._mirrored(np.array([[0.0, 0.25, 1e-20]])).tolist() == [[below, 0.75, below]]


def test_the_same_seed_gives_the_same_twins_and_another_one_others():
    one, again, other = (Twins.of(get_task("recall"), 6, 32, seed) for seed in (3, 3, 4))
    assert np.array_equal(one.x, again.x)
    assert not np.array_equal(one.x, other.x)
    drawn = Twins.of(get_task("recall"), 6, 32, generator("rng", 3, module.PURPOSE))
    assert np.array_equal(one.x, drawn.x)


def test_repr():
    twins = Twins.of(get_task("recall"), 6, 32, 0, parts=4)
    assert repr(twins) == "<Twins: 32 pairs of sequences of 6 steps, in 4 parts>"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"pairs": 100}, "pairs must be a multiple of the number of parts, 16, got 100"),
        ({"pairs": 8}, "pairs must be a whole number of at least 16, got 8"),
        ({"parts": 1}, "parts must be a whole number of at least 2, got 1"),
        ({"length": 0}, "length must be"),
        ({"rng": "x"}, "rng must be"),
    ],
)
def test_what_is_wrong_is_refused_by_name(given, message):
    with pytest.raises(InvalidArgument) as caught:
        Twins.of(**({"task": get_task("recall"), "length": 6} | given))
    assert str(caught.value).startswith(message)


def test_what_does_not_fit_is_refused_before_anything_is_allocated(monkeypatch):
    monkeypatch.setattr(memory, "total", lambda: 1 << 20)
    tracemalloc.start()
    with pytest.raises(InvalidArgument, match="length and batch must be small enough for the memory"):
        Twins.of(get_task("recall"), 10_000, 4096)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1 << 20
