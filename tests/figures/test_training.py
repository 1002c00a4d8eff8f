import numpy as np
import pytest

from memspan.figures.style import new_figure
from memspan.figures.training import LossCurve, Predictions, draw_loss, draw_predictions

CURVE = LossCurve(
    loss=np.array([0.4, 0.2, 0.1, 0.05]),
    evaluated_at=np.array([2, 4]),
    evaluation_loss=np.array([0.25, 0.06]),
    trivial_risk=1 / 3,
)
PREDICTIONS = Predictions(
    y=np.array([-0.5, 0.0, 0.75]), y_hat=np.array([-0.4, 0.5, 0.7]), accuracy=2 / 3, tolerance=0.2
)


@pytest.fixture
def ax():
    return new_figure().subplots()


def lines(ax):
    return {line.get_label(): (list(line.get_xdata()), list(line.get_ydata())) for line in ax.lines}


def test_the_losses_are_drawn_where_they_belong(ax):
    assert draw_loss(CURVE, ax) is ax
    assert lines(ax) == {
        "training batch": ([1, 2, 3, 4], [0.4, 0.2, 0.1, 0.05]),
        "fresh batches": ([2, 4], [0.25, 0.06]),
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


def test_predictions_are_drawn_against_labels(ax):
    assert draw_predictions(PREDICTIONS, ax) is ax
    assert lines(ax) == {
        "prediction = label": ([-1, 1], [-1, 1]),
        "trivial prediction 0": ([0, 1], [0, 0]),
        "network": ([-0.5, 0.0, 0.75], [-0.4, 0.5, 0.7]),
    }
    assert ax.get_title() == "66.7% of 3 fresh predictions correct"
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


def test_no_prediction_is_outside_of_the_picture(ax):
    draw_predictions(Predictions(PREDICTIONS.y, np.array([-4.0, 1.0, 2.0]), 0.0, 0.2), ax)
    assert ax.get_ylim() == (-4.2, 4.2)


@pytest.mark.parametrize(("draw", "record"), [(draw_loss, CURVE), (draw_predictions, PREDICTIONS)])
def test_without_axes_a_new_figure_is_made(draw, record):
    plt = pytest.importorskip("matplotlib.pyplot")
    plt.switch_backend("agg")
    ax = draw(record)
    assert plt.get_fignums() == [ax.figure.number]
    assert lines(ax) == lines(draw(record, new_figure().subplots()))
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
