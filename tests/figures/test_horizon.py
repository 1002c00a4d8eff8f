import numpy as np
import pytest

from memspan.figures.horizon import Curve, Horizon, Remark, ShareMap, draw_horizon

LENGTHS = [4, 8, 16, 32]
VARIANCES = [0.25, 0.5, 1.0, 2.0]
SHARES = {
    0.25: {4: 1.0, 8: 0.0},
    0.5: {4: 1.0, 8: 0.5, 16: 0.0},
    1.0: {4: 1.0, 8: 1.0, 16: 0.75, 32: 0.25},
    2.0: {4: 1.0, 8: 1.0, 16: 0.5, 32: 0.0},
}
LEFT = Curve(VARIANCES, [5, 9, 20, None], [4, 8, 18, 30], [6, 10, None, None])
PREDICTED = Curve(VARIANCES, [5.2, 9.1, None, None], [4, 8, 30, 31], [6, 10, None, None])
BY_UPDATES = (Curve([60, 1500], [3, 5], [2, 4], [4, 6]), Curve([60, 1500], [3.1, 5.2], [2, 4], [4, 6]))


def record():
    return Horizon(
        title="What is seen",
        lengths=LENGTHS,
        networks=8,
        updates=1500,
        descent=ShareMap("A", SHARES),
        adam=ShareMap("C", SHARES),
        predicted=PREDICTED,
        left=LEFT,
        solved=Curve(VARIANCES, [5, 8, 20, 16], [4, 7, 15, 12], [6, 9, 30, 20]),
        solved_adam=Curve(VARIANCES, [6, 9, 15, 14], [5, 8, 12, 12], [7, 10, 18, 16]),
        xi=Curve([0.2, 0.9], [3.0, 30.0]),
        critical=1.3,
        by_updates={0.25: BY_UPDATES},
        remarks=[Remark("here", (1.0, 20.0), (0.1, 0.9))],
        notes=["They agree.", "They part."],
        setting="Tanh networks",
    )


@pytest.fixture
def axes():
    figure = draw_horizon(record())
    figure.canvas.draw()
    return dict(zip(("descent", "updates", "adam", "notes"), figure.axes, strict=False))


def test_a_cell_has_the_share_of_its_variance_and_length(axes):
    mesh = axes["descent"].collections[0]
    x, y = np.moveaxis(mesh.get_coordinates(), -1, 0)
    values = mesh.get_array().reshape(len(LENGTHS), len(VARIANCES))
    for row, length in enumerate(LENGTHS):
        for column, variance in enumerate(VARIANCES):
            assert x[row, column] < variance < x[row, column + 1]
            assert y[row, column] < length < y[row + 1, column]
            assert values[row, column] == SHARES[variance].get(length, 0)
    assert (mesh.get_clim(), mesh.get_cmap().name) == ((0, 1), "cividis")


def test_what_was_not_trained_is_hatched_and_nothing_else(axes):
    for name in ("descent", "adam"):
        boxes = [(patch.get_x(), patch.get_y()) for patch in axes[name].patches if patch.get_hatch()]
        assert len(boxes) == 2  # of the variances 0.25 and 0.5
        for (x, y), variance in zip(boxes, (0.25, 0.5), strict=True):
            trained = sorted(SHARES[variance])
            assert x < variance
            assert trained[-1] < y < LENGTHS[len(trained)]


def test_the_curves_are_at_their_lengths_and_longer_ones_are_triangles(axes):
    lines = axes["descent"].get_lines()
    by_label = {line.get_label(): line for line in lines}
    drawn = by_label["half leave the plateau, predicted"].get_xydata()
    np.testing.assert_array_equal(drawn[:2], [[0.25, 5.2], [0.5, 9.1]])
    assert (drawn[2:, 1] > axes["descent"].get_ylim()[1]).all()  # it leaves the map at the top
    np.testing.assert_array_equal(by_label["6 ξ (Schoenholz et al. 2017)"].get_xydata(), [[0.2, 3], [0.9, 30]])
    assert by_label["critical gain, χ₁ = 1"].get_xdata() == [1.3, 1.3]
    triangles = [line.get_xdata().tolist() for line in lines if line.get_marker() == "^"]
    assert [1.0, 2.0] in triangles  # predicted
    assert [2.0] in triangles  # measured
    bars = axes["descent"].containers[0].lines[2][0].get_segments()
    np.testing.assert_allclose(bars[0], [[0.25, 4], [0.25, 6]])
    np.testing.assert_allclose(bars[2], [[1, 18], [1, 20]])  # the upper end is not known


def test_a_remark_points_to_its_place(axes):
    (remark,) = axes["descent"].texts
    assert (remark.get_text(), remark.xy) == ("here", (1.0, 20.0))


def test_no_triangle_is_explained_where_there_is_none():
    whole = record()
    known = Curve([0.25], [5.0], [4.0], [6.0])
    axes = draw_horizon(Horizon(**{**vars(whole), "predicted": known, "left": known})).axes
    words = [text.get_text() for text in axes[0].get_legend().get_texts()]
    assert not any("beyond" in word for word in words)
    assert known.beyond() == []


def test_the_updates_are_drawn_with_6_xi_at_the_right(axes):
    predicted, *_ = axes["updates"].get_lines()
    np.testing.assert_array_equal(predicted.get_xydata(), [[60, 3], [1500, 5]])
    (dash,) = [line for line in axes["updates"].get_lines() if min(line.get_xdata()) > 1500]
    expected = np.interp(0.25, [0.2, 0.9], [3, 30])
    np.testing.assert_allclose(dash.get_ydata(), [expected, expected])
    assert "0.25" in [text.get_text() for text in axes["updates"].texts]


def test_the_notes_stand_beside_the_maps_and_overlap_nothing(axes):
    (text,) = axes["notes"].texts
    assert text.get_text() == "They agree.\n\nThey part."
    words = [one.get_text() for one in axes["adam"].get_legend().get_texts()]
    assert words[0].startswith("half solve with gradient descent")


def test_rows_have_every_trained_cell_and_every_point():
    one = record()
    rows = one.rows()
    assert all(len(row) == len(one.columns) for row in rows)
    cells = sum(map(len, SHARES.values()))
    points = 4 * len(VARIANCES) + 2 + 2 * 2
    assert len(rows) == 2 * cells + points
    assert ("solved, Adam", 1.0, 1500, 16, None, None, 0.75) in rows
    assert ("half leave, measured", 1.0, 1500, 20, 18, None, None) in rows
    assert ("half leave, predicted", 0.25, 60, 3, 2, 4, None) in rows
    assert ("6 xi", 0.9, 1500, 30.0, None, None, None) in rows
