from itertools import pairwise

import numpy as np
import pytest

from memspan import estimate_span
from memspan.figures.atlas import Atlas, draw_atlas
from memspan.figures.forest import Forest, NamedSpan, SpanByQuantity, by_span, draw_forest, draw_sweep
from memspan.span.likelihood import Likelihood
from memspan.span.slope import fit_slope

SHORT = NamedSpan("short", 8, 100, estimate_span([5, 10, 20], [8, 4, 0], 8))
LONG = NamedSpan("long", 8, 101, estimate_span([10, 20, 40], [8, 4, 0], 8))
AT_LEAST = NamedSpan("at least", 8, 102, estimate_span([10, 20, 80], [8, 8, 8], 8))
BELOW = NamedSpan("below", 8, 103, estimate_span([4, 8], [0, 0], 8))
ALL = [SHORT, AT_LEAST, BELOW, LONG]


def lines(ax):
    return [line for line in ax.get_lines() if len(line.get_xdata()) == 2]


def test_the_longest_span_is_at_the_top():
    assert [span.label for span in by_span(ALL)] == ["at least", "long", "short", "below"]
    figure = draw_forest(Forest("title", ALL))
    ax = figure.axes[0]
    assert [text.get_text() for text in ax.get_yticklabels()] == [
        "at least\n102 weights, 24 trainings",
        "long\n101 weights, 24 trainings",
        "short\n100 weights, 24 trainings",
        "below\n103 weights, 16 trainings",
    ]
    assert ax.get_ylim()[0] > ax.get_ylim()[1]
    drawn = lines(ax)[1]
    np.testing.assert_allclose(drawn.get_xdata(), [LONG.estimate.low, LONG.estimate.high])
    assert Forest("", ALL).rows()[1][:4] == ("long", 8, 101, LONG.estimate.span)


def test_an_open_end_has_an_arrow_and_no_dot():
    ax = draw_forest(Forest("title", ALL)).axes[0]
    markers = {(line.get_marker(), line.get_ydata()[0]) for line in ax.get_lines() if line.get_marker() != "None"}
    assert markers == {(">", 0), ("o", 1), ("o", 2), ("<", 3)}
    assert ax.get_xscale() == "log"
    assert all(ax.get_xlim()[0] <= x <= ax.get_xlim()[1] for line in lines(ax) for x in line.get_xdata())


def sweep(slope=True):
    quantity = (8, 16, 32)
    counts = [([k, 2 * k, 4 * k], [8, 4, 0], 8) for k in (5, 8, 12)]
    spans = [NamedSpan(str(q), q, q, estimate_span(*one)) for q, one in zip(quantity, counts, strict=True)]
    fitted = fit_slope(quantity, [Likelihood.of(*one) for one in counts]) if slope else None
    return SpanByQuantity("title", "hidden", quantity, spans, fitted)


@pytest.mark.parametrize("slope", [True, False])
def test_a_sweep_is_drawn_on_logarithmic_axes(slope):
    record = sweep(slope)
    ax = draw_sweep(record).axes[0]
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    assert [text.get_text() for text in ax.get_xticklabels()] == ["8", "16", "32"]
    texts = [text.get_text() for text in ax.get_legend().get_texts()]
    assert ("fitted power law" in texts) == slope
    assert record.columns[0] == "hidden"
    assert [row[0] for row in record.rows()] == [8, 16, 32]
    assert all(len(row) == len(record.columns) for row in record.rows())


def atlas():
    spans = {
        ("rnn", "recall"): SHORT,
        ("gru", "recall"): AT_LEAST,
        ("rnn", "adding"): BELOW,
        ("gru", "adding"): LONG,
    }
    names = ("span", "low", "high", "short", "fits", "trainings")
    rows = {
        key: {name: getattr(span.estimate, name) for name in names} | {"parameters": span.parameters}
        for key, span in spans.items()
    }
    return Atlas("title", ["rnn", "gru"], {"recall": "Correct: near", "adding": "Correct: far"}, rows)


def test_the_atlas_has_a_number_in_every_field_and_the_best_cell_first():
    record = atlas()
    ax = draw_atlas(record).axes[0]
    assert [text.get_text() for text in ax.get_yticklabels()] == ["gru", "rnn"]
    assert [text.get_text() for text in ax.get_xticklabels()] == ["recall\nCorrect: near", "adding\nCorrect: far"]
    shown: dict[tuple[float, float], list[str]] = {}
    for text in ax.texts:
        column, row = text.get_position()
        shown.setdefault((column, round(row)), []).append(text.get_text())
    assert shown[0, 0] == ["at least 80"]
    assert shown[1, 1] == ["below 4"]
    for place, span in (((0, 1), SHORT), ((1, 0), LONG)):
        assert shown[place] == [
            f"{span.estimate.span:.3g}",
            f"[{span.estimate.low:.3g}, {span.estimate.high:.3g}]",
        ]
    assert record.rows()[0] == (
        "rnn",
        "recall",
        SHORT.estimate.span,
        SHORT.estimate.low,
        SHORT.estimate.high,
        True,
        100,
        24,
    )
    assert len(record.rows()) == 4


