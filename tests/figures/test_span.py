import csv
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.container import ErrorbarContainer

from memspan import estimate_span
from memspan.figures.span import RoundOfSearch, SpanByLength, draw_span
from memspan.figures.style import save
from memspan.span import SolvedShare
from memspan.span.band import probability_band

LENGTHS, SOLVED, TRIALS = (5, 10, 20, 40), (4, 4, 3, 0), (4, 4, 4, 4)


def record(lengths=LENGTHS, solved=SOLVED, trials=TRIALS, rounds=()):
    estimate = estimate_span(lengths, solved, trials)
    x = np.geomspace(lengths[0], lengths[-1], 50)
    low, middle, high = probability_band(lengths, solved, trials, x)
    curve = np.array([x, middle, low, high])
    shares = {T: SolvedShare.of(k, n) for T, k, n in zip(lengths, solved, trials, strict=True)}
    return SpanByLength("title", shares, estimate, curve, rounds)


def path():
    first = RoundOfSearch({5: (4, 4), 40: (0, 4)}, estimate_span([5, 40], [4, 0], 4))
    return (first, RoundOfSearch({10: (4, 4), 20: (3, 4)}, record().estimate))


def legend(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_the_shares_the_curve_and_the_span_are_drawn():
    found = record()
    (ax,) = draw_span(found).axes
    (bars,) = [one for one in ax.containers if isinstance(one, ErrorbarContainer)]
    np.testing.assert_array_equal(bars[0].get_xydata(), np.transpose([LENGTHS, np.divide(SOLVED, TRIALS)]))
    interval = next(line for line in ax.get_lines() if line.get_label().startswith("T50"))
    np.testing.assert_allclose(interval.get_xdata(), [found.estimate.low, found.estimate.high])
    np.testing.assert_array_equal(interval.get_ydata(), [0.5, 0.5])
    assert f"T50: {found.estimate.short},\n95 % interval" in legend(ax)
    assert "95 % band" in legend(ax)
    assert ax.get_xscale() == "log"


def test_the_legend_says_that_no_smooth_curve_fits():
    plateau = record((5, 10, 20, 40, 80, 160), (40, 40, 20, 20, 20, 0), [40] * 6)
    assert not plateau.estimate.fits
    assert "smooth curve\n(none fits the counts)" in legend(draw_span(plateau).axes[0])
    assert "fitted curve" in legend(draw_span(record()).axes[0])


def test_a_search_has_a_row_for_each_round():
    upper, lower = draw_span(record(rounds=path())).axes
    assert lower.get_ylabel() == "round of the search"
    assert lower.get_ylim()[0] > lower.get_ylim()[1]  # the first round is at the top
    marks = {
        (line.get_xdata()[0], line.get_ydata()[0]): line.get_alpha()
        for line in lower.get_lines()
        if len(line.get_xdata()) == 1 and line.get_alpha() is not None
    }
    assert marks == {(5, 1): 1.0, (40, 1): 0.0, (10, 2): 1.0, (20, 2): 0.75}
    assert upper.get_xlim() == lower.get_xlim()
    assert legend(lower) == ["interval so far", "all trainings solved T", "some solved T", "none solved T"]


@pytest.mark.parametrize("solved", [(4, 4, 4, 4), (0, 0, 0, 0)])
def test_an_open_interval_reaches_the_edge_of_the_data(solved):
    found = record(solved=solved)
    (ax,) = draw_span(found).axes
    assert {line.get_marker() for line in ax.get_lines()} & {"<", ">"} == {"<" if not any(solved) else ">"}
    interval = next(line for line in ax.get_lines() if line.get_label().startswith("T50"))
    assert all(LENGTHS[0] <= end <= LENGTHS[-1] for end in interval.get_xdata())
    assert f"T50: {found.estimate.short},\n95 % interval" in legend(ax)


def test_the_file_has_the_numbers(tmp_path):
    found = replace(record(), rounds=path())
    save(draw_span, found, tmp_path, "span")
    rows = list(csv.reader((tmp_path / "span.csv").read_text("utf-8").splitlines()))
    assert tuple(rows[0]) == found.columns
    assert [row[:3] for row in rows[1:]] == [
        [str(T), str(n), str(k)] for T, k, n in zip(LENGTHS, SOLVED, TRIALS, strict=True)
    ]
    _, middle, _ = probability_band(LENGTHS, SOLVED, TRIALS, np.array(LENGTHS, float))
    np.testing.assert_allclose([float(row[-1]) for row in rows[1:]], middle, atol=0.01)
