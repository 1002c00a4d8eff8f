import numpy as np
import pytest
from matplotlib.collections import PolyCollection, PolyQuadMesh, QuadMesh
from matplotlib.colors import same_color, to_rgba

from memspan.figures.gradients import DECADES, NormsByLag, NormsDuringTraining, draw_map, draw_norms
from memspan.figures.style import ORANGE, ordered_colours

FIRST, LAST = "before training", "after training"
NORMS = {
    ("d_a", FIRST): {3: np.array([0.01, 0.1, 1.0]), 5: np.array([0.0, np.nan, np.inf, 0.1, 1.0])},
    ("d_a", LAST): {3: np.array([0.2, 0.3, 0.4]), 5: np.full(5, 2.0)},
}
RECORD = NormsByLag("title", NORMS, {"d_a": "size"})
MAP = np.array([[1e-3, 1e-2, 1e-1], [0.0, np.inf, 1.0]])


def marked(ax, marker):
    """The points with this marker."""
    lines = [line.get_xydata() for line in ax.get_lines() if line.get_marker() == marker]
    return np.concatenate(lines or [np.zeros((0, 2))])


def words(figure):
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


def test_rows_give_lags_the_last_time_step_being_0():
    rows = RECORD.rows()
    assert rows[:3] == [("d_a", FIRST, 3, 2, 0.01), ("d_a", FIRST, 3, 1, 0.1), ("d_a", FIRST, 3, 0, 1.0)]
    assert len(rows) == 16
    assert rows[3][:4] == ("d_a", FIRST, 5, 4)
    assert rows[3][4] == 0


def test_norms_are_drawn_against_lag():
    left, right = draw_norms(RECORD).axes
    lines = [line for line in left.get_lines() if line.get_linestyle() == "-"]
    np.testing.assert_array_equal(lines[0].get_xydata(), [[2, 0.01], [1, 0.1], [0, 1]])
    np.testing.assert_array_equal(lines[1].get_xdata(), [4, 3, 2, 1, 0])
    np.testing.assert_array_equal(lines[1].get_ydata(), [np.nan, np.nan, np.nan, 0.1, 1])
    assert [same_color(line.get_color(), colour) for line, colour in zip(lines, ordered_colours(2), strict=True)]
    assert (left.get_title(), right.get_title(), left.get_ylabel()) == (FIRST, LAST, "size")
    assert (left.get_yscale(), right.get_yscale()) == ("log", "log")


def test_a_dot_is_at_the_farthest_gradient_that_a_log_axis_can_show():
    left, right = draw_norms(RECORD).axes
    assert marked(left, "o").tolist() == [[2, 0.01], [1, 0.1]]
    assert marked(right, "o").tolist() == [[2, 0.2], [4, 2]]


def test_zeros_and_what_is_not_finite_are_marked_on_the_edges_at_their_lag():
    left, right = draw_norms(RECORD).axes
    zeros, others = marked(left, "v"), marked(left, "x")
    assert zeros[:, 0].tolist() == [4]
    assert others[:, 0].tolist() == [3, 2]
    assert (zeros[:, 1] < 0.1).all(), "the lower edge, in the units of the axes"
    assert (others[:, 1] > 0.9).all(), "the upper edge"
    edge = left.get_xaxis_transform()
    assert all(line.get_transform() == edge for line in left.get_lines() if line.get_marker() in ("v", "x"))
    assert len(marked(right, "v")) == len(marked(right, "x")) == 0


def test_the_legend_explains_the_marks_that_are_there_and_no_others():
    assert words(draw_norms(RECORD)) == ["T = 3", "T = 5", "exactly 0", "not finite"]
    calm = NormsByLag("", {("d_a", LAST): NORMS["d_a", LAST]}, {"d_a": "size"})
    assert words(draw_norms(calm)) == ["T = 3", "T = 5"]


def test_the_legend_knows_a_length_that_the_first_panel_lacks():
    panels = {("d_a", FIRST): {}, ("d_a", LAST): {3: np.full(3, np.nan)}}
    figure = draw_norms(NormsByLag("", panels, {"d_a": "size"}))
    figure.draw_without_rendering()
    assert words(figure) == ["T = 3", "not finite"]
    assert marked(figure.axes[1], "x")[:, 0].tolist() == [2, 1, 0]