def test_an_upright_interval_is_the_horizontal_one_turned():
    record = SpanByQuantity("title", "hidden", (8, 16, 32, 64), ALL, None)
    drawn = [line for line in draw_sweep(record).axes[0].get_lines() if len(line.get_xdata())]
    markers = {(line.get_marker(), line.get_xdata()[0]) for line in drawn if line.get_marker() != "None"}
    assert markers == {("o", 8), ("^", 16), ("v", 32), ("o", 64)}
    first = next(line for line in drawn if len(line.get_ydata()) == 2)
    np.testing.assert_allclose(first.get_ydata(), [SHORT.estimate.low, SHORT.estimate.high])


def test_where_no_smooth_curve_fits_the_dot_is_hollow_and_the_axis_says_so():
    plateau = NamedSpan(
        "plateau", 8, 9, estimate_span([5, 10, 20, 40, 80, 160], [40, 40, 20, 20, 20, 0], [40] * 6)
    )
    assert not plateau.estimate.fits
    ax = draw_forest(Forest("title", [SHORT, plateau])).axes[0]
    hollow = [line.get_ydata()[0] for line in ax.get_lines() if line.get_markerfacecolor() == "white"]
    assert hollow == [by_span([SHORT, plateau]).index(plateau)]
    assert "hollow: no smooth curve fits" in ax.get_xlabel()
    assert "hollow" not in draw_forest(Forest("title", ALL)).axes[0].get_xlabel()


def test_a_long_label_leaves_room_for_the_intervals():
    long = NamedSpan(
        "task order/pascanu-2, cell lstm-peephole, init orthogonal, hidden 32, gain 2", 32, 9, LONG.estimate
    )
    figure = draw_forest(Forest("title", [SHORT, long]))
    figure.draw_without_rendering()
    ax = figure.axes[0]
    upper, lower = (text.get_window_extent() for text in ax.get_yticklabels())
    assert upper.y0 > lower.y1
    assert upper.x0 >= 0
    assert ax.get_window_extent().width > figure.bbox.width / 3


@pytest.mark.parametrize(
    "lengths", [(7, 8, 9), (8, 8.5, 9), (6, 9, 14), (9, 40, 90), (5, 100, 1000), (2, 20, 50_000)]
)
def test_the_numbers_on_an_axis_are_enough_and_do_not_overlap(lengths):
    spans = [NamedSpan(str(n), 8, 9, estimate_span([0.8 * n, n, 1.2 * n], [80, 40, 0], 80)) for n in lengths]
    figure = draw_forest(Forest("title", spans))
    figure.draw_without_rendering()
    ax = figure.axes[0]
    (low, high), scale = ax.get_xlim(), ax.xaxis
    inside = [tick.label1 for tick in scale.get_major_ticks() if low <= tick.get_loc() <= high]
    boxes = [text.get_window_extent() for text in inside]
    assert 3 <= len(boxes) <= 8
    assert all(left.x1 + 3 < right.x0 for left, right in pairwise(boxes))


def test_a_band_is_shown_to_its_ends_unless_it_dwarfs_the_spans():
    good = sweep()
    low, high = draw_sweep(good).axes[0].get_ylim()
    _, under, over = good.slope.line(np.array([8, 32]))
    assert low < under.min() < over.max() < high
    counts = [([k, 2 * k, 4 * k], [8, 4, 0], 8) for k in (5, 20, 6)]
    fitted = fit_slope((8, 16, 32), [Likelihood.of(*one) for one in counts])
    spans = [NamedSpan("", 8, 9, estimate_span(*one)) for one in counts]
    without, with_band = (
        draw_sweep(SpanByQuantity("title", "hidden", (8, 16, 32), spans, slope)).axes[0].get_ylim()
        for slope in (None, fitted)
    )
    assert fitted.line(np.array([8, 32]))[2].max() > 10 * without[1]
    assert with_band == pytest.approx((without[0] / 2, without[1] * 2))


def test_a_label_has_the_values_that_were_chosen():
    tuned = NamedSpan("gru", 17, 1101, LONG.estimate, {"hidden": 17, "learning_rate": 0.003})
    (text,) = draw_forest(Forest("title", [tuned])).axes[0].get_yticklabels()
    lines = " ".join(text.get_text().split())
    assert lines == "gru hidden 17, learning rate 0.003, 1,101 weights, 24 trainings"
