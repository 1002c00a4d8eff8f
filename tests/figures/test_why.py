from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from matplotlib.collections import QuadMesh
from matplotlib.colors import same_color

from memspan import estimate_span
from memspan.figures.configurations import COLOURS
from memspan.figures.gradients import ZERO
from memspan.figures.limits import Leaving, LimitsByLength
from memspan.figures.mechanism import FlowMap, Gates, Mechanism, Spectra
from memspan.figures.span import SpanByLength
from memspan.figures.style import ORANGE, save
from memspan.figures.why import WhyPage, draw_why
from memspan.span import SolvedShare

INF = np.inf
LENGTHS = (4, 8, 16)
CURVE = np.array([[4.0, 8.0, 16.0], [0.9, 0.5, 0.1], [0.7, 0.3, 0.0], [1.0, 0.7, 0.3]])
SHARES = {length: SolvedShare.of(solved, 8) for length, solved in zip(LENGTHS, (8, 4, 0), strict=True)}
SPAN = SpanByLength("", SHARES, estimate_span(LENGTHS, [8, 4, 0], 8), CURVE)
NORMS = np.array([[1e-3, 1e-2, 0.1], [0.0, np.inf, 1.0]])
LOST = np.array([[0.0, 0.7, 0.2], [1.0, 0.0, 0.0]])
FLOW = FlowMap("T = 16, repetition 0, unsolved", NORMS, LOST, 4, np.array([1.0, 0.0, 0.0]))
LEAVING = Leaving(300, {4: (30, 40, 60), 8: (90, 200, INF), 16: (INF,) * 3}, {4: (25, 35, 45), 8: (100, 180, 250)})
REACH = {
    "before training": {4: (0.1, 0.2, 0.3), 8: (1e-3, 1e-2, 1e-2), 16: (0.0, 0.0, 1e-9)},
    "after training: solved": {4: (0.5, 0.9, 2.0), 8: (0.5, INF, INF)},
    "after training: not solved": {16: (1e-30, 1e-5, 1e-4)},
}
ROOTS = 0.7 * np.exp(2j * np.pi * np.arange(6) / 6)
SPECTRA = Spectra("T = 16, repetition 0, unsolved", "g", ROOTS, 3 * ROOTS)
RAMP = np.linspace(0.2, 0.9, 16)
GATES = Gates(
    *("T = 16, repetition 0, unsolved", "Openness of the gates", "mean openness"),
    dict.fromkeys("ifo", 0.5 + 0 * RAMP),
    dict.fromkeys("ifo", RAMP),
)
SLOPES = Gates(
    "T = 16, repetition 0, unsolved", "Slope of the units", "‖∂a[t]/∂s[t]‖, mean", {"": RAMP}, {"": RAMP / 2}
)
TITLE = "T = 16: 0 of 8 networks solve it. Verdict: budget (plateau not left).\nFirst remedy: updates 300 -> 900"
LIMITS = LimitsByLength("", 16, SPAN, LEAVING, REACH)
MECHANISM = Mechanism("", FLOW, SPECTRA, GATES)
PAGE = WhyPage(TITLE, LIMITS, MECHANISM)
PANELS = ("span", "leaving", "reach", "flow", "spectra", "gates")
MISSING = {name: f"No {name} is stored, for a reason that takes some words to explain." for name in PANELS}


def changed(**changes):
    """The page with other content of some panels."""
    inside = {name: changes.pop(name) for name in ("flow", "spectra", "gates") if name in changes}
    title = changes.pop("title", TITLE)
    return WhyPage(title, replace(LIMITS, **changes), replace(MECHANISM, **inside))


def drawn(**changes):
    figure = draw_why(changed(**changes))
    figure.draw_without_rendering()
    return figure


