"""Every task in `TASKS` keeps the contracts of a task, and agrees with its source."""

from dataclasses import replace

import numpy as np
import pytest
from brute_force import ANSWERS, share_of_misleading

from memspan import (
    CELLS,
    TASKS,
    Adam,
    Adding,
    Batches,
    Chain,
    ClipByNorm,
    Ensemble,
    InvalidArgument,
    Learner,
    Network,
    SoftmaxCrossEntropy,
    get_task,
)
from memspan.cells import Cell
from memspan.cells.activations import tanh, tanh_derivative
from memspan.tasks import parameters_of
from memspan.testing import TASK_CONTRACTS, check_task
from memspan.testing.tasks import SAMPLES, losses, some_lengths

every_task = pytest.mark.parametrize("task", TASKS.values(), ids=list(TASKS))
OTHERS = [
    get_task("recall", tolerance=0.4),
    get_task("recall/kth", element=4),
    get_task("recall/distractors", scale=0.5, element=2),
    get_task("adding/any", tolerance=0.5),
    get_task("adding/halves", tolerance=0.9),
    get_task("adding/hs97", tolerance=0.2),
    get_task("multiplication/hs97", tolerance=0.2),
    get_task("copying/urnn", items=3, symbols=5),
    get_task("copying/tcn", items=1, symbols=2),
    get_task("order/hs97-3", tolerance=0.1),
    get_task("latch/3a", informative=1, tolerance=0.4),
    get_task("latch/3b", informative=1),
    get_task("latch/3c", informative=2, tolerance=0.25),
    get_task("selective-copying", items=3, symbols=4),
    get_task("memory-capacity", tolerance=0.5),
    get_task("square-wave/km2024", width=2),
]
"""Tasks with other parameters than those of their sources."""
any_parameters = pytest.mark.parametrize(
    "task", [*TASKS.values(), *OTHERS], ids=[*TASKS, *(f"own {task.name}" for task in OTHERS)]
)


# --- contracts ------------------------------------------------------------------------------------------


@any_parameters
@pytest.mark.parametrize(
    "contract",
    [pytest.param(name, marks=[pytest.mark.slow] * contract.slow) for name, contract in TASK_CONTRACTS.items()],
)
def test_contract(task, contract):
    check_task(task, contracts=[contract])


@any_parameters
def test_every_sequence_is_asked_for_once_where_its_end_is_random(task):
    """In all other tasks, every answer has a label."""
    for length in some_lengths(task):
        _, y = task.sample(length, 5, np.random.default_rng(0))
        masked = task.make_loss().masked
        assert np.isnan(y).any() == (masked and (task.shape(length).output_steps or 1) > 1)
        if masked:
            np.testing.assert_array_equal((~np.isnan(y[..., 0])).sum(axis=0), 1)


@every_task
def test_other_keys_give_other_sequences(task):
    length = task.least_length + 30
    one, other = (task.sample(length, 20, np.random.default_rng(seed)).x for seed in (0, 1))
    same = (one == other).all(axis=(0, 2))
    assert not (same.all() if task.family == "square-wave" else same.any())  # which has 11 different sequences


# --- labels ---------------------------------------------------------------------------------------------


@any_parameters
def test_labels_follow_from_the_input_alone(task):
    answer = ANSWERS[task.family]
    for length in some_lengths(task):
        count = 4000 // length if task.variant != "3b" else 5000
        x, y = task.sample(length, count, np.random.default_rng(length))
        found = task.noise_free(x, y) if y.ndim == 3 else task.noise_free(x, y)[np.newaxis]
        wrong = 0
        for b in range(count):
            expected = answer(x[:, b].tolist(), length, task)
            labels = [None if np.isnan(row[0]) else row for row in found[:, b].tolist()]
            assert [label is None for label in labels] == [label is None for label in expected]
            wrong += any(
                label is not None and np.abs(np.subtract(label, right)).max() > 1e-12
                for label, right in zip(labels, expected, strict=True)
            )
        rate = share_of_misleading(task)
        assert abs(wrong - count * rate) <= 4 * np.sqrt(count * rate)


def test_labels_of_noisy_targets_are_the_clean_ones_and_noise_of_the_stated_variance():
    task = TASKS["latch/3c"]
    x, y = task.sample(20, SAMPLES, np.random.default_rng(0))
    noise = (y - task.noise_free(x, y))[~np.isnan(y)]
    assert noise.shape == (SAMPLES,)
    assert abs(noise.mean()) < 4 * np.sqrt(0.1 / SAMPLES)
    assert abs(noise.var() - 0.1) < 4 * 0.1 * np.sqrt(2 / SAMPLES)


