import pytest
from matplotlib.collections import LineCollection
from matplotlib.colors import same_color

from memspan.figures.bench import Bar, PassTimes, draw_pass_times
from memspan.figures.style import BLUE, ORANGE

SHORT, LONG = "50, 64, 32", "1000, 20, 32"
RECORD = PassTimes(
    "title",
    (
        Bar(1, "rnn", SHORT, "compiled", 0.4, 0.5, 0.7),
        Bar(1, "rnn", SHORT, "torch", 3.0, 4.0, 6.0),
        Bar(1, "rnn", SHORT, "roofline", 0.2, 0.3, 0.4),
        Bar(1, "rnn", LONG, "compiled", 2.0, 3.0, 4.0),
        Bar(1, "rnn", LONG, "roofline", 1.0, 1.5, 2.0),
        Bar(1, "lstm", SHORT, "torch", 5.0, 5.5, 6.0),
        Bar(2, "rnn", SHORT, "compiled", 0.2, 0.25, 0.3),
    ),
)


def test_rows_are_the_bars():
    assert RECORD.rows()[1] == (1, "rnn", SHORT, "torch", 3.0, 4.0, 6.0)
    assert len(RECORD.rows()) == 7
    assert len(RECORD.columns) == len(RECORD.rows()[0])


def test_a_row_of_panels_for_each_number_of_cores_and_a_panel_for_each_cell():
    figure = draw_pass_times(RECORD)
    assert [ax.get_title() for ax in figure.axes] == [
        "rnn, one core",
        "lstm, one core",
        "rnn, 2 cores",
        "lstm, 2 cores",
    ]
    assert [len(ax.patches) for ax in figure.axes] == [3, 1, 1, 0]


def test_bars_are_as_high_as_the_medians_in_the_colour_of_their_engine():
    ax = draw_pass_times(RECORD).axes[0]
    assert [bar.get_height() for bar in ax.patches] == [0.5, 4.0, 3.0]
    assert [round(bar.get_x() + bar.get_width() / 2) for bar in ax.patches] == [0, 0, 1]
    for bar, colour in zip(ax.patches, (BLUE, ORANGE, BLUE), strict=True):
        assert same_color(bar.get_facecolor(), colour)
    assert [label.get_text() for label in ax.get_xticklabels()] == [SHORT, LONG]
    assert ax.get_yscale() == "log"


def test_whiskers_reach_from_quartile_to_quartile_and_the_roofline_is_a_line_across_its_group():
    ax = draw_pass_times(RECORD).axes[0]
    segments = [
        part for lines in ax.collections if isinstance(lines, LineCollection) for part in lines.get_segments()
    ]
    whiskers = [sorted(part[:, 1].tolist()) for part in segments if part[0, 0] == part[1, 0]]
    for ends, expected in zip(sorted(whiskers), [[0.4, 0.7], [2, 4], [3, 6]], strict=True):
        assert ends == pytest.approx(expected)
    rooflines = [part.ravel().tolist() for part in segments if part[0, 0] != part[1, 0]]
    assert rooflines == [pytest.approx([-0.4, 0.3, 0.4, 0.3]), pytest.approx([0.6, 1.5, 1.4, 1.5])]


def test_the_legend_names_every_engine_once():
    (legend,) = draw_pass_times(RECORD).legends
    assert sorted(text.get_text() for text in legend.get_texts()) == ["compiled", "roofline", "torch"]
