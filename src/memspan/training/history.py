"""The history of a training run, evaluations, and the result of training."""

from dataclasses import dataclass, field, fields
from enum import StrEnum

import numpy as np
from jaxtyping import Float

from memspan.runtime.renamed import RenamedAttribute


@dataclass(repr=False)
class History:
    """The numbers of every update and every evaluation.

    Attributes
    ----------
    loss : list of float
        The training loss of each update, before the step.
    norm, clipped_norm : list of float
        The norm of the whole gradient of each update, before and after clipping.
    evaluated_at : list of int
        The number of updates before each evaluation.
    evaluation_loss, accuracy : list of float
        The loss and the accuracy on held-out batches at each evaluation.
    """

    loss: list[float] = field(default_factory=list)
    norm: list[float] = field(default_factory=list)
    clipped_norm: list[float] = field(default_factory=list)
    evaluated_at: list[int] = field(default_factory=list)
    evaluation_loss: list[float] = field(default_factory=list)
    accuracy: list[float] = field(default_factory=list)

    def __repr__(self) -> str:
        loss = f", loss {self.loss[-1]:.4g}" if self.loss else ""
        accuracy = f", accuracy {self.accuracy[-1]:.3f}" if self.accuracy else ""
        return f"<History of {len(self.loss)} updates{loss}, {len(self.evaluated_at)} evaluations{accuracy}>"

    def of_update(self, loss: float, norm: float, clipped_norm: float) -> None:
        """Append the numbers of an update."""
        self.loss.append(loss)
        self.norm.append(norm)
        self.clipped_norm.append(clipped_norm)

    def of_evaluation(self, updates: int, evaluation: "Evaluation") -> None:
        """Append an evaluation after `updates` updates."""
        self.evaluated_at.append(updates)
        self.evaluation_loss.append(evaluation.loss)
        self.accuracy.append(evaluation.accuracy)

    def arrays(self) -> dict[str, Float[np.ndarray, "entries"]]:
        """Return every list as an array, by name."""
        return {item.name: np.array(getattr(self, item.name), dtype=np.float64) for item in fields(self)}


@dataclass(frozen=True)
class Evaluation:
    """The scores of a network on held-out batches.

    Attributes
    ----------
    loss, accuracy : float
        Means over the batches.
    losses, accuracies : array [batches]
        The loss and the accuracy of each batch.
    """

    loss: float
    accuracy: float
    losses: Float[np.ndarray, "batches"] = field(compare=False, repr=False)
    accuracies: Float[np.ndarray, "batches"] = field(compare=False, repr=False)

    @property
    def standard_error(self) -> float:
        """The standard error of the accuracy, from the spread over batches; 0 for a single batch."""
        count = len(self.accuracies)
        return float(np.std(self.accuracies, ddof=1) / count**0.5) if count > 1 else 0.0


class Outcome(StrEnum):
    """The outcome of training, or of a trial of a study."""

    SOLVED = "solved"
    UNSOLVED = "unsolved"
    DIVERGED = "diverged"
    FAILED = "failed"  # an error of the machine; only for trials
    INTERRUPTED = "interrupted"  # only for training; an interrupted trial is run again


@dataclass(frozen=True)
class FitResult:
    """The result of training.

    Attributes
    ----------
    outcome : Outcome
        How training ended.
    update : int
        The total number of updates.
    evaluation : Evaluation or None
        The last evaluation, if the outcome is `solved` or `unsolved`.
    tensor : str or None
        If the outcome is `diverged`, the name of the first tensor that was not finite. The network keeps the
        weights from before that update.
    """

    outcome: Outcome
    update: int
    evaluation: Evaluation | None = None
    tensor: str | None = None

    status = RenamedAttribute("outcome")

    def __str__(self) -> str:
        if self.outcome is Outcome.DIVERGED:
            found = f"{self.tensor} is not finite"
            return f"diverged at update {self.update + 1}: {found}; the weights before it are kept"
        if self.evaluation is None:
            return f"{self.outcome} after {self.update} updates"
        score = f"accuracy {self.evaluation.accuracy:.3f}, loss {self.evaluation.loss:.4g} on held-out batches"
        return f"{self.outcome} after {self.update} updates: {score}"
