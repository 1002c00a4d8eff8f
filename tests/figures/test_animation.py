from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

from memspan.figures.animation import (
    HELD,
    MOST_FRAMES,
    PER_SECOND,
    GradientInTraining,
    draw_animation,
    save_animation,
)

T, ROWS = 6, 4
NORMS = 10.0 ** (np.arange(T) - T + 1 + np.arange(ROWS)[:, np.newaxis] / 2)
RECORD = GradientInTraining(
    "The gradient on its way back during training: T = 6, repetition 0, unsolved\nrecall: rnn",
    NORMS,
    NORMS / 3,
    2 * NORMS,
    5,
    np.array([1.0, 0, 0, 0, 0, 0]),
    np.array([3.0, 8.0, 13.0, 18.0]),
    np.array([0.4, 0.3, 0.2, 0.1]),
    1 / 3,
    "mean squared error",
)


def shown(record, row):
    figure, show = draw_animation(record)
    show(row)
    figure.draw_without_rendering()
    return figure


def words(ax):
    return [text.get_text().rstrip() for text in ax.get_legend().get_texts()]


def test_rows_are_the_numbers_of_every_picture():
    rows = RECORD.rows()
    assert len(rows) == ROWS * T
    assert rows[0] == (1, 1, NORMS[0, 0], NORMS[0, 0] / 3, 2 * NORMS[0, 0], 0.4)
    assert rows[-1][:3] == (16, 6, NORMS[3, 5])
    assert rows[-1][-1] == pytest.approx(np.interp(16, [13, 18], [0.2, 0.1]))
    assert replace(RECORD, low=None, high=None).rows()[0][3:5] == ("", "")


def test_of_many_updates_some_are_shown_with_the_first_and_the_last():
    many = replace(RECORD, norms=np.ones((150, T)))
    assert len(many.frames) == MOST_FRAMES
    assert (many.frames[0], many.frames[-1]) == (0, 149)
    assert len({*np.diff(many.frames)}) <= 2, "evenly"
    assert replace(RECORD, norms=NORMS[:1]).frames == [0]


@pytest.mark.parametrize("row", [0, 2, 3])
def test_a_picture_shows_its_update_the_band_and_the_loss_reached(row):
    flow, loss = shown(RECORD, row).axes
    first, line, *_ = flow.get_lines()
    np.testing.assert_array_equal(first.get_ydata(), NORMS[0])
    np.testing.assert_array_equal(line.get_ydata(), NORMS[row])
    assert words(flow) == ["first update", f"update {1 + 5 * row}", "10 to 90 % of the samples"]
    heights = flow.collections[-1].get_paths()[0].vertices[:, 1]
    assert (heights.min(), heights.max()) == pytest.approx((NORMS[row].min() / 3, 2 * NORMS[row].max()))
    *_, now, dot = loss.get_lines()
    assert list(now.get_xdata()) == [1 + 5 * row] * 2
    np.testing.assert_allclose(dot.get_xydata(), [[1 + 5 * row, RECORD.loss_at(row)]])
    assert words(loss) == ["training loss", "trivial risk 0.333"]


def test_the_axes_stay_while_the_picture_changes():
    before, after = (shown(RECORD, row) for row in (0, 3))
    for one, other in zip(before.axes, after.axes, strict=True):
        assert (one.get_xlim(), one.get_ylim()) == (other.get_xlim(), other.get_ylim())
        assert one.get_legend().get_window_extent().bounds == other.get_legend().get_window_extent().bounds


def test_zeros_and_what_is_not_finite_are_marked_at_the_edges():
    norms = NORMS.copy()
    norms[1, :2], norms[2, 0] = 0, np.nan
    odd = replace(RECORD, norms=norms, low=None, high=None)
    for row, zeros, wrong in ((0, [], []), (1, [1, 2], []), (2, [], [1])):
        flow, _ = shown(odd, row).axes
        assert words(flow) == ["first update", f"update {1 + 5 * row}", "exactly 0", "not finite"]
        *_, below, above = flow.get_lines()
        assert (list(below.get_xdata()), list(above.get_xdata())) == (zeros, wrong)


@pytest.mark.parametrize("norms", [np.zeros((2, T)), np.full((2, T), np.nan)], ids=["zeros", "nan"])
def test_a_gradient_without_any_positive_norm_is_drawn(norms, tmp_path):
    written = save_animation(replace(RECORD, norms=norms, low=norms, high=norms), tmp_path, "odd")
    assert all(path.stat().st_size for path in written)


def test_the_answer_is_marked_below_its_step():
    flow, _ = shown(RECORD, 0).axes
    (strip,) = flow.patches
    assert (strip.get_x(), strip.get_width()) == (0.5, 1)


def test_words_cover_nothing_and_stay_on_the_page():
    figure = shown(RECORD, 3)
    parts = [figure._suptitle]
    for ax in figure.axes:
        parts += [ax, ax.get_legend(), ax.xaxis.label, ax.yaxis.label]
    boxes = [part.get_window_extent() for part in parts]
    assert not any(one.padded(-1).overlaps(other.padded(-1)) for one, other in combinations(boxes, 2))
    assert all(figure.bbox.x0 <= box.x0 < box.x1 <= figure.bbox.x1 for box in boxes)


def test_the_animation_its_pictures_and_its_numbers_are_saved_the_same_every_time(tmp_path):
    from PIL import Image

    for name in ("once", "again"):
        (tmp_path / name).mkdir()
        written = save_animation(RECORD, tmp_path / name, "gradient")
        assert [path.relative_to(tmp_path / name).as_posix() for path in written] == [
            *("gradient.gif", "gradient.csv"),
            *(f"gradient-frames/{k:03d}.svg" for k in range(1, ROWS + 1)),
        ]
    for path in written:
        assert path.read_bytes() == (tmp_path / "once" / path.relative_to(tmp_path / "again")).read_bytes()
    assert "<dc:date>" not in written[-1].read_text(encoding="utf-8")
    with Image.open(written[0]) as film:
        assert film.n_frames == ROWS
        durations = []
        for frame in range(ROWS):
            film.seek(frame)
            durations.append(film.info["duration"])
    assert durations[0] == pytest.approx(1000 / PER_SECOND, abs=10)
    assert durations[-1] == pytest.approx(1000 / PER_SECOND * (HELD + 1), abs=10)
