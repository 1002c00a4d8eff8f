"""What one learner did: its loss, and what it predicts."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from memspan.axes import Array
from memspan.figures.style import BLACK, BLUE, GREEN, GREY, ORANGE, axes_or_new, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes


HIGHEST = 30.0  # times the trivial risk: where the loss axis ends when training diverged
WIDEST = 5.0  # where the axis of predictions ends when they are far off


@dataclass(frozen=True)
class LossCurve:
    """The training loss of each update, the loss at each evaluation, and the trivial risk."""

    loss: Array
    evaluated_at: Array
    evaluation_loss: Array
    trivial_risk: float


@dataclass(frozen=True)
class Predictions:
    """Labels and predictions, the accuracy, and the tolerance within which a prediction is correct."""

    y: Array
    y_hat: Array
    accuracy: float
    tolerance: float | None


def draw_loss(curve: LossCurve, ax: "Axes | None" = None) -> "Axes":
    """Loss against update, on a log scale."""
    ax = axes_or_new(ax)
    updates = np.arange(1, len(curve.loss) + 1)
    shown = np.clip(curve.loss, None, 1e3 * HIGHEST * curve.trivial_risk)  # what is drawn far outside overflows
    ax.plot(updates, shown, color=BLUE, alpha=0.55, linewidth=0.8, label="training batch")
    ax.plot(curve.evaluated_at, curve.evaluation_loss, "o-", color=ORANGE, markersize=3.5, label="fresh batches")
    label = f"trivial risk {curve.trivial_risk:.3f}"
    ax.axhline(curve.trivial_risk, color=GREY, linestyle="--", linewidth=1, label=label)
    ax.set(xlabel="update", ylabel="mean squared error", yscale="log", title="Loss during training")
    top = HIGHEST * curve.trivial_risk
    if not (curve.loss <= top).all():
        ax.set_ylim(top=top)
        ax.annotate("▲ beyond the axis", (0.98, 0.95), xycoords="axes fraction", ha="right", fontsize="small")
    ax.legend(frameon=False)
    tidy(ax)
    return ax


def draw_predictions(predictions: Predictions, ax: "Axes | None" = None) -> "Axes":
    """Prediction against label; a network that remembers lies on the diagonal, one that does not on zero."""
    ax = axes_or_new(ax)
    ends = np.array([-1.0, 1.0])
    if predictions.tolerance is not None:
        low, high = ends - predictions.tolerance, ends + predictions.tolerance
        label = f"correct: within {predictions.tolerance:g}"
        ax.fill_between(ends, low, high, color=GREEN, alpha=0.18, linewidth=0, label=label)
    ax.plot(ends, ends, color=BLACK, linewidth=0.8, label="prediction = label")
    ax.axhline(0, color=GREY, linestyle="--", linewidth=1, label="trivial prediction 0")
    shown = np.clip(predictions.y_hat, -10 * WIDEST, 10 * WIDEST)  # what is drawn far outside overflows
    ax.plot(predictions.y, shown, ".", color=BLUE, alpha=0.5, markersize=4, label="network")
    title = f"{predictions.accuracy:.1%} of {len(predictions.y)} fresh predictions correct"
    ax.set(xlabel="label: the first number of the sequence", ylabel="prediction", title=title)
    size = np.nan_to_num(np.abs(predictions.y_hat), nan=np.inf, posinf=np.inf)
    reach = float(np.clip(1.05 * size.max(), 1.15, WIDEST))
    if outside := int((size > reach).sum()):
        ax.annotate(
            f"{outside} beyond ±{reach:g}", (0.98, 0.03), xycoords="axes fraction", ha="right", fontsize="small"
        )
    ax.set(xlim=(-1.05, 1.05), ylim=(-reach, reach))
    ax.legend(frameon=False, loc="upper left")
    tidy(ax)
    return ax
