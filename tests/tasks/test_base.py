import pickle
from itertools import islice

import numpy as np
import pytest

from memspan import Adding1997, Batches, InvalidArgument, MSELoss, Recall, generate_samples, get_task
from memspan.tasks import Counted


def test_batches_are_the_tasks_samples_in_order():
    rng = np.random.default_rng(4)
    for x, y in islice(Batches(Recall(), length=5, batch=3, rng=np.random.default_rng(4)), 4):
        expected = Recall().sample(5, 3, rng)
        np.testing.assert_array_equal(x, expected.x)
        np.testing.assert_array_equal(y, expected.y)


def test_batches_are_those_of_the_generator():
    pairs = zip(Batches(Recall(), 5, 3, rng=4), generate_samples(3, 5, rng=4), strict=False)
    for mine, theirs in islice(pairs, 3):
        np.testing.assert_array_equal(mine.x, theirs.x)


def test_batches_never_end_and_never_repeat():
    batches = Batches(Recall(), length=1, batch=1, rng=0)
    assert iter(batches) is batches
    assert len({batch.x.item() for batch in islice(batches, 1000)}) == 1000


def test_a_saved_stream_continues_where_it_was():
    batches = Batches(Recall(), length=2, batch=2, rng=0)
    next(batches)
    saved = pickle.loads(pickle.dumps(batches))
    for x, y in islice(batches, 3):
        continued = next(saved)
        np.testing.assert_array_equal(continued.x, x)
        np.testing.assert_array_equal(continued.y, y)


def test_a_stream_can_be_put_back_to_where_it_was():
    batches = Batches(Recall(), length=2, batch=2, rng=0)
    next(batches)
    position = batches.position
    drawn = [next(batches).x for _ in range(3)]
    batches.position = position
    np.testing.assert_array_equal([next(batches).x for _ in range(3)], drawn)


def test_a_fork_is_another_stream_and_disturbs_nothing():
    alone, forked = (Batches(Recall(), length=4, batch=3, rng=0) for _ in range(2))
    first, second = forked.fork(), forked.fork()
    streams = [next(stream).x for stream in (first, second, forked)]
    np.testing.assert_array_equal(streams[-1], next(alone).x)
    assert len(np.unique(streams)) == 3 * 4 * 3
    assert (first.length, first.batch, first.task) == (4, 3, Recall())


def test_counted_skips_to_a_place_it_has_seen_and_to_no_other():
    counted = Counted(generate_samples(2, 3, rng=0))
    for _ in range(3):
        next(counted)
    digest, following = counted.digest(), next(counted).x
    again = Counted(generate_samples(2, 3, rng=0))
    again.skip_to(3, digest)
    assert again.drawn == 3
    np.testing.assert_array_equal(next(again).x, following)
    with pytest.raises(InvalidArgument, match="batches must be the stream that was saved, from its first batch"):
        Counted(generate_samples(2, 3, rng=1)).skip_to(3, digest)
    with pytest.raises(InvalidArgument, match="another stream at batch 4"):
        again.skip_to(3, digest)


def test_single_precision_is_double_precision_rounded():
    double = Batches(Recall(), 5, 4, rng=1)
    single = Batches(Recall(), 5, 4, rng=1, dtype=np.float32)
    for fine, coarse in islice(zip(double, single, strict=True), 3):
        assert (fine.x.dtype, coarse.x.dtype, coarse.y.dtype) == (np.float64, np.float32, np.float32)
        np.testing.assert_array_equal(coarse.x, fine.x.astype(np.float32))
        np.testing.assert_array_equal(coarse.y, fine.y.astype(np.float32))


@pytest.mark.parametrize("value", [0, -1, 1.5, True, "3"])
@pytest.mark.parametrize("name", ["length", "batch"])
def test_sizes_are_checked_when_made(name, value):
    with pytest.raises(InvalidArgument) as caught:
        Batches(Recall(), rng=0, **{"length": 2, "batch": 2, name: value})
    assert str(caught.value) == f"{name} must be a whole number of at least 1, got {value!r}"


def test_a_length_that_the_task_does_not_have_is_refused_when_made():
    with pytest.raises(InvalidArgument, match=r"^length must be at least 20 for adding/hs97, got 19$"):
        Batches(Adding1997(), 19, 2, rng=0)


@pytest.mark.parametrize("dtype", [int, np.complex128, "banana"])
def test_dtype_is_checked_when_made(dtype):
    with pytest.raises(InvalidArgument, match="dtype must be one of float32, float64, got "):
        Batches(Recall(), 2, 2, rng=0, dtype=dtype)


