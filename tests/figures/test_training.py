from dataclasses import replace

import numpy as np
import pytest
from matplotlib.colors import same_color

from memspan.figures.style import new_figure
from memspan.figures.training import (
    MOST_NUMBERS,
    Confusion,
    LossCurve,
    Predictions,
    draw_confusion,
    draw_loss,
    draw_predictions,
)

CURVE = LossCurve(
    loss=np.array([0.4, 0.2, 0.1, 0.05]),
    evaluated_at=np.array([2, 4]),
    evaluation_loss=np.array([0.25, 0.06]),
    trivial_risk=1 / 3,
)
PREDICTIONS = Predictions(
    y=np.array([-0.5, 0.0, 0.75]), y_hat=np.array([-0.4, 0.5, 0.7]), accuracy=2 / 3, tolerance=0.2
)
CONFUSION = Confusion("what", ("a", "b", "c"), np.array([[3, 1, 0], [0, 0, 0], [1, 1, 2]]))


@pytest.fixture
def ax():
    return new_figure().subplots()


def lines(ax):
    return {line.get_label(): (list(line.get_xdata()), list(line.get_ydata())) for line in ax.lines}


def test_the_losses_are_drawn_where_they_belong(ax):
    assert draw_loss(CURVE, ax) is ax
    assert lines(ax) == {
        "training batch": ([1, 2, 3, 4], [0.4, 0.2, 0.1, 0.05]),
        "held-out batches": ([2, 4], [0.25, 0.06]),
        "trivial risk 0.333": ([0, 1], [1 / 3, 1 / 3]),  # across the axes, whatever they show
    }
    assert (ax.get_xscale(), ax.get_yscale()) == ("linear", "log")
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("update", "mean squared error")
    assert ax.get_title() == "Loss during training"
    assert [text.get_text() for text in ax.get_legend().get_texts()] == list(lines(ax))


def test_before_training_only_the_trivial_risk_can_be_drawn(ax):
    empty = np.array([])
    draw_loss(LossCurve(empty, empty, empty, 0.5), ax)
    assert lines(ax)["training batch"] == ([], [])
    assert lines(ax)["trivial risk 0.500"][1] == [0.5, 0.5]
    ax.figure.canvas.draw()


def test_where_no_trivial_risk_is_known_none_is_drawn(ax):
    draw_loss(replace(CURVE, trivial_risk=None, label="cross-entropy (nats)"), ax)
    assert list(lines(ax)) == ["training batch", "held-out batches"]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == list(lines(ax))
    assert ax.get_ylabel() == "cross-entropy (nats)"
    assert len(ax.texts) == 0
    ax.figure.canvas.draw()


def test_before_training_and_without_a_trivial_risk_the_axis_is_empty(ax):
    empty = np.array([])
    draw_loss(LossCurve(empty, empty, empty, None), ax)
    assert [x for x, _ in lines(ax).values()] == [[], []]
    ax.figure.canvas.draw()


def test_predictions_are_drawn_against_labels(ax):
    assert draw_predictions(PREDICTIONS, ax) is ax
    assert lines(ax) == {
        "prediction = label": ([-1, 1], [-1, 1]),
        "trivial prediction 0": ([0, 1], [0, 0]),
        "network": ([-0.5, 0.0, 0.75], [-0.4, 0.5, 0.7]),
    }
    assert ax.get_title() == "66.7% of 3 held-out predictions correct"
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("label: the first number of the sequence", "prediction")
    assert (ax.get_xlim(), ax.get_ylim()) == ((-1.05, 1.05), (-1.15, 1.15))
    legend = [text.get_text() for text in ax.get_legend().get_texts()]
    assert legend == ["correct: within 0.2", *lines(ax)]


def test_the_band_holds_exactly_what_is_correct(ax):
    draw_predictions(PREDICTIONS, ax)
    corners = {(round(x, 12), round(y, 12)) for x, y in ax.collections[0].get_paths()[0].vertices}
    assert corners == {(-1, -1.2), (-1, -0.8), (1, 0.8), (1, 1.2)}


def test_without_a_tolerance_there_is_no_band(ax):
    draw_predictions(Predictions(PREDICTIONS.y, PREDICTIONS.y_hat, 0.5, None), ax)
    assert len(ax.collections) == 0
    assert [text.get_text() for text in ax.get_legend().get_texts()] == list(lines(ax))


def test_labels_of_another_range_have_their_own_axes_trivial_answer_and_name(ax):
    record = Predictions(
        np.array([0.1, 0.9]), np.array([0.2, 0.8]), 0.5, 0.04, ends=(0.0, 1.0), trivial=0.5, label="a sum"
    )
    draw_predictions(record, ax)
    assert lines(ax) == {
        "prediction = label": ([0, 1], [0, 1]),
        "trivial prediction 0.5": ([0, 1], [0.5, 0.5]),
        "network": ([0.1, 0.9], [0.2, 0.8]),
    }
    corners = {(round(x, 12), round(y, 12)) for x, y in ax.collections[0].get_paths()[0].vertices}
    assert corners == {(0, -0.04), (0, 0.04), (1, 0.96), (1, 1.04)}
    assert ax.get_xlabel() == "a sum"
    np.testing.assert_allclose([ax.get_xlim(), ax.get_ylim()], [(-0.025, 1.025), (-0.075, 1.075)])