def test_a_noisy_target_of_a_single_sequence_is_known_too():
    task = TASKS["latch/3c"]
    x, y = task.sample(20, 1, np.random.default_rng(0))
    np.testing.assert_array_equal(task.noise_free(x[:, 0], y), task.noise_free(x, y))


@every_task
def test_the_answer_lies_in_the_relevant_steps_alone(task):
    """Steps that are not marked can be exchanged between sequences without changing a label."""
    length = task.least_length + 13
    x, y = task.sample(length, 6, np.random.default_rng(3))
    relevant = task.relevant(x)
    assert relevant.shape == x.shape[:2]
    assert relevant.dtype == bool
    assert relevant.any(axis=0).all()
    labels = y if y.ndim == 3 else y[np.newaxis]
    answer = ANSWERS[task.family]
    for b in range(6):
        other = x[:, b].copy()
        fixed = relevant[:, b] | (np.abs(x[:, b]) == 0).all(axis=-1)  # the padding shows where the sequence ends
        if task.family in ("adding", "multiplication"):
            other[~fixed, 0] += 0.25
        elif task.family in ("recall", "latch"):
            other[~fixed] += 0.25
        elif task.family == "delayed-xor":
            other[~fixed] *= -1
        else:
            continue  # no other step exists, or not every symbol may take its place
        expected = answer(other.tolist(), length, task)
        for mine, theirs in zip(labels[:, b], expected, strict=True):
            assert np.isnan(mine[0]) == (theirs is None)
            if theirs is not None and task.variant != "3c":
                np.testing.assert_allclose(mine, theirs, atol=1e-12)


@any_parameters
def test_every_relevant_step_matters(task):
    """Changing any marked step changes the answer of at least one sequence."""
    length = task.least_length + 3
    x, _ = task.sample(length, 40, np.random.default_rng(5))
    relevant, answer = task.relevant(x), ANSWERS[task.family]
    changed = np.zeros(len(x), bool)
    there = relevant.any(axis=1)
    for b in range(40):
        before = answer(x[:, b].tolist(), length, task)
        for t in np.flatnonzero(relevant[:, b]):
            other = x[:, b].copy()
            if task.family in ("adding", "multiplication"):
                other[t, 0] += 0.5
            elif task.family == "order" or task.name in ("copying/urnn", "selective-copying"):
                first = {"order": x.shape[-1] - 6, "copying": 1}.get(task.family, 0)
                number = int(other[t].argmax())
                other[t] = 0
                other[t, number + 1 if number == first else number - 1] = 1
            elif task.name == "copying/tcn":
                other[t] += 1 if other[t] == 1 else -1
            else:
                other[t] = -9 * np.sign(other[t]) if task.family == "latch" else -other[t]
            changed[t] |= answer(other.tolist(), length, task) != before
    np.testing.assert_array_equal(changed, there)


# --- trivial risk and chance accuracy -------------------------------------------------------------------


CLOSED = {
    ("recall", 5): 1 / 3,
    ("adding/any", 50): 1 / 6,
    ("adding/halves", 50): 1 / 6,
    ("copying/urnn", 100): 0.1733,
    ("copying/tcn", 1000): 0.0204,
    ("order/pascanu-2", 100): 1.386,
    ("order/pascanu-3", 100): 2.079,
    ("memory-capacity", 9): 1 / 3,
    ("square-wave/km2024", 3): 0.38537,  # 2 (h(1/11) + h(2/11) + h(3/11) + h(4/11)) + 7 h(5/11), over 23 steps
}


@pytest.mark.parametrize(("name", "length"), CLOSED)
def test_risks_that_are_quoted(name, length):
    assert TASKS[name].trivial_risk(length) == pytest.approx(
        CLOSED[name, length], abs=5e-5 if length > 60 else 1e-12, rel=3e-4
    )


def test_risks_of_1997_approach_those_of_two_free_numbers_but_for_the_first_pair():
    """The risks would be 1/24 and 7/144 if the first pair were never marked. It is in a tenth of the sequences."""
    adding, product = TASKS["adding/hs97"], TASKS["multiplication/hs97"]
    assert adding.trivial_risk(100) == pytest.approx((2 - (0.1 + 0.9 / 49)) / 48)
    assert adding.trivial_risk(10**6) == pytest.approx(1.9 / 48, rel=1e-4)
    assert product.trivial_risk(10**6) == pytest.approx(0.9 / 9 + 0.1 / 3 - (0.9 / 4 + 0.05) ** 2, rel=1e-4)


