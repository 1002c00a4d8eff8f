import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex

from memspan import TASKS, InvalidArgument, get_task
from memspan.figures.style import BLUE, GREEN, ORANGE
from memspan.figures.tasks import TaskSamples, draw_task

every_task = pytest.mark.parametrize("task", TASKS.values(), ids=list(TASKS))


def drawn(ax, colour):
    """Where markers of a colour stand, over all lines."""
    points = [line.get_xydata() for line in ax.lines if to_hex(line.get_color()) == colour.lower()]
    return np.concatenate([part for part in points if len(part)] or [np.zeros((0, 2))])


@every_task
@pytest.mark.parametrize("samples", [1, 3])
def test_every_task_can_be_drawn_with_its_words_on_the_page(task, samples, tmp_path):
    record = TaskSamples.of(task, samples=samples)
    figure = draw_task(record)
    figure.savefig(tmp_path / "task.png")  # warnings are errors
    assert len(figure.axes) == 2 * samples
    assert task.name in figure.get_suptitle()
    box, renderer = figure.bbox, FigureCanvasAgg(figure).get_renderer()
    for text in [figure._suptitle, *figure.legends[0].get_texts(), *(ax.yaxis.label for ax in figure.axes)]:
        words = text.get_window_extent(renderer)
        assert words.x0 >= 0
        assert words.x1 <= box.x1
        assert words.y0 >= 0
        assert words.y1 <= box.y1


@every_task
def test_rows_hold_every_number(task):
    record = TaskSamples.of(task, samples=2)
    rows = record.rows()
    assert len(rows) == record.x.size + record.y.size
    inputs = {(b, t, k): value for b, t, _, kind, k, value in rows if kind == "input"}
    assert all(inputs[b + 1, t + 1, k + 1] == value for (t, b, k), value in np.ndenumerate(record.x))
    outputs = [row for row in rows if row[3] == "output"]
    assert {row[1] for row in outputs} == set(range(len(record.x) - len(record.y) + 1, len(record.x) + 1))


def test_the_first_number_is_orange_and_the_others_are_blue():
    record = TaskSamples.of(TASKS["recall"], 5, samples=1)
    above, below = draw_task(record).axes
    np.testing.assert_allclose(drawn(above, ORANGE), [[1, record.x[0, 0, 0]]])
    np.testing.assert_allclose(drawn(above, BLUE), [[t + 1, record.x[t, 0, 0]] for t in range(1, 5)])
    np.testing.assert_allclose(drawn(below, GREEN), [[5, record.y[0, 0, 0]]])


def test_a_sequence_that_ends_early_is_drawn_to_its_end():
    record = TaskSamples.of(TASKS["adding/hs97"], 40, samples=3)
    axes = draw_task(record).axes
    for b in range(3):
        end = record.end(b)
        assert 40 <= end <= 44
        assert (record.x[end:, b] == 0).all()
        assert (record.x[end - 1, b] != 0).any()
        assert max(drawn(axes[2 * b], BLUE)[:, 0]) == end
        np.testing.assert_array_equal(drawn(axes[2 * b + 1], GREEN)[:, 0], [end])


def test_symbols_are_squares_in_the_row_of_their_number():
    record = TaskSamples.of(get_task("copying/urnn", items=2, symbols=3), 3, samples=1)
    above, below = draw_task(record).axes
    (image,) = above.collections
    values = image.get_array().reshape(5, 7)
    np.testing.assert_array_equal(values > 0, record.x[:, 0].T == 1)
    np.testing.assert_array_equal(np.flatnonzero((values == 2).any(axis=0)), [0, 1])
    np.testing.assert_array_equal(below.collections[0].get_array().reshape(4, 7), record.y[:, 0].T)


def test_the_same_seed_draws_the_same_sequences():
    one, same, other = (TaskSamples.of(TASKS["parity"], seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.x, same.x)
    assert (one.x != other.x).any()


def test_lengths_and_numbers_are_checked():
    with pytest.raises(InvalidArgument, match="length must be at least 20 for adding/hs97, got 5"):
        TaskSamples.of(TASKS["adding/hs97"], 5)
    with pytest.raises(InvalidArgument, match="samples must be a whole number of at least 1, got 0"):
        TaskSamples.of(TASKS["recall"], samples=0)
