"""What a learner remembers of its training, and how training ended."""

from dataclasses import dataclass, field, fields
from enum import StrEnum

import numpy as np
from jaxtyping import Float

from memspan.runtime.renamed import RenamedAttribute


@dataclass(repr=False)
class History:
    """One number per update, and one per evaluation.

    Attributes
    ----------
    loss : list of float
        The training loss of each update, before its step.
    norm, clipped_norm : list of float
        The norm of the whole gradient of each update, before and after clipping.
    evaluated_at : list of int
        The number of updates done at each evaluation.
    evaluation_loss, accuracy : list of float
        What each evaluation found on held-out batches.
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
        """Keep what an update found."""
        self.loss.append(loss)
        self.norm.append(norm)
        self.clipped_norm.append(clipped_norm)

    def of_evaluation(self, updates: int, evaluation: "Evaluation") -> None:
        """Keep what an evaluation found, after so many updates."""
        self.evaluated_at.append(updates)
        self.evaluation_loss.append(evaluation.loss)
        self.accuracy.append(evaluation.accuracy)

    def arrays(self) -> dict[str, Float[np.ndarray, "entries"]]:
        """Every series as an array, by name."""
        return {item.name: np.array(getattr(self, item.name), dtype=np.float64) for item in fields(self)}


@dataclass(frozen=True)
class Evaluation:
    """What a network scores on held-out batches.

    Attributes
    ----------
    loss, accuracy : float
        Means over the batches.
    losses, accuracies : array [batches]
        Those of each batch.
    """

    loss: float
    accuracy: float
    losses: Float[np.ndarray, "batches"] = field(compare=False, repr=False)
    accuracies: Float[np.ndarray, "batches"] = field(compare=False, repr=False)


class Outcome(StrEnum):
    """How training, or a trial of a study, ended."""

    SOLVED = "solved"
    UNSOLVED = "unsolved"
    DIVERGED = "diverged"
    FAILED = "failed"  # the machine's fault; only trials end so
    INTERRUPTED = "interrupted"  # only training ends so; a trial is then run again


@dataclass(frozen=True)
class FitResult:
    """How training ended.

    Attributes
    ----------
    outcome : Outcome
    update : int
        The number of updates done in all.
    evaluation : Evaluation or None
        The last one, for `solved` and `unsolved`.
    tensor : str or None
        For `diverged`: the first tensor that was not finite. The weights are those before that update.
    """

    outcome: Outcome
    update: int
    evaluation: Evaluation | None = None
    tensor: str | None = None

    status = RenamedAttribute("outcome")

    def __str__(self) -> str:
        if self.outcome is Outcome.DIVERGED:
            return f"diverged at update {self.update + 1}: {self.tensor} not finite; the weights before it stand"
        if self.evaluation is None:
            return f"{self.outcome} after {self.update} updates"
        score = f"accuracy {self.evaluation.accuracy:.3f}, loss {self.evaluation.loss:.4g} on held-out batches"
        return f"{self.outcome} after {self.update} updates: {score}"
