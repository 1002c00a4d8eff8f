"""The plots of a learner: its loss, its predictions and its confusion matrix."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from memspan.figures.style import BLACK, BLUE, GREEN, GREY, ORANGE, axes_or_new, ink_of_user, tidy
from memspan.shapes import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes


HIGHEST = 30.0  # the largest upper limit of the loss axis, in multiples of the trivial risk or of the first loss
LARGEST = 1e6  # the largest first loss that determines this limit if the trivial risk is unknown
WIDEST = 5.0  # the largest half-width of the axis of predictions, in multiples of half the range of the labels
MOST_NUMBERS = 10  # the largest number of classes for which the shares are printed


@dataclass(frozen=True)
class LossCurve:
    """The training loss of each update, the loss of each evaluation, the trivial risk, and the name of the loss.

    If the trivial risk is None, it is not drawn.
    """

    loss: Array
    evaluated_at: Array
    evaluation_loss: Array
    trivial_risk: float | None
    label: str = "mean squared error"


@dataclass(frozen=True)
class Predictions:
    """The labels and predictions of a task whose answers are numbers.

    Attributes
    ----------
    y, y_hat : array [n]
        Labels and predictions.
    accuracy : float
        The share of correct predictions.
    tolerance : float or None
        The largest error of a correct prediction; None if the task has no tolerance.
    ends : (float, float)
        The range of the labels.
    trivial : float or None
        The trivial answer, if it is one number.
    label : str
        The name of the axis of labels.
    """

    y: Array
    y_hat: Array
    accuracy: float
    tolerance: float | None
    ends: tuple[float, float] = (-1.0, 1.0)
    trivial: float | None = 0.0
    label: str = "label: the first number of the sequence"


@dataclass(frozen=True)
class Confusion:
    """A confusion matrix.

    Attributes
    ----------
    title : str
    names : tuple of str
        The names of the classes.
    counts : array [classes, classes]
        The number of answers by the class of the label (row) and of the answer (column).
    """

    title: str
    names: tuple[str, ...]
    counts: Array


def draw_loss(curve: LossCurve, ax: "Axes | None" = None) -> "Axes":
    """Plot loss against update on a log axis."""
    ax = axes_or_new(ax)
    updates = np.arange(1, len(curve.loss) + 1)
    first = min(float(np.nan_to_num(curve.loss[:1]).sum()), LARGEST)
    highest = HIGHEST * (curve.trivial_risk or first or 1.0)
    shown = np.clip(curve.loss, None, 1e3 * highest)  # avoid overflow
    ax.plot(updates, shown, color=BLUE, alpha=0.55, linewidth=0.8, label="training batch")
    ax.plot(
        curve.evaluated_at, curve.evaluation_loss, "o-", color=ORANGE, markersize=3.5, label="held-out batches"
    )
    if curve.trivial_risk is not None:
        label = f"trivial risk {curve.trivial_risk:.3f}"
        ax.axhline(curve.trivial_risk, color=GREY, linestyle="--", linewidth=1, label=label)
    ax.set(xlabel="update", ylabel=curve.label, yscale="log", title="Loss during training")
    if not (curve.loss <= highest).all():
        ax.set_ylim(top=highest)
        ax.annotate("▲ beyond the axis", (0.98, 0.95), xycoords="axes fraction", ha="right", fontsize="small")
    ax.legend(frameon=False)
    tidy(ax)
    return ax


def draw_predictions(predictions: Predictions, ax: "Axes | None" = None) -> "Axes":
    """Plot prediction against label. A network that remembers is on the diagonal."""
    ax = axes_or_new(ax)
    ends = np.array(predictions.ends)
    middle, half = float(ends.mean()), float(np.ptp(ends)) / 2
    if predictions.tolerance is not None:
        low, high = ends - predictions.tolerance, ends + predictions.tolerance
        label = f"correct: within {predictions.tolerance:g}"
        ax.fill_between(ends, low, high, color=GREEN, alpha=0.18, linewidth=0, label=label)
    ax.plot(ends, ends, color=BLACK, linewidth=0.8, label="prediction = label")
    if predictions.trivial is not None:
        label = f"trivial prediction {predictions.trivial:g}"
        ax.axhline(predictions.trivial, color=GREY, linestyle="--", linewidth=1, label=label)
    beyond = 10 * WIDEST * half
    shown = np.clip(predictions.y_hat, middle - beyond, middle + beyond)  # avoid overflow
    ax.plot(predictions.y, shown, ".", color=BLUE, alpha=0.5, markersize=4, label="network")
    title = f"{predictions.accuracy:.1%} of {len(predictions.y)} held-out predictions correct"
    ax.set(xlabel=predictions.label, ylabel="prediction", title=title)
    size = np.nan_to_num(np.abs(predictions.y_hat - middle), nan=np.inf, posinf=np.inf)
    reach = float(np.clip(1.05 * size.max(), 1.15 * half, WIDEST * half))
    if outside := int((size > reach).sum()):
        text = f"{outside} beyond ±{reach:g}" if middle == 0 else f"{outside} beyond the axis"
        ax.annotate(text, (0.98, 0.03), xycoords="axes fraction", ha="right", fontsize="small")
    ax.set(xlim=(middle - 1.05 * half, middle + 1.05 * half), ylim=(middle - reach, middle + reach))
    ax.legend(frameon=False, loc="upper left")
    tidy(ax)
    ink_of_user(ax)
    return ax


def draw_confusion(confusion: Confusion, ax: "Axes | None" = None) -> "Axes":
    """Draw the share of each answer for each class of the label.

    If the network remembers, only the diagonal is dark. Classes that do not occur as labels have no row.
    """
    ax = axes_or_new(ax)
    occurring = np.flatnonzero(confusion.counts.sum(axis=1))
    counts = confusion.counts[occurring]
    shares = counts / counts.sum(axis=1, keepdims=True)
    image = ax.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    if len(confusion.names) <= MOST_NUMBERS:
        for (row, column), share in np.ndenumerate(shares):
            colour = "white" if share > 0.6 else BLACK
            ax.text(column, row, f"{share:.2f}", ha="center", va="center", fontsize="x-small", color=colour)
    ax.set_xticks(range(len(confusion.names)), confusion.names, fontsize="small")
    ax.set_yticks(range(len(occurring)), [confusion.names[k] for k in occurring], fontsize="small")
    ax.set(xlabel="answer", ylabel="label", title=confusion.title)
    ax.figure.colorbar(image, ax=ax, label="share of answers, by label")
    return ax
