import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from matplotlib.colors import same_color
from matplotlib.container import ErrorbarContainer

from memspan.figures.accuracy import AccuracyByLength, draw_accuracy, mean_and_deviation
from memspan.figures.style import BLUE, GREY, ORANGE
from memspan.span import SolvedShare

RECORD = AccuracyByLength(
    "title",
    {5: (0.9, 1.0, 0.95), 10: (0.1, 1.0, 0.4), 20: (0.1, 0.1, 0.1)},
    {5: SolvedShare.of(3, 3), 10: SolvedShare.of(1, 3), 20: SolvedShare.of(0, 3)},
    threshold=0.9,
    chances={5: 0.1, 10: 0.1, 20: 0.1},
)


def bars(ax):
    """Points, and lower and upper ends, of the only error bars."""
    (container,) = (part for part in ax.containers if isinstance(part, ErrorbarContainer))
    points, _, (lines,) = container
    ends = np.array([segment[:, 1] for segment in lines.get_segments()])
    return points.get_xydata(), ends


def dots(ax):
    """The repetitions: every point drawn in the pale colour."""
    return np.concatenate([line.get_xydata() for line in ax.get_lines() if line.get_alpha() == 0.3])


def test_mean_and_deviation():
    assert mean_and_deviation((1.0, 2.0, 3.0)) == (2, 1)
    mean, deviation = mean_and_deviation((0.5,))
    assert mean == 0.5
    assert math.isnan(deviation)
    assert np.isnan(mean_and_deviation(())).all()


def test_rows_are_what_is_drawn():
    rows = RECORD.rows()
    assert [row[0] for row in rows] == [5, 10, 20]
    share = RECORD.shares[10]
    expected = (10, 3, 0.5, np.std([0.1, 1.0, 0.4], ddof=1), 1, share.low, share.high, *share.exact)
    assert rows[1] == pytest.approx(expected)
    assert len(rows[0]) == len(RECORD.columns)


def test_accuracies_are_drawn_with_every_repetition():
    upper, _ = draw_accuracy(RECORD).axes
    points, ends = bars(upper)
    np.testing.assert_allclose(points, [[5, 0.95], [10, 0.5], [20, 0.1]])
    np.testing.assert_allclose(ends[0], [0.9, 1.0])
    deviation = np.std([0.1, 1.0, 0.4], ddof=1)
    np.testing.assert_allclose(ends[1], [0.5 - deviation, 0.5 + deviation])
    drawn = dots(upper)
    np.testing.assert_allclose(drawn[:, 1], [0.9, 1.0, 0.95, 0.1, 1.0, 0.4, 0.1, 0.1, 0.1])
    np.testing.assert_allclose(drawn[:, 0], np.repeat([5, 10, 20], 3), atol=0.02 * 15)
    assert upper.figure.get_suptitle() == "title"


def test_no_bar_leaves_the_possible():
    record = AccuracyByLength("", {5: (0.0, 1.0, 1.0)}, {5: SolvedShare.of(2, 3)}, 0.9, {5: 0.1})
    _, ends = bars(draw_accuracy(record).axes[0])
    assert np.std([0, 1, 1], ddof=1) > 1 / 3
    np.testing.assert_allclose(ends[0], [2 / 3 - np.std([0, 1, 1], ddof=1), 1])


def test_shares_are_drawn_with_their_intervals():
    _, lower = draw_accuracy(RECORD).axes
    points, ends = bars(lower)
    np.testing.assert_allclose(points, [[5, 1], [10, 1 / 3], [20, 0]], atol=1e-12)
    shares = RECORD.shares.values()
    np.testing.assert_allclose(ends, [(share.low, share.high) for share in shares], atol=1e-12)


def test_threshold_chance_and_half_are_lines_with_names():
    upper, lower = draw_accuracy(RECORD).axes
    levels = {line.get_label(): line.get_ydata()[0] for line in (*upper.get_lines(), *lower.get_lines())}
    assert levels["solved: 0.9"] == 0.9
    assert levels["chance: 0.1"] == 0.1
    assert levels["half of the repetitions"] == 0.5
    words = [text.get_text() for ax in (upper, lower) for text in ax.get_legend().get_texts()]
    assert {"one repetition", "solved: 0.9", "chance: 0.1", "95 % Wilson interval"} <= set(words)
    colours = [next(part for part in ax.containers)[0].get_color() for ax in (upper, lower)]
    assert same_color(colours[0], BLUE)
    assert same_color(colours[1], ORANGE)


def test_a_chance_that_depends_on_the_length_is_a_line_from_length_to_length():
    upper, _ = draw_accuracy(replace(RECORD, chances={5: 0.25, 10: 0.125, 20: 0.0123456})).axes
    (line,) = (line for line in upper.get_lines() if line.get_label().startswith("chance"))
    np.testing.assert_array_equal(line.get_xydata(), [[5, 0.25], [10, 0.125], [20, 0.0123456]])
    assert line.get_label() == "chance: 0.0123 to 0.25"
    assert line.get_linestyle() == "--"
    assert same_color(line.get_color(), GREY)
    assert line.get_label() in [text.get_text() for text in upper.get_legend().get_texts()]


def test_one_repetition_has_no_deviation_and_is_drawn():
    record = AccuracyByLength("", {10: (0.3,)}, {10: SolvedShare.of(0, 1)}, 0.9, {10: 0.1})
    upper, lower = draw_accuracy(record).axes
    (mean,) = (part for part in upper.containers if isinstance(part, ErrorbarContainer))
    np.testing.assert_allclose(mean[0].get_xydata(), [[10, 0.3]])
    np.testing.assert_allclose(dots(upper), [[10, 0.3]])
    low, high = lower.get_xlim()
    assert low < 10 < high
    assert math.isnan(record.rows()[0][3])


@pytest.mark.parametrize("lengths", [(2, 5, 8, 10, 12, 15, 20, 25, 30, 40, 60, 100), tuple(range(1, 31)), (7,)])
def test_labels_of_lengths_do_not_touch(lengths):
    accuracies = dict.fromkeys(lengths, (0.5, 0.6))
    shares = dict.fromkeys(lengths, SolvedShare.of(1, 2))
    figure = draw_accuracy(AccuracyByLength("", accuracies, shares, 0.9, dict.fromkeys(lengths, 0.1)))
    figure.draw_without_rendering()
    lower = figure.axes[1]
    boxes = [label.get_window_extent() for label in lower.get_xticklabels()]
    words = [label.get_text() for label in lower.get_xticklabels()]
    assert str(lengths[-1]) in words
    assert set(words) <= set(map(str, lengths))
    boxes.sort(key=lambda box: box.x0)
    assert all(left.x1 < right.x0 for left, right in pairwise(boxes))
    assert len(lower.get_xticks()) + len(lower.get_xticks(minor=True)) >= len(lengths)