def test_rows_of_panels_are_quantities_and_columns_moments():
    quantities = {"d_R": "R", "d_W": "W"}
    panels = {
        (q, m): {3: np.full(3, k + 1.0)}
        for k, (q, m) in enumerate((q, m) for q in quantities for m in (FIRST, LAST))
    }
    axes = draw_norms(NormsByLag("", panels, quantities)).axes
    assert [ax.get_lines()[0].get_ydata()[0] for ax in axes] == [1, 2, 3, 4]
    assert [ax.get_ylabel() for ax in axes] == ["R", "", "W", ""]
    assert [ax.get_title() for ax in axes] == [FIRST, LAST, "", ""]


@pytest.mark.parametrize("count", [1, 12])
def test_the_legend_of_norms_stays_on_the_page_beside_the_panels(count):
    lines = {length: np.full(length, 0.5) for length in range(1, count + 1)}
    figure = draw_norms(NormsByLag("title", {("d_a", FIRST): lines, ("d_a", LAST): lines}, {"d_a": "size"}))
    figure.draw_without_rendering()
    box = figure.legends[0].get_window_extent()
    assert figure.bbox.y0 <= box.y0 < box.y1 <= figure.bbox.y1
    assert all(ax.get_window_extent().x1 <= box.x0 for ax in figure.axes)


def during(**maps):
    arrays = {int(name[1:]): array for name, array in maps.items()}
    relevant = {length: first_alone(array.shape[1]) for length, array in arrays.items()}
    return NormsDuringTraining("title", arrays, dict.fromkeys(arrays, "solved"), 4, relevant)


def first_alone(steps):
    return np.arange(steps) == 0.0


def strips(ax):
    """The marks of the steps that hold the answer, the first step first: as many as there are."""
    return [part for part in ax.collections if isinstance(part, PolyCollection) and part not in covers_of(ax)]


def covers_of(ax):
    """What lies on the colours where they mean nothing."""
    return [part for part in ax.collections if isinstance(part, PolyQuadMesh)]


def test_rows_count_updates_and_time_steps_from_one():
    rows = during(T3=MAP).rows()
    assert rows[0] == (3, 1, 1, 1e-3)
    assert rows[2] == (3, 1, 3, 1e-1)
    assert rows[3] == (3, 5, 1, 0.0)
    assert rows[4][:3] == (3, 5, 2)
    assert np.isinf(rows[4][3])
    assert len(rows) == 6


def test_the_map_is_the_logarithm_over_update_and_time_step():
    panel = draw_map(during(T3=MAP)).axes[0]
    (mesh,) = (part for part in panel.collections if isinstance(part, QuadMesh))
    colours = mesh.get_array()
    np.testing.assert_allclose(colours.filled(99), [[-3, 99], [-2, 99], [-1, 0]])
    corners = mesh.get_coordinates()
    np.testing.assert_array_equal(corners[0, :, 0], [1, 5, 9])
    np.testing.assert_array_equal(corners[:, 0, 1], [0.5, 1.5, 2.5, 3.5])
    assert panel.get_title() == "T = 3: solved"


def test_zeros_are_white_and_what_is_not_finite_is_hatched():
    panel = draw_map(during(T3=MAP)).axes[0]
    zeros, others = covers_of(panel)
    np.testing.assert_array_equal(
        np.ma.getmaskarray(zeros.get_array()), [[True, False], [True, True], [True, True]]
    )
    np.testing.assert_array_equal(
        np.ma.getmaskarray(others.get_array()), [[True, True], [True, False], [True, True]]
    )
    assert zeros.get_cmap()(0.5) == to_rgba("white")
    assert others.get_cmap()(0.5) == to_rgba(ORANGE)
    assert (zeros.get_hatch(), others.get_hatch()) == (None, "xxx")
    assert others.get_alpha() is None, "a transparent hatch cannot be seen"


