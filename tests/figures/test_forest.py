import numpy as np
import pytest

from memspan import estimate_span
from memspan.figures.atlas import Atlas, brief, draw_atlas
from memspan.figures.forest import Forest, NamedSpan, SpanByQuantity, by_span, draw_forest, draw_sweep
from memspan.span.likelihood import Likelihood
from memspan.span.slope import fit_slope

SHORT = NamedSpan("short", 100, estimate_span([5, 10, 20], [8, 4, 0], 8))
LONG = NamedSpan("long", 101, estimate_span([10, 20, 40], [8, 4, 0], 8))
AT_LEAST = NamedSpan("at least", 102, estimate_span([10, 20, 80], [8, 8, 8], 8))
BELOW = NamedSpan("below", 103, estimate_span([4, 8], [0, 0], 8))
ALL = [SHORT, AT_LEAST, BELOW, LONG]


def lines(ax):
    return [line for line in ax.get_lines() if len(line.get_xdata()) == 2]


def test_the_longest_span_is_at_the_top():
    assert [span.label for span in by_span(ALL)] == ["at least", "long", "short", "below"]
    figure = draw_forest(Forest("title", ALL))
    ax = figure.axes[0]
    assert [text.get_text() for text in ax.get_yticklabels()] == [
        f"{span.label}  ({span.parameters:,} weights)" for span in by_span(ALL)
    ]
    assert ax.get_ylim()[0] > ax.get_ylim()[1]
    drawn = lines(ax)[1]
    np.testing.assert_allclose(drawn.get_xdata(), [LONG.estimate.low, LONG.estimate.high])
    assert Forest("", ALL).rows()[1][:3] == ("long", 101, LONG.estimate.span)


def test_an_open_end_has_an_arrow_and_no_dot():
    ax = draw_forest(Forest("title", ALL)).axes[0]
    markers = {(line.get_marker(), line.get_ydata()[0]) for line in ax.get_lines() if line.get_marker() != "None"}
    assert markers == {(">", 0), ("o", 1), ("o", 2), ("<", 3)}
    assert ax.get_xscale() == "log"
    assert all(ax.get_xlim()[0] <= x <= ax.get_xlim()[1] for line in lines(ax) for x in line.get_xdata())


def sweep(slope=True):
    quantity = (8, 16, 32)
    counts = [([k, 2 * k, 4 * k], [8, 4, 0], 8) for k in (5, 8, 12)]
    spans = [NamedSpan(str(q), q, estimate_span(*one)) for q, one in zip(quantity, counts, strict=True)]
    fitted = fit_slope(quantity, [Likelihood.of(*one) for one in counts]) if slope else None
    return SpanByQuantity("title", "hidden", quantity, spans, fitted)


@pytest.mark.parametrize("slope", [True, False])
def test_a_sweep_is_drawn_on_logarithmic_axes(slope):
    record = sweep(slope)
    ax = draw_sweep(record).axes[0]
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    assert [text.get_text() for text in ax.get_xticklabels()] == ["8", "16", "32"]
    texts = [text.get_text() for text in ax.get_legend().get_texts()]
    assert any("hidden to the power" in text for text in texts) == slope
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
    rows = {
        key: {"span": s.estimate.span, "low": s.estimate.low, "high": s.estimate.high, "short": s.estimate.short}
        for key, s in spans.items()
    }
    return Atlas("title", ["rnn", "gru"], ["recall", "adding"], rows)


def test_the_atlas_has_a_number_in_every_field_and_the_best_cell_first():
    record = atlas()
    ax = draw_atlas(record).axes[0]
    assert [text.get_text() for text in ax.get_yticklabels()] == ["gru", "rnn"]
    texts = {(text.get_position()): text.get_text() for text in ax.texts}
    assert texts[0, 0] == brief(record.spans["gru", "recall"]) == "≥ 80"
    assert texts[1, 1].startswith("< ")
    assert texts[0, 1] == f"{SHORT.estimate.span:.3g}"
    assert len(record.rows()) == 4
