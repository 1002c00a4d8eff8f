"""The answers of a network compared with the labels: the records behind `Learner.plot_predictions`."""

import numpy as np
from jaxtyping import Float

from memspan.figures.training import Confusion, Predictions
from memspan.tasks import Recall, Task
from memspan.tasks.base import Labels


def predictions_of(y_hat: Float[np.ndarray, "..."], y: Labels, task: Task, length: int | None) -> Predictions:
    """Collect the predictions and labels that count, and the trivial answer if it is a single number."""
    accuracy, counted = task.accuracy(y_hat, y), task.mask(y)
    labelled = counted[..., np.newaxis] & ~np.isnan(y)
    numbers = y[labelled]
    answers = set() if length is None else set(task.trivial_answer(length).ravel().tolist())
    low, high = np.floor(10 * numbers.min()) / 10, np.ceil(10 * numbers.max()) / 10
    if isinstance(task, Recall) or low == high:
        low, high = min(low, -1.0), max(high, 1.0)
    return Predictions(
        numbers,
        y_hat[labelled],
        accuracy,
        getattr(task, "tolerance", None),
        (float(low), float(high)),
        answers.pop() if len(answers) == 1 else None,
        f"label ({task.name})",
    )


def confusion_of(y_hat: Float[np.ndarray, "..."], y: Labels, task: Task) -> Confusion:
    """Count answers by class: the class of the largest output, or for a single output its sign."""
    classes, accuracy, counted = len(task.class_names), task.accuracy(y_hat, y), task.mask(y)
    right, answered = y[counted], y_hat[counted]
    if y.shape[-1] == 1:
        right, answered = (right > 0.5).astype(int)[..., 0], (answered > 0).astype(int)[..., 0]
    else:
        right, answered = right.argmax(axis=-1), answered.argmax(axis=-1)
    counts = np.zeros((classes, classes), int)
    np.add.at(counts, (right, answered), 1)
    title = f"{task.name}: {accuracy:.1%} of {len(right)} held-out answers correct"
    return Confusion(title, task.class_names, counts)