# --- oracles and networks without a memory --------------------------------------------------------------


def test_an_oracle_that_knows_the_mean_of_noisy_labels_has_their_variance_as_its_loss():
    task = TASKS["latch/3c"]
    x, y = task.sample(20, SAMPLES, np.random.default_rng(0))
    clean = np.nan_to_num(task.noise_free(x, y))
    assert task.make_loss().forward(clean, y) == pytest.approx(0.1, abs=4 * 0.1 * np.sqrt(2 / SAMPLES))


def seen(s, previous, unit):
    """A cell without recurrence."""
    a = tanh(s[0])
    return (a,), (a,)


def seen_back(d_state, residuals, previous, state, unit):
    return (d_state[0] * tanh_derivative(residuals[0]),), (0.0 * d_state[0],), ()


OF_EACH_FAMILY = {task.family: name for name, task in TASKS.items()}.values()
FORGETFUL = Cell("forgetful", ("a",), ("a",), seen, seen_back, "this test", recurrent_gates=())


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in OF_EACH_FAMILY else pytest.mark.faults) for name in TASKS]
)
def test_a_cell_that_cannot_remember_stays_at_the_trivial_risk(name):
    task = TASKS[name]
    length = max(task.least_length, 3) + 20
    _, features, outputs, output_steps = task.shape(length)
    network = Network(FORGETFUL, features, 16, outputs, init="glorot", output_steps=output_steps, rng=0)
    batches = Batches(task, length, 128, rng=1)
    optimizer = Chain(ClipByNorm(1.0), Adam(1e-2))
    learner = Learner(network, task.make_loss(), batches, optimizer, task=task, engine="readable")
    learner.fit(300, evaluate_every=1000, final_batches=1, stop_when_solved=False, progress=False)
    x, y = task.sample(length, 20_000 if output_steps is None else 4000, np.random.default_rng(9))
    found = losses(task, network.predict(x), y)
    error, trivial = 4 * found.std() / np.sqrt(len(found)), task.trivial_risk(length)
    # With probability 2/T the last step is one of the two marked, which reveals half of the variance.
    visible = trivial / length if task.name in ("adding/any", "adding/halves") else 0.0
    assert found.mean() > trivial - visible - error
    if task.family not in ("copying", "square-wave"):  # these also need memory to know when to answer
        assert found.mean() < 1.15 * trivial + error


# --- what is asked ill ----------------------------------------------------------------------------------


@every_task
@pytest.mark.parametrize("length", [0, -3, 1.5, True, "7", None])
def test_a_length_that_is_none_is_refused(task, length):
    for ask in (lambda: task.sample(length, 2, np.random.default_rng(0)), lambda: Batches(task, length, 2, rng=0)):
        with pytest.raises(InvalidArgument, match="length must be a whole number of at least 1, got"):
            ask()


@every_task
def test_a_length_below_the_least_is_refused_with_the_least(task):
    if task.least_length == 1:
        return
    with pytest.raises(InvalidArgument) as caught:
        task.sample(task.least_length - 1, 2, np.random.default_rng(0))
    expected = f"length must be at least {task.least_length} for {task.name}, got {task.least_length - 1}"
    assert str(caught.value) == expected
    assert Batches(task, task.least_length, 2, rng=0).length == task.least_length


@every_task
def test_a_wrong_variant_is_refused_with_those_that_exist(task):
    if task.variants == ("",):
        return
    with pytest.raises(InvalidArgument) as caught:
        replace(task, variant="mine")
    assert str(caught.value) == f"variant must be one of {', '.join(task.variants)}, got 'mine'"


def test_a_variant_that_another_class_makes_is_refused_with_its_name():
    with pytest.raises(InvalidArgument) as caught:
        Adding("hs97")
    assert str(caught.value) == ("variant must be one of any, halves, got 'hs97'; use get_task(\"adding/hs97\")")
    with pytest.raises(InvalidArgument, match=r'got .pascanu-2.; use get_task\("order/pascanu-2"\)$'):
        replace(get_task("order/hs97-2"), variant="pascanu-2")
    names = {f"{task.family}/{variant}" for task in TASKS.values() for variant in task.elsewhere}
    assert names == {"adding/any", "adding/halves", "adding/hs97", *(name for name in TASKS if "order" in name)}


