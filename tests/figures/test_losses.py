from urllib.parse import unquote

import numpy as np
import pytest
from matplotlib.colors import same_color

from memspan.figures.losses import Curve, LossByLength, draw_losses, grid
from memspan.figures.style import BLUE, ORANGE

SOLVED = Curve((1, 2, 3), (0.3, 0.1, 0.01), "solved", 0)
UNSOLVED = Curve((2.5, 6.5, 9.5), (0.34, 0.33, 0.33), "unsolved", 1)
DIVERGED = Curve((2.5, 6.5, 9.5), (0.4, 1e12, np.inf), "diverged", 2)
RECORD = LossByLength("title", {5: (SOLVED, UNSOLVED), 10: (UNSOLVED,)}, {5: 1 / 3, 10: 1 / 3}, "a loss")


def curves(ax):
    """Lines with more than one point, but for the trivial risk."""
    return [line for line in ax.get_lines() if len(line.get_xdata()) > 1 and line.get_linestyle() == "-"]


def legend(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_rows_are_every_point():
    assert RECORD.rows()[:4] == [
        (5, 0, "solved", 1, 0.3),
        (5, 0, "solved", 2, 0.1),
        (5, 0, "solved", 3, 0.01),
        (5, 1, "unsolved", 2.5, 0.34),
    ]
    assert len(RECORD.rows()) == 9


@pytest.mark.parametrize(
    ("count", "shape"), [(1, (1, 1)), (3, (1, 3)), (4, (1, 4)), (5, (2, 4)), (12, (3, 4)), (13, (4, 4))]
)
def test_grid(count, shape):
    assert grid(count) == shape


def test_curves_are_drawn_in_the_colour_of_their_end():
    first, second = draw_losses(RECORD).axes
    unsolved, solved = curves(first)
    np.testing.assert_array_equal(solved.get_xydata(), np.transpose(SOLVED[:2]))
    np.testing.assert_array_equal(unsolved.get_xydata(), np.transpose(UNSOLVED[:2]))
    assert same_color(solved.get_color(), BLUE)
    assert same_color(unsolved.get_color(), ORANGE)
    assert (first.get_title(), second.get_title()) == ("T = 5: 1 of 2 solved", "T = 10: 0 of 1 solved")
    assert first.get_yscale() == "log"


def test_a_dot_says_where_a_solved_one_stopped():
    first, second = draw_losses(RECORD).axes
    (dot,) = (line for line in first.get_lines() if line.get_marker() == "o")
    assert dot.get_xydata().tolist() == [[3, 0.01]]
    assert not [line for line in second.get_lines() if line.get_marker() == "o"]


def test_the_trivial_risk_is_in_every_panel_and_in_the_legend():
    figure = draw_losses(RECORD)
    for ax in figure.axes:
        (line,) = (line for line in ax.get_lines() if line.get_linestyle() == "--")
        np.testing.assert_allclose(line.get_ydata(), 1 / 3)
    assert "trivial risk 0.333" in legend(figure)


def test_each_panel_has_the_trivial_risk_of_its_length_and_the_legend_their_range():
    panels, risks = dict.fromkeys((5, 10, 20), (UNSOLVED,)), {5: 0.25, 10: 0.5, 20: 0.125}
    figure = draw_losses(LossByLength("title", panels, risks, "a loss"))
    for ax, risk in zip(figure.axes, risks.values(), strict=False):
        (line,) = (line for line in ax.get_lines() if line.get_linestyle() == "--")
        np.testing.assert_array_equal(line.get_ydata(), risk)
    assert "trivial risk 0.125 to 0.500" in legend(figure)
    alike = LossByLength("title", panels, {5: 0.25, 10: 0.2501, 20: 0.2499}, "a loss")
    assert "trivial risk 0.250" in legend(draw_losses(alike))


def test_the_axis_says_which_loss_it_is():
    assert draw_losses(RECORD).get_supylabel() == "a loss"


@pytest.mark.parametrize("count", [1, 2, 5, 7, 12, 13])
def test_whatever_the_number_of_panels_no_word_is_cut_off_and_every_column_has_its_axis(count):
    title = "Training loss of every repetition\nrnn, 32 hidden, orthogonal start, adam 0.001, clip 1, batch 64"
    lengths = range(1, count + 1)
    panels, risks = dict.fromkeys(lengths, (SOLVED, DIVERGED)), {length: 1 / (2 + length) for length in lengths}
    figure = draw_losses(LossByLength(title, panels, risks, "cross-entropy (nats)"))
    figure.draw_without_rendering()
    page = figure.bbox
    for part in (figure.legends[0], figure._suptitle):
        box = part.get_window_extent()
        assert page.x0 <= box.x0 < box.x1 <= page.x1
    visible = [ax for ax in figure.axes if ax.get_visible()]
    assert len(visible) == count
    labelled = [ax for ax in visible if any(label.get_visible() for label in ax.get_xticklabels())]
    assert labelled == visible[-min(4, count) :]
    assert [ax.get_xlabel() for ax in labelled] == ["update"] * len(labelled)


def test_a_curve_that_is_empty_or_not_finite_is_drawn():
    empty, infinite = Curve((), (), "diverged", 0), Curve((1, 2), (0.3, np.inf), "unsolved", 1)
    figure = draw_losses(LossByLength("", {5: (empty, infinite)}, {5: 1 / 3}, "a loss"))
    figure.draw_without_rendering()
    assert figure.axes[0].get_title() == "T = 5: 0 of 2 solved, 1 diverged"


def test_a_cross_says_where_a_diverged_one_was_last_finite():
    figure = draw_losses(LossByLength("", {5: (DIVERGED, SOLVED), 10: (UNSOLVED,)}, dict.fromkeys((5, 10), 1), ""))
    first, second = figure.axes
    (cross,) = (line for line in first.get_lines() if line.get_marker() == "x")
    assert cross.get_xydata().tolist() == [[6.5, 1e12]]
    assert same_color(cross.get_color(), ORANGE)
    assert first.get_title() == "T = 5: 1 of 2 solved, 1 diverged"
    assert second.get_title() == "T = 10: 0 of 1 solved"
    assert "diverged (cross: last finite loss)" in legend(figure)
    assert not any("diverged" in text for text in legend(draw_losses(RECORD)))


def test_a_panel_without_a_single_number_says_why():
    at_once = Curve((0.5,), (np.nan,), "diverged", 0)
    figure = draw_losses(LossByLength("", {5: (at_once,), 10: (UNSOLVED,)}, dict.fromkeys((5, 10), 1), ""))
    assert [[text.get_text() for text in ax.texts] for ax in figure.axes] == [["loss never finite"], []]


def test_each_curve_is_named_after_its_trial():
    names = [unquote(line.get_gid()) for ax in draw_losses(RECORD).axes for line in curves(ax)]
    assert names == [
        "named:T = 5, repetition 1: unsolved",
        "named:T = 5, repetition 0: solved",
        "named:T = 10, repetition 1: unsolved",
    ]