def words(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_rows_are_the_drawn_numbers_of_all_panels():
    rows = PAGE.rows()
    assert all(len(row) == len(PAGE.columns) for row in rows)
    assert [*dict.fromkeys(row[0] for row in rows)] == ["solved", "updates", "reach", "flow", "spectra", "gates"]
    assert ("solved", "share", 8, 0.5, SHARES[8].low, SHARES[8].high) in rows
    assert ("updates", "predicted", 8, 200, 90, INF) in rows
    assert ("reach", "before training", 16, 0.0, 0.0, 1e-9) in rows
    assert [row[1:4] for row in rows if row[0] == "flow"][:4] == [
        (1, 1, 1e-3),
        (1, 2, 1e-2),
        (1, 3, 0.1),
        (5, 1, 0.0),
    ]
    assert [row[2] + 1j * row[3] for row in rows if row[:2] == ("spectra", "after")] == pytest.approx(3 * ROOTS)
    assert ("gates", "f after", 16, RAMP[-1], "", "") in rows
    slopes = [row for row in changed(gates=SLOPES).rows() if row[0] == "gates"]
    assert {row[1] for row in slopes} == {"before", "after"}
    assert changed(**MISSING).rows() == []


def test_the_panels_on_the_left_share_their_lengths_and_mark_that_of_the_verdict():
    solved, leaving, reach, *_ = drawn().axes
    assert len({ax.get_xlim() for ax in (solved, leaving, reach)}) == 1
    assert reach.get_xscale() == solved.get_xscale() == "log"
    assert {text.get_text() for text in reach.get_xticklabels()} == {"4", "8", "16"}
    assert not any(text.get_visible() for ax in (solved, leaving) for text in ax.get_xticklabels())
    for ax in (solved, leaving, reach):
        assert any(list(line.get_xdata()) == [16, 16] for line in ax.get_lines())


def test_medians_that_are_infinite_or_zero_are_marked_at_the_edges():
    _, leaving, reach, *_ = drawn().axes
    (above,) = [one for one in leaving.get_lines() if one.get_marker() == "^" and len(one.get_xdata())]
    assert (above.get_xdata()[0], above.get_ydata()[0]) == (pytest.approx(16, rel=0.01), 0.94)
    assert same_color(above.get_color(), COLOURS[0])
    assert words(leaving) == [
        *("given: 300", "predicted, quartiles", "left in training, quartiles", "half or more never leave"),
    ]
    (below,) = [one for one in reach.get_lines() if one.get_marker() == ZERO and len(one.get_xdata())]
    assert below.get_xdata()[0] == pytest.approx(16, rel=0.02)
    assert words(reach) == [*REACH, "exactly 0", "infinite"]


def test_an_extreme_quartile_does_not_squeeze_the_axis():
    bottom, top = drawn().axes[2].get_ylim()
    assert 1e-12 < bottom < 1e-5
    assert top > 2


def test_without_a_prediction_only_training_is_drawn():
    ax = drawn(leaving=replace(LEAVING, predicted={})).axes[1]
    assert words(ax) == ["given: 300", "left in training, quartiles"]


def test_lost_and_infinite_gradients_have_colours_of_their_own():
    flow = drawn().axes[3]
    mesh, *covers = (
        part for part in flow.collections if isinstance(part, QuadMesh) or part.get_array() is not None
    )
    assert (mesh.norm.vmin, mesh.norm.vmax) == (-3, 0), "lost cells do not stretch the scale"
    assert words(flow) == ["0 or underflow, for half of the samples or more", "not finite"]
    lost = np.ma.getmaskarray(covers[0].get_array()).reshape(3, 2)
    np.testing.assert_array_equal(~lost, LOST.T >= 0.5)
    plain = drawn(flow=replace(FLOW, norms=np.ones((2, 3)), lost=np.zeros((2, 3)))).axes[3]
    assert plain.get_legend() is None


def test_the_spectra_have_a_round_unit_circle_and_their_radii():
    ax = drawn().axes[4]
    circle, before, after = ax.get_lines()
    np.testing.assert_allclose(np.hypot(*circle.get_data()), 1)
    np.testing.assert_allclose(before.get_xdata() + 1j * before.get_ydata(), ROOTS)
    np.testing.assert_allclose(after.get_xdata() + 1j * after.get_ydata(), 3 * ROOTS)
    assert ax.get_box_aspect() == 1
    assert np.ptp(ax.get_xlim()) == pytest.approx(np.ptp(ax.get_ylim()))
    assert ax.get_xlim()[0] < -2.1 < 2.1 < ax.get_xlim()[1]
    real = drawn(spectra=replace(SPECTRA, after=np.array([4.0 + 0j]))).axes[4]
    assert real.get_xlim() == pytest.approx((1.5 - 2.75, 1.5 + 2.75)), "no space for -4"
    assert words(ax) == ["unit circle", "before, radius 0.7", "after, radius 2.1"]
    assert same_color(after.get_color(), ORANGE)


def test_gates_have_a_colour_and_moments_a_dash():
    ax = drawn().axes[5]
    assert words(ax) == ["i", "f", "o", "before", "after training"]
    lines = ax.get_lines()
    assert [one.get_color() for one in lines] == [colour for colour in COLOURS[:3] for _ in range(2)]
    np.testing.assert_array_equal(lines[1].get_ydata(), RAMP)
    assert ax.get_ylim()[1] > 1
    ax = drawn(gates=SLOPES).axes[5]
    assert words(ax) == ["before", "after training"]
    assert ax.get_ylabel() == "‖∂a[t]/∂s[t]‖, mean"


def said(ax):
    return " ".join(" ".join(text.get_text() for text in ax.texts).split())


@pytest.mark.parametrize("panel", PANELS)
def test_a_missing_panel_says_why(panel):
    figure = drawn(**{panel: MISSING[panel]})
    assert [said(ax) for ax in figure.axes if ax.texts and said(ax).startswith("No ")] == [MISSING[panel]]


def boxes(figure):
    """Name and extent of all words and legends outside the axes, and of the axes themselves."""
    yield "title", figure._suptitle.get_window_extent()
    for k, ax in enumerate(figure.axes):
        parts = {"heading": ax._left_title, "x": ax.xaxis.label, "y": ax.yaxis.label}
        if ax.get_legend():
            parts["legend"] = ax.get_legend()
        for name, part in parts.items():
            if name == "legend" or part.get_text():
                yield f"{name} {k}", part.get_window_extent()
        yield f"axes {k}", ax.get_window_extent()


LONG = {"title": "\n".join([TITLE, "a line that is much longer than the page is wide, " * 6])}
SIX = replace(GATES, before={f"gate {k}": RAMP for k in range(6)}, after={f"gate {k}": RAMP for k in range(6)})
FAR = {"spectra": replace(SPECTRA, after=1000 * ROOTS), "gates": SLOPES}


CHANGES = {"none": {}, "missing": MISSING, "long title": LONG, "far": FAR, "six gates": {"gates": SIX}}


@pytest.mark.parametrize("changes", CHANGES.values(), ids=CHANGES)
def test_nothing_covers_anything_or_leaves_the_page(changes):
    figure = drawn(**changes)
    found = dict(boxes(figure))
    for (one, first), (other, second) in combinations(found.items(), 2):
        assert not first.padded(-1).overlaps(second.padded(-1)), f"{one} covers {other}"
    for name, box in found.items():
        assert figure.bbox.x0 <= box.x0 < box.x1 <= figure.bbox.x1, name
        assert figure.bbox.y0 <= box.y0 < box.y1 <= figure.bbox.y1, name


def test_the_same_page_gives_the_same_files(tmp_path):
    for name in ("once", "again"):
        save(draw_why, PAGE, tmp_path, name)
    for kind in ("png", "svg", "csv"):
        assert (tmp_path / f"once.{kind}").read_bytes() == (tmp_path / f"again.{kind}").read_bytes()