def test_none_stands_for_the_value_in_the_source():
    """Checkpoints of memspan 0.1 contain it."""
    for name in ("adding/any", "adding/hs97", "order/hs97-3"):
        assert get_task(name, tolerance=None) == TASKS[name]
    assert get_task("order/pascanu-2", tolerance=None) == TASKS["order/pascanu-2"]
    assert get_task("latch/3c", tolerance=None, informative=1).tolerance == 0.1
    with pytest.raises(InvalidArgument, match="tolerance must be a finite number above 0 and below 1, got None"):
        get_task("recall", tolerance=None)


def test_an_unknown_name_is_refused_with_those_that_exist():
    with pytest.raises(InvalidArgument) as caught:
        get_task("adding")
    known = "adding/any, adding/halves, adding/hs97"
    assert str(caught.value) == f"task must be one of {known}, got 'adding'; did you mean 'adding/any'?"
    with pytest.raises(InvalidArgument) as caught:
        get_task("adding/urnn")
    assert str(caught.value).startswith(f"task must be one of {known}, got 'adding/urnn'")
    with pytest.raises(InvalidArgument) as caught:
        get_task("chess")
    assert str(caught.value) == f"task must be one of {', '.join(TASKS)}, got 'chess'"


def test_a_parameter_that_a_task_does_not_have_is_refused_with_those_that_it_has():
    with pytest.raises(InvalidArgument) as caught:
        get_task("copying/tcn", tolerance=0.1)
    assert str(caught.value) == "a parameter of copying/tcn must be one of items, symbols, got 'tolerance'"
    with pytest.raises(InvalidArgument) as caught:
        get_task("parity", items=2)
    assert str(caught.value) == "a parameter of parity must be left out, because the task has none, got 'items'"


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("recall/kth", {"element": 0}, "element must be a whole number of at least 1, got 0"),
        ("recall/distractors", {"scale": -1}, "scale must be a finite number of at least 0, got -1"),
        ("recall", {"element": 2}, "variant must be kth or distractors to change element or scale"),
        ("adding/any", {"tolerance": 1.0}, "tolerance must be a finite number above 0 and below 1, got 1.0"),
        ("adding/hs97", {"tolerance": 0.3}, "tolerance must be a finite number above 0 and below 0.25, got 0.3"),
        (
            "multiplication/hs97",
            {"tolerance": 0.0},
            "tolerance must be a finite number above 0 and below 0.5, got 0.0",
        ),
        ("copying/urnn", {"items": 0}, "items must be a whole number of at least 1, got 0"),
        ("copying/tcn", {"symbols": 1}, "symbols must be a whole number of at least 2, got 1"),
        ("selective-copying", {"symbols": 1}, "symbols must be a whole number of at least 2, got 1"),
        (
            "order/pascanu-2",
            {"tolerance": 0.3},
            "a parameter of order/pascanu-2 must be left out, because the task has none, got 'tolerance'",
        ),
        ("order/hs97-2", {"tolerance": 0.5}, "tolerance must be a finite number above 0 and below 0.5, got 0.5"),
        ("latch/3c", {"tolerance": 0.4}, "tolerance must be a finite number above 0 and below 0.3, got 0.4"),
        ("latch/3a", {"informative": 0}, "informative must be a whole number of at least 1, got 0"),
        ("memory-capacity", {"tolerance": 1}, "tolerance must be a finite number above 0 and below 1, got 1"),
    ],
)
def test_parameters_are_checked(name, parameters, message):
    with pytest.raises(InvalidArgument) as caught:
        get_task(name, **parameters)
    assert message in str(caught.value)


# --- the list -------------------------------------------------------------------------------------------


@every_task
def test_every_task_says_what_it_is(task):
    assert TASKS[task.name] is task
    assert get_task(task.name) == task
    assert get_task(task.name.replace("-", "_")) == task
    assert get_task(task.name, **parameters_of(task)) == task
    assert task.sentence.endswith(".")
    assert any(character.isdigit() for character in task.source)
    assert task.rule
    assert 0 < task.chance_accuracy(100) < 1
    assert task.trivial_risk(100) > 0


def test_every_variant_of_every_family_is_there():
    families = {type(task) for task in TASKS.values()}
    assert sum(len(family.variants) for family in families) == len(TASKS)


