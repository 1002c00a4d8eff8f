import numpy as np
import pytest
from matplotlib.colors import same_color

from memspan import InvalidArgument, estimate_span
from memspan.figures.configurations import COLOURS
from memspan.figures.needed import NeededByLength, NeededUpdates, demand_few, draw_needed

INF = np.inf
ESTIMATE = estimate_span([4, 8, 16], [8, 4, 0], 8)


def line(label, factor=1.0, given=300, estimate=ESTIMATE):
    quartiles = [30, 90, 900], [40, 200, INF], [60, 400, INF]
    low, median, high = ([factor * n for n in values] for values in quartiles)
    return NeededByLength(label, [4, 8, 16], low, median, high, given, estimate)


def words(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_rows_are_the_quartiles_by_length():
    record = NeededUpdates("", [line("rnn"), line("lstm", 2)])
    assert record.columns == ("configuration", "length", "low", "median", "high", "given")
    rows = record.rows()
    assert rows[0] == ("rnn", 4, 30, 40, 60, 300)
    assert rows[2] == ("rnn", 16, 900, INF, INF, 300)
    assert rows[4] == ("lstm", 8, 180, 400, 800, 300)
    assert len(rows) == 6


def test_medians_are_joined_and_those_that_are_too_large_are_triangles():
    (ax,) = draw_needed(NeededUpdates("title", [line("rnn")])).axes
    medians, triangle, *_ = ax.get_lines()
    np.testing.assert_array_equal(medians.get_xydata(), [[4, 40], [8, 200]])
    ((x, y),) = triangle.get_xydata()
    assert (x, triangle.get_marker()) == (16, "^")
    assert 200 < y < ax.get_ylim()[1]
    assert same_color(triangle.get_color(), medians.get_color())
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")


def test_the_diamond_is_at_the_predicted_length_with_its_interval():
    (ax,) = draw_needed(NeededUpdates("", [line("rnn")])).axes
    (diamond,) = [one for one in ax.get_lines() if one.get_marker() == "D"]
    np.testing.assert_allclose(diamond.get_xydata(), [[ESTIMATE.span, 300]])
    _, _, (interval,) = ax.containers[0]
    np.testing.assert_allclose(interval.get_segments()[0], [[ESTIMATE.low, 300], [ESTIMATE.high, 300]])


@pytest.mark.parametrize(("left", "diamonds"), [([8, 8, 8], 0), ([0, 0, 0], 0), ([8, 8, 3], 1)])
def test_open_ends_are_drawn_without_an_interval_there(left, diamonds):
    open_end = estimate_span([4, 8, 16], left, 8)
    assert None in (open_end.low, open_end.high)
    figure = draw_needed(NeededUpdates("", [line("rnn", estimate=open_end)]))
    figure.canvas.draw()
    assert sum(one.get_marker() == "D" for one in figure.axes[0].get_lines()) == diamonds
    assert any("leave in time" in text for text in words(figure.axes[0])) == bool(diamonds)


def test_the_legend_says_what_each_mark_means_and_no_more():
    (ax,) = draw_needed(NeededUpdates("", [line("rnn"), line("lstm")])).axes
    assert words(ax) == [
        *("rnn", "lstm", "quartiles"),
        *("half of the networks\nleave in time (95 %)", "median too large\nto be known"),
    ]
    known = NeededByLength("rnn", [4, 8], [1, 2], [2, 3], [3, 4], 300, ESTIMATE)
    (ax,) = draw_needed(NeededUpdates("", [known])).axes
    assert words(ax) == ["rnn", "quartiles", "half of the networks\nleave in time (95 %)"]


def test_a_jump_by_noise_is_dotted_has_no_length_and_stands_in_the_legend():
    jump = NeededByLength("adam", [4, 8], [10, 9], [20, 18], [40, 36], 300, None, by_noise=True)
    (ax,) = draw_needed(NeededUpdates("", [line("momentum"), jump])).axes
    styles = {one.get_label(): one.get_linestyle() for one in ax.get_lines()}
    assert (styles["adam"], styles["momentum"]) == (":", "-")
    assert "noise throws R,\nwith no label" in words(ax)
    assert ax.get_ylabel() == "updates to the end of the plateau (log scale)"
    assert sum(one.get_marker() == "D" for one in ax.get_lines()) == 1
    (ax,) = draw_needed(NeededUpdates("", [jump])).axes
    assert ax.get_ylabel() == "updates until noise throws R (log scale)"
    assert words(ax) == ["adam", "quartiles", "noise throws R,\nwith no label"]
    (ax,) = draw_needed(NeededUpdates("", [line("momentum")])).axes
    assert ax.get_ylabel() == "updates needed (log scale)"


def test_eight_configurations_with_two_numbers_of_updates():
    record = NeededUpdates("", [line(f"seed {k}", 1 + k, given=300 * (1 + k % 2)) for k in range(8)])
    figure = draw_needed(record)
    figure.canvas.draw()
    (ax,) = figure.axes
    assert [text.get_text() for text in ax.texts] == ["300 updates given", "600 updates given"]
    colours = [one.get_color() for one in ax.get_lines() if one.get_label().startswith("seed")]
    assert colours == list(COLOURS)


def test_the_ticks_are_plain_numbers():
    figure = draw_needed(NeededUpdates("", [line("rnn", 10)]))
    figure.canvas.draw()
    low, high = figure.axes[0].get_ylim()
    ticks = [text.get_text() for text in figure.axes[0].get_yticklabels() if low <= text.get_position()[1] <= high]
    assert "1,000" in ticks
    assert len(ticks) >= 3


def test_the_words_on_the_line_and_the_legend_cover_nothing():
    title = "a long title that fills the whole width of the figure, " * 2
    figure = draw_needed(NeededUpdates(title, [line("rnn")]))
    figure.canvas.draw()
    (ax,) = figure.axes
    legend, title = ax.get_legend().get_window_extent(), figure._suptitle.get_window_extent()
    assert not legend.overlaps(title)
    assert legend.x0 >= ax.get_window_extent().x1
    text = ax.texts[0].get_window_extent()
    points = ax.transData.transform([[x, y] for one in ax.get_lines() for x, y in one.get_xydata() if x > 1])
    assert not any(text.contains(*point) for point in points)


def test_too_many_configurations_are_refused():
    demand_few(len(COLOURS))
    with pytest.raises(InvalidArgument, match="configurations must be at most 8 in one figure, got 9"):
        demand_few(9)