def test_the_legend_of_the_map_explains_what_is_there():
    assert words(draw_map(during(T3=MAP))) == ["exactly 0", "not finite"]
    assert words(draw_map(during(T3=MAP[:1]))) == []
    assert words(draw_map(during(T2=np.zeros((2, 2))))) == ["exactly 0"]
    assert words(draw_map(during(T2=np.full((2, 2), np.nan)))) == ["not finite"]


def test_a_strip_beside_the_right_edge_marks_where_the_answer_lies():
    """The stronger the more often; nothing where it never does."""
    norms, shares = np.full((2, 4), 0.5), np.array([0.5, 0.0, 0.125, 0.25])
    figure = draw_map(NormsDuringTraining("", {4: norms}, {4: "solved"}, 4, {4: shares}))
    figure.draw_without_rendering()
    panel = figure.axes[0]
    found, edge = strips(panel), panel.get_yaxis_transform()
    assert [part.get_alpha() for part in found] == [1.0, 0.25 + 0.75 / 4, 0.25 + 0.75 / 2]
    for part, step in zip(found, (1, 3, 4), strict=True):
        assert same_color(part.get_facecolor()[0, :3], ORANGE)
        corners = part.get_paths()[0].vertices
        assert (corners[:, 0].min(), corners[:, 0].max()) == (1.01, 1.04)
        assert not part.get_clip_on()
        assert (corners[:, 1].min(), corners[:, 1].max()) == (step - 0.5, step + 0.5)
        assert part.get_transform() == edge, "across in the units of the axes, along in time steps"
    assert panel.get_xlim() == (1, 9), "the strip is no update"
    assert sorted(panel.get_ylim()) == [0.5, 4.5]
    assert figure.get_supylabel() == "time step t (orange: the answer)"


def test_each_panel_has_the_strip_of_its_length():
    figure = draw_map(during(T3=MAP, T2=np.ones((2, 2))))
    assert [len(strips(ax)) for ax in figure.axes[:2]] == [1, 1]
    both = {3: np.array([0.0, 0.2, 0.1]), 2: np.array([1.0, 0.0])}
    record = NormsDuringTraining("", {3: MAP, 2: MAP[:, :2]}, {3: "solved", 2: "unsolved"}, 4, both)
    assert [len(strips(ax)) for ax in draw_map(record).axes[:2]] == [2, 1]


def scale(figure):
    return next(part for part in figure.axes[0].collections if isinstance(part, QuadMesh)).norm


def test_all_panels_share_a_scale_of_so_many_decades_at_most():
    figure = draw_map(during(T1=np.array([[1e-3]]), T2=np.array([[1e-5, 10.0]])))
    meshes = [part for ax in figure.axes[:2] for part in ax.collections if isinstance(part, QuadMesh)]
    assert len(meshes) == 2
    assert [(mesh.norm.vmin, mesh.norm.vmax) for mesh in meshes] == [(-5, 1), (-5, 1)]
    deep = scale(draw_map(during(T2=np.array([[1e-40, 1.0]]))))
    assert (deep.vmin, deep.vmax) == (-DECADES, 0)
    flat = scale(draw_map(during(T2=np.full((1, 2), 1.0))))
    assert (flat.vmin, flat.vmax) == (-1, 0)


@pytest.mark.parametrize("count", [1, 3, 12, 13])
def test_words_of_the_map_stay_on_the_page_and_apart(count):
    record = during(**{f"T{length}": np.tile(np.arange(length) + 0.0, (2, 1)) for length in range(1, count + 1)})
    figure = draw_map(record)
    figure.draw_without_rendering()
    vertical, title = figure._supylabel.get_window_extent(), figure._suptitle.get_window_extent()
    assert figure.bbox.y0 <= vertical.y0 < vertical.y1 <= title.y0
    panels = [ax for ax in figure.axes if ax.get_visible()]
    assert len(panels) == count + 1, "and the colour bar"
    legend = figure.legends[0].get_window_extent()
    assert legend.y1 <= min(ax.get_tightbbox().y0 for ax in panels)
    assert figure.bbox.y0 <= legend.y0