@pytest.mark.parametrize("name", ["recall/kth", "recall/distractors"])
def test_the_variants_of_recall(name):
    task = get_task(name, element=4) if name.endswith("kth") else get_task(name, scale=5)
    x, y = task.sample(9, 2000, np.random.default_rng(0))
    element = 3 if name.endswith("kth") else 0
    np.testing.assert_array_equal(y, x[element])
    largest = np.abs(x).max(axis=(1, 2))
    expected = np.full(9, 1.0 if name.endswith("kth") else 5.0)
    expected[element] = 1
    np.testing.assert_allclose(largest, expected, rtol=0.01)


# --- places ---------------------------------------------------------------------------------------------


def test_places_of_the_marks_are_those_of_the_papers():
    """All possible values occur about equally often, and no others."""
    T, n = 40, 50_000
    for name, possible in {
        "adding/any": set(range(T)),
        "adding/halves": set(range(T)),
        "adding/hs97": set(range(T // 2)),
        "multiplication/hs97": set(range(T // 2)),
    }.items():
        x, _ = TASKS[name].sample(T, n, np.random.default_rng(0))
        marked = x[..., 1] == 1
        assert (marked.sum(axis=0) == 2).all()
        assert set(np.flatnonzero(marked.any(axis=1))) == possible
        if name == "adding/halves":
            assert (marked[: T // 2].sum(axis=0) == 1).all()
        if name.endswith("hs97"):
            assert (marked[:10].any(axis=0)).all()
            ends = (x != 0).any(axis=2).cumsum(axis=0).argmax(axis=0)
            assert set(ends) == set(range(T - 1, T + 4))
            last = x[ends, np.arange(n), 1]
            assert (last == -1).all()
            first = x[0, :, 1]
            assert set(first) == {-1, 1}
            assert (first == 1).mean() == pytest.approx(0.1 + 0.9 / 19, abs=4 * np.sqrt(0.13 / n))
            assert set(x[0, first == 1, 0]) == ({0.0} if name.startswith("adding") else {1.0})


@pytest.mark.parametrize(
    ("name", "windows"),
    [
        ("order/hs97-2", [(10, 20), (50, 60)]),
        ("order/hs97-3", [(10, 20), (33, 43), (66, 76)]),
        ("order/pascanu-2", [(11, 20), (51, 60)]),
        ("order/pascanu-3", [(11, 20), (31, 40), (61, 70)]),
    ],
)
def test_places_of_the_events_are_those_of_the_papers(name, windows):
    """Steps are counted from 1. The windows are given at T = 100 and scale with T."""
    task = TASKS[name]
    for T in (100, 200):
        x, _ = task.sample(T, 20_000, np.random.default_rng(0))
        relevant = task.relevant(x)
        assert (relevant.sum(axis=0) == len(windows)).all()
        where = np.flatnonzero(relevant.any(axis=1)) + 1
        scale, first_step = T // 100, 0 if name.startswith("order/hs97") else 1
        expected = [
            place
            for first, last in windows
            for place in range(scale * (first - first_step) + first_step, scale * last + 1)
        ]
        np.testing.assert_array_equal(where, expected)


def test_symbols_of_selective_copying_may_stand_anywhere():
    task = get_task("selective-copying", items=3, symbols=4)
    x, _ = task.sample(10, 30_000, np.random.default_rng(0))
    share = task.relevant(x).mean(axis=1)
    np.testing.assert_allclose(share[:10], 0.3, atol=4 * np.sqrt(0.21 / 30_000))
    assert (share[10:] == 0).all()
    np.testing.assert_allclose(x[..., :4].mean(axis=(0, 1)) * 13, 0.75, atol=0.03)
    assert (x[10:, :, 5] == 1).all()


@pytest.mark.parametrize("informative", [1, 3])
def test_noise_of_the_latch_has_the_stated_variance(informative):
    for variant in ("3a", "3b"):
        x, _ = get_task(f"latch/{variant}", informative=informative).sample(9, SAMPLES, np.random.default_rng(0))
        variances = (np.abs(x[:informative]) if variant == "3a" else x[:informative] ** 2).mean(axis=(1, 2))
        np.testing.assert_allclose(variances, 1 if variant == "3a" else 1.2, atol=0.02)
        np.testing.assert_allclose(x[informative:].var(axis=(1, 2)), 0.2, rtol=0.03)


# --- networks -------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("cell", CELLS)
def test_every_task_trains_every_cell_on_both_engines(cell):
    """Train for a few updates. There is one test per cell, because compiling its kernel takes the most time."""
    for task in TASKS.values():
        task = replace(task, items=2, symbols=3) if hasattr(task, "items") else task
        length = task.least_length + 4
        _, features, outputs, output_steps = task.shape(length)
        histories = []
        for engine in ("compiled", "readable"):
            models = [
                Network(cell, features, 6, outputs, output_steps=output_steps, dtype="float32", rng=seed)
                for seed in range(2)
            ]
            streams = [Batches(task, length, 8, rng=seed, dtype="float32") for seed in range(2)]
            ensemble = Ensemble(
                models, task.make_loss(), streams, Chain(ClipByNorm(1.0), Adam(1e-3)), engine=engine
            )
            outcomes = ensemble.fit(5, evaluate_every=3, evaluation_batches=1, final_batches=2, progress=False)
            assert all(outcome.evaluation is not None for outcome in outcomes), (task.name, outcomes)
            histories.append([member.history.loss for member in ensemble.members])
            histories[-1] += [[outcome.evaluation.loss] for outcome in outcomes]
        for mine, theirs in zip(*histories, strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=1e-4, err_msg=task.name)


# --- memory capacity ------------------------------------------------------------------------------------


def test_a_perfect_memory_has_all_the_capacity_and_none_has_none():
    task = TASKS["memory-capacity"]
    _, y = task.sample(31, 2000, np.random.default_rng(0))
    whole = task.capacity(y, y)
    assert whole.total == pytest.approx(30)
    assert whole.error == pytest.approx(0, abs=1e-9)
    assert task.capacity(np.full_like(y, 0.3), y).total == 0
    assert task.capacity(y.tolist(), y.tolist()).total == pytest.approx(30)
    for size in (1e-170, 1e160):
        assert task.capacity(size * y, y).total == pytest.approx(30)
    some = y.copy()
    some[:, 12:] = np.random.default_rng(1).uniform(-1, 1, (2000, 18))
    found = task.capacity(some, y)
    np.testing.assert_allclose(found.by_lag[:12], 1)
    low, high = found.interval
    assert low < 12 < high


@pytest.mark.parametrize("n", [60, 200, 1000])
def test_what_is_not_remembered_counts_zero_on_average(n):
    """Without the correction, each lag would add 1 / (n - 1) to the mean of many measurements."""
    rng, lags = np.random.default_rng(0), 50
    totals, errors = [], []
    for _ in range(300):
        y, y_hat = rng.uniform(-1, 1, (2, n, lags))
        found = TASKS["memory-capacity"].capacity(y_hat, y)
        totals.append(found.total)
        errors.append(found.error)
    deviation = np.std(totals)
    assert abs(np.mean(totals)) < 4 * deviation / np.sqrt(300)
    assert lags / (n - 1) > 10 * deviation / np.sqrt(300)  # so the test can see the correction
    assert 0.7 < np.sqrt(np.mean(np.square(errors))) / deviation < 1.5


def test_a_noisy_memory_has_the_squared_correlation():
    rng, n = np.random.default_rng(0), 100_000
    y = rng.uniform(-1, 1, (n, 3))
    noisy = y + rng.normal(0, np.sqrt(1 / 3), (n, 3)) * [0, 1, 2]
    found = TASKS["memory-capacity"].capacity(noisy, y)
    np.testing.assert_allclose(found.by_lag, [1, 1 / 2, 1 / 5], atol=0.01)


def test_capacity_refuses_too_few_sequences_and_other_shapes():
    capacity = TASKS["memory-capacity"].capacity
    with pytest.raises(InvalidArgument, match="y must be the labels of at least 60 sequences, got 59"):
        capacity(np.zeros((59, 2)), np.zeros((59, 2)))
    with pytest.raises(InvalidArgument, match=r"y_hat must be of shape \[B, lags\]"):
        capacity(np.zeros((60, 3)), np.zeros((60, 2)))
    with pytest.raises(InvalidArgument, match="y_hat must be finite, got NaN or infinity"):
        capacity(np.full((60, 2), np.nan), np.zeros((60, 2)))


def test_a_task_of_classes_makes_no_sense_of_nan():
    task = TASKS["order/pascanu-2"]
    _, y = task.sample(20, 50, np.random.default_rng(0))
    assert task.accuracy(np.where(y == 1, np.nan, y), y) == 0
    assert isinstance(task.make_loss(), SoftmaxCrossEntropy)