def test_without_a_trivial_answer_there_is_no_line_for_it(ax):
    draw_predictions(replace(PREDICTIONS, trivial=None), ax)
    assert list(lines(ax)) == ["prediction = label", "network"]


def test_no_prediction_is_outside_of_the_picture(ax):
    draw_predictions(Predictions(PREDICTIONS.y, np.array([-4.0, 1.0, 2.0]), 0.0, 0.2), ax)
    assert ax.get_ylim() == (-4.2, 4.2)


@pytest.mark.parametrize(
    ("draw", "record"), [(draw_loss, CURVE), (draw_predictions, PREDICTIONS), (draw_confusion, CONFUSION)]
)
def test_without_axes_a_new_figure_is_made(draw, record):
    plt = pytest.importorskip("matplotlib.pyplot")
    plt.switch_backend("agg")
    plt.close("all")
    ax = draw(record)
    assert plt.get_fignums() == [ax.figure.number]
    given = draw(record, new_figure().subplots())
    assert lines(ax) == lines(given)
    assert ax.get_title() == given.get_title() != ""
    plt.close("all")


@pytest.mark.parametrize("loss", [[0.3, 5.0, 1e302], [0.3, np.inf], [0.3, np.nan]])
def test_a_diverged_loss_leaves_a_readable_axis(loss, tmp_path):
    curve = LossCurve(np.array(loss), np.array([]), np.array([]), 1 / 3)
    ax = draw_loss(curve)
    assert ax.get_ylim()[1] == pytest.approx(10)
    assert "beyond the axis" in ax.texts[0].get_text()
    ax.figure.savefig(tmp_path / "loss.png")


@pytest.mark.parametrize("far", [1e154, np.inf, np.nan])
def test_predictions_far_off_are_counted_outside_the_axis(far, tmp_path):
    ax = draw_predictions(Predictions(np.zeros(3), np.array([0.1, -0.2, far]), 0.3, 0.1))
    assert ax.get_ylim() == (-5, 5)
    assert ax.texts[0].get_text() == "1 beyond ±5"
    ax.figure.savefig(tmp_path / "predictions.png")


@pytest.mark.parametrize("far", [1e154, np.inf, np.nan])
def test_predictions_far_off_are_counted_also_where_the_axis_is_not_around_zero(far, ax, tmp_path):
    record = Predictions(np.ones(3), np.array([1.1, -0.2, far]), 0.3, 0.1, ends=(0.0, 2.0), trivial=1.0)
    draw_predictions(record, ax)
    assert ax.get_ylim() == (-4, 6)
    assert ax.texts[0].get_text() == "1 beyond the axis"
    ax.figure.savefig(tmp_path / "predictions.png")


@pytest.mark.parametrize("loss", [[0.3, 5.0, 1e302], [0.3, np.inf], [0.3, np.nan]])
def test_where_no_trivial_risk_is_known_the_first_loss_bounds_the_axis(loss, ax, tmp_path):
    draw_loss(LossCurve(np.array(loss), np.array([]), np.array([]), None), ax)
    assert ax.get_ylim()[1] == pytest.approx(9)
    assert "beyond the axis" in ax.texts[0].get_text()
    ax.figure.savefig(tmp_path / "loss.png")


# --- classes --------------------------------------------------------------------------------------------


def test_a_confusion_holds_the_shares_of_each_class_of_labels(ax):
    """Rows are labels, columns answers; a class that did not come has no row."""
    assert draw_confusion(CONFUSION, ax) is ax
    (image,) = ax.images
    np.testing.assert_array_equal(image.get_array(), [[0.75, 0.25, 0], [0.25, 0.25, 0.5]])
    assert (image.norm.vmin, image.norm.vmax) == (0, 1)
    assert ax.get_title() == "what"
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("answer", "label")
    assert [label.get_text() for label in ax.get_xticklabels()] == ["a", "b", "c"]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a", "c"]
    assert ax.figure.axes[-1].get_ylabel() == "share of answers, by label"
    ax.figure.canvas.draw()


def test_the_shares_are_written_where_they_are(ax):
    draw_confusion(CONFUSION, ax)
    written = {text.get_position(): text for text in ax.texts}
    assert written[0, 0].get_text() == "0.75"
    assert written[1, 0].get_text() == "0.25", "answered 1 for 0"
    assert written[0, 1].get_text() == "0.25"
    assert written[2, 1].get_text() == "0.50"
    assert len(written) == 6
    assert same_color(written[0, 0].get_color(), "white"), "on dark"
    assert same_color(written[2, 1].get_color(), "black")


@pytest.mark.parametrize("classes", [2, MOST_NUMBERS, MOST_NUMBERS + 1])
def test_of_many_classes_the_shares_are_colours_alone(classes, ax):
    draw_confusion(Confusion("", tuple(map(str, range(classes))), np.eye(classes, dtype=int)), ax)
    assert len(ax.texts) == (classes**2 if classes <= MOST_NUMBERS else 0)
    ax.figure.canvas.draw()