def test_a_fork_is_the_first_child_of_its_generator():
    forked = next(Batches(Recall(), 3, 4, rng=np.random.default_rng(5)).fork())
    child = next(Batches(Recall(), 3, 4, rng=np.random.default_rng(5).spawn(1)[0]))
    np.testing.assert_array_equal(forked.x, child.x)


@pytest.mark.parametrize("rng", ["a", -1, 1.5])
def test_a_bad_source_of_randomness_is_named(rng):
    with pytest.raises(InvalidArgument, match="rng must be a Generator, a SeedSequence or a whole number"):
        Batches(Recall(), 3, 4, rng=rng)
    with pytest.raises(InvalidArgument, match="rng must be"):
        generate_samples(4, 3, rng=rng)


# --- labels that are partly missing ---------------------------------------------------------------------

SEVERAL_OUTPUTS = [
    get_task("memory-capacity"),
    get_task("order/hs97-2"),
    get_task("order/pascanu-2"),
    get_task("copying/urnn", items=3),
    get_task("selective-copying", items=3, symbols=4),
]


def holes_in(y, rng):
    """Replace labels by NaN at random: a few rows lose none, a few lose all, and most lose some."""
    y = y.copy()
    y[rng.random(y.shape) < rng.random((*y.shape[:-1], 1)) * 1.4] = np.nan
    return y


@pytest.mark.parametrize("task", SEVERAL_OUTPUTS, ids=lambda task: task.name)
def test_a_perfect_answer_to_partly_masked_rows_is_perfect(task):
    rng = np.random.default_rng(0)
    y = task.sample(20, 50, rng=0).y
    partly = holes_in(y, rng)
    assert task.accuracy(np.nan_to_num(y), partly) == 1
    assert task.accuracy(np.where(np.isnan(partly), -1e3, y), partly) == 1  # answers without a label are ignored
    assert MSELoss(masked=True).forward(np.nan_to_num(y), partly) == 0
    assert task.accuracy(np.full_like(y, np.nan), partly) == 0
    assert not task.mask(np.full_like(y, np.nan)).any()


def test_of_numbers_that_count_each_counts_once():
    """There are three labels, so the row with two of them is two thirds of the accuracy."""
    task = get_task("memory-capacity")
    y = np.full((3, 4), np.nan)
    y[0, :2], y[1, 3] = 0.5, -0.5
    assert task.accuracy(np.where(y > 0, y, 0), y) == pytest.approx(2 / 3)
    assert task.accuracy(np.where(y < 0, y, 0), y) == pytest.approx(1 / 3)
    np.testing.assert_array_equal(task.correct(np.where(y > 0, y, 0), y)[:2], [1, 0])


def test_a_wrong_number_among_missing_ones_is_wrong():
    y = np.array([[np.nan, 0.0, 1.0], [1.0, np.nan, np.nan]])
    for task in (get_task("order/hs97-2"), get_task("order/pascanu-2")):
        np.testing.assert_array_equal(task.correct(np.array([[9, 1, 0], [1, 9, 9.0]]), y), [False, True])
        np.testing.assert_array_equal(task.correct(np.array([[9, 0, 1], [np.nan, 9, 9]]), y), [True, False])
    yes = get_task("parity")
    np.testing.assert_array_equal(yes.correct(np.array([[9, -1, 1], [-1, 9, 9.0]]), y), [True, False])


def test_where_nothing_counts_there_is_no_accuracy():
    with pytest.raises(
        InvalidArgument,
        match=r"^y must be an array with at least one label that counts, got none in",
    ):
        Recall().accuracy(np.zeros((4, 1)), np.full((4, 1), np.nan))


def test_masked_arrays_are_refused_as_numpy_would_drop_their_masks():
    hidden = np.ma.array(np.zeros((4, 1)), mask=True)
    for y_hat, y, name in ((hidden, np.zeros((4, 1)), "y_hat"), (np.zeros((4, 1)), hidden, "y")):
        with pytest.raises(InvalidArgument, match=f"^{name} must be an array without a mask"):
            Recall().accuracy(y_hat, y)
    for pair, name in (((np.ma.ones((3, 4, 1)), np.ones((4, 1))), "x"), ((np.ones((3, 4, 1)), hidden), "y")):
        with pytest.raises(InvalidArgument, match=f"^{name} must be an array without a mask"):
            next(Counted(iter([pair])))
