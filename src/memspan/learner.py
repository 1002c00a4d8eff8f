"""The training loop."""

from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from memspan import checkpoint
from memspan.axes import Array, Outputs
from memspan.cells import Cell
from memspan.errors import InvalidArgument, real_number, whole_number
from memspan.figures.training import LossCurve, Predictions, draw_loss, draw_predictions
from memspan.history import Evaluation, History, Outcome, Status
from memspan.interrupts import noted_interrupts
from memspan.losses import Loss
from memspan.network import Network
from memspan.optimizers import Chain, Rule
from memspan.progress import progress as show_progress
from memspan.tasks import Batches, Counted, Recall, Task

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class Learner:
    """Trains a network, keeps the history, predicts, and draws.

    Parameters
    ----------
    model : Network
        Trained in place.
    loss : MSELoss, or any object with its two methods
    batches : iterator of (x, y)
        Training data without end: `Batches`, or any generator such as `generate_samples` gives.
    optimizer : Chain or a rule
        For example `Chain(ClipByNorm(1.0), Adam(1e-2))`.
    evaluation : iterator of (x, y), optional
        Where evaluations take their fresh batches from. By default a stream of their own, independent of
        `batches`; a plain generator cannot be doubled, so there they share it with training.
    task : Task, optional
        Says what counts as correct; by default that of `batches`, or the memory task.
    threshold : float
        The accuracy on fresh batches that solves the task.

    Attributes
    ----------
    updates : int
        Updates done so far; `fit` goes on counting from it.
    history : History
    outcome : Outcome or None
        How the last `fit` ended.
    """

    def __init__(
        self,
        model: Network,
        loss: Loss,
        batches: Iterator[Any],
        optimizer: Chain | Rule,
        *,
        evaluation: Iterator[Any] | None = None,
        task: Task | None = None,
        threshold: float = 0.9,
    ) -> None:
        if not isinstance(model, Network) or model.dtype.kind != "f":  # type: ignore[redundant-expr]
            raise InvalidArgument("model", "a Network of float32 or float64", repr(model))
        for name in ("forward", "backward"):
            if not callable(getattr(loss, name, None)):
                raise InvalidArgument("loss", f"an object with a method {name}", repr(loss))
        self.model, self.loss = model, loss
        self.batches = _stream("batches", batches)
        if evaluation is None:
            self.evaluation = self.batches.fork() if isinstance(self.batches, Batches) else self.batches
        else:
            self.evaluation = _stream("evaluation", evaluation)
        self.optimizer = optimizer if isinstance(optimizer, Chain) else Chain(optimizer)
        self.task = task or getattr(batches, "task", None) or Recall()
        self.threshold = real_number("threshold", threshold, above=0, most=1)
        self.state = self.optimizer.init(model.parameters)
        self.history = History()
        self.updates = 0
        self.outcome: Outcome | None = None

    def fit(
        self,
        updates: int,
        *,
        evaluate_every: int = 100,
        evaluation_batches: int = 4,
        final_batches: int = 20,
        stop_when_solved: bool = True,
        progress: bool | str = True,
        observe: Callable[[Self], None] | None = None,
    ) -> Outcome:
        """Train for `updates` more updates, or until the task is solved.

        Every `evaluate_every` updates the network is scored on `evaluation_batches` fresh batches. A score at the
        threshold is confirmed on `final_batches` more, and only these decide; they also give the verdict at the
        end. (All of them draw from `evaluation`; where a plain generator shares that with training, fitting twice
        is not fitting once for longer.)

        Ctrl-C ends training after the update in progress, and the learner can go on from there; a second one does
        not wait for it.

        Parameters
        ----------
        updates : int
            How many more.
        evaluate_every, evaluation_batches, final_batches : int
            As above.
        stop_when_solved : bool
            Whether to end early.
        progress : bool or str
            Whether to show it, or a kind from `memspan.progress.KINDS`.
        observe : callable, optional
            Called with this learner after every update; `learner.model.gradients` are then those of the update.

        Returns
        -------
        Outcome
        """
        goal = self.updates + whole_number("updates", updates)
        every = whole_number("evaluate_every", evaluate_every)
        few = whole_number("evaluation_batches", evaluation_batches)
        many = whole_number("final_batches", final_batches)
        kind = progress if isinstance(progress, str) else "auto" if progress else "none"
        self.outcome = None
        with (
            noted_interrupts(patient=False) as interrupted,
            show_progress(goal, "training", "updates", kind=kind, done=self.updates) as report,
        ):
            while self.updates < goal and self.outcome is None:
                self._step()
                if self.outcome is None:
                    if observe is not None:
                        observe(self)
                    if self.updates % every == 0 and self.updates < goal:
                        self._look(few, many if stop_when_solved else 0)
                if interrupted() and self.outcome is None:
                    self.outcome = Outcome(Status.INTERRUPTED, self.updates)
                report(self.updates, self._note())
            if self.outcome is None:
                self.outcome = self._verdict(self._record(self.evaluate(many)))
            if interrupted() and self.outcome.status is not Status.INTERRUPTED:
                raise KeyboardInterrupt  # it came too late to interrupt this, and must not be lost
        return self.outcome

    @np.errstate(over="ignore", invalid="ignore")  # a loss that overflows is a result
    def evaluate(self, batches: int = 20) -> Evaluation:
        """Score the network on fresh batches."""
        losses, accuracies = [], []
        for x, y in islice(self.evaluation, whole_number("batches", batches)):
            y_hat, y = self.model.predict(x), y.astype(self.model.dtype)
            losses.append(self.loss.forward(y_hat, y))
            accuracies.append(self.task.accuracy(y_hat, y))
        return Evaluation(float(np.mean(losses)), float(np.mean(accuracies)), np.array(accuracies))

    def accuracy(self, batches: int = 20) -> float:
        """The share of correct predictions on fresh batches."""
        return self.evaluate(batches).accuracy

    def predict(self, x: Array) -> Outputs:
        """ŷ `[B, O]` for `x [T, B, F]`, or `[1, O]` for `[T, F]`."""
        return self.model.predict(x)

    def plot_loss(self, ax: "Axes | None" = None) -> "Axes":
        """Draw the training loss and the fresh-batch loss against the updates, with the trivial risk."""
        history, task = self.history, self.task
        curve = LossCurve(
            np.array(history.loss),
            np.array(history.evaluated_at),
            np.array(history.evaluation_loss),
            task.trivial_risk,
        )
        return draw_loss(curve, ax)

    def plot_predictions(self, batches: int = 4, ax: "Axes | None" = None) -> "Axes":
        """Draw predictions on fresh batches against their labels, with the trivial prediction."""
        pairs = [(y, self.model.predict(x)) for x, y in islice(self.evaluation, whole_number("batches", batches))]
        y, y_hat = (np.concatenate(part)[:, 0] for part in zip(*pairs, strict=True))
        tolerance = getattr(self.task, "tolerance", None)
        return draw_predictions(Predictions(y, y_hat, self.task.accuracy(y_hat, y), tolerance), ax)

    def save(self, path: str | Path) -> None:
        """Write everything to one safetensors file; the file appears whole or not at all.

        Raises
        ------
        InvalidArgument
            For a subclass of Network with a behaviour of its own, which a file cannot hold.
        """
        parts = (self.model, self.loss, self.optimizer, self.state, self.batches, self.evaluation, self.task)
        checkpoint.write(path, checkpoint.Checkpoint(*parts, self.history, self.updates, self.threshold))

    @classmethod
    def load(
        cls,
        path: str | Path,
        *,
        cell: Cell | None = None,
        loss: Loss | None = None,
        optimizer: Chain | None = None,
        batches: Iterator[Any] | None = None,
        evaluation: Iterator[Any] | None = None,
        task: Task | None = None,
    ) -> Self:
        """Read a saved learner; continuing it is bit-identical to continuing the one that was saved.

        Parameters
        ----------
        path : path
            A file written by `save`.
        cell, loss, optimizer, batches, evaluation, task : optional
            Needed only for parts that are not memspan's own and so cannot be named in a file. A generator is given
            as it was at its beginning; the batches that were already used are drawn and thrown away.

        Raises
        ------
        UnreadableFile
            When the file is truncated, not a learner, or holds what no learner could.
        InvalidArgument
            When a part is needed and missing, or the batches are not those that were used.
        """
        given = checkpoint.Substitutes(cell, loss, optimizer, batches, evaluation, task)
        saved = checkpoint.read(path, given)
        parts = (saved.model, saved.loss, saved.batches, saved.optimizer)
        learner = cls(*parts, evaluation=saved.evaluation, task=saved.task, threshold=saved.threshold)
        learner.state, learner.history, learner.updates = saved.state, saved.history, saved.updates
        return learner

    def _step(self) -> None:
        """One update, or the outcome that prevents it."""
        try:
            tensor = self._update()
        except KeyboardInterrupt:  # raised by the data, or by a second Ctrl-C
            self.outcome = Outcome(Status.INTERRUPTED, self.updates)
            return
        if tensor is not None:
            self.outcome = Outcome(Status.DIVERGED, self.updates, tensor=tensor)

    @np.errstate(over="ignore", invalid="ignore")  # what overflows is looked for, and named, below
    def _update(self) -> str | None:
        """One optimiser step; if anything is not finite, its name instead, and nothing has changed."""
        x, y = next(self.batches)
        y = y.astype(self.model.dtype)
        weights = self.model.layout.by_name(self.model.parameters)
        if tensor := _not_finite({"x": x, "y": y, **weights}):
            return tensor
        loss = self.loss.forward(self.model.forward(x), y)
        gradient = self.model.backpropagate(self.loss.backward()).total()
        views = self.model.layout.by_name(gradient)
        if tensor := _not_finite({"loss": loss, **{f"d_{name}": view for name, view in views.items()}}):
            return tensor
        step = self.optimizer.step(gradient, self.state)
        parameters = self.model.parameters + step.change
        views = self.model.layout.by_name(parameters)
        memory = {f"{name} of the optimizer": part for name, part in step.state._asdict().items()}
        if tensor := _not_finite({f"{name} after the step": view for name, view in views.items()} | memory):
            return tensor
        self.model.parameters[:], self.state = parameters, step.state
        self.history.loss.append(float(loss))
        self.history.norm.append(float(step.norm[0]))
        self.history.clipped_norm.append(float(step.clipped_norm[0]))
        self.updates += 1
        return None

    def _look(self, few: int, many: int) -> None:
        """Score on a few fresh batches; if these are solved, on many, which decide (unless `many` is 0)."""
        evaluation = self.evaluate(few)
        if many and evaluation.accuracy >= self.threshold:
            evaluation = self.evaluate(many)
            if evaluation.accuracy >= self.threshold:
                self.outcome = self._verdict(evaluation)
        self._record(evaluation)

    def _verdict(self, evaluation: Evaluation) -> Outcome:
        solved = evaluation.accuracy >= self.threshold
        return Outcome(Status.SOLVED if solved else Status.UNSOLVED, self.updates, evaluation)

    def _record(self, evaluation: Evaluation) -> Evaluation:
        self.history.evaluated_at.append(self.updates)
        self.history.evaluation_loss.append(evaluation.loss)
        self.history.accuracy.append(evaluation.accuracy)
        return evaluation

    def _note(self) -> str:
        loss = f"loss {self.history.loss[-1]:.4f}" if self.history.loss else ""
        accuracy = f", accuracy {self.history.accuracy[-1]:.2f}" if self.history.accuracy else ""
        return f"update {self.updates}, {loss}{accuracy}"


def _stream(name: str, batches: Iterator[Any]) -> Batches | Counted:
    if isinstance(batches, Batches | Counted):
        return batches
    return Counted(batches, name)


def _not_finite(tensors: dict[str, Any]) -> str | None:
    """The name of the first tensor with a NaN or an infinity."""
    return next((name for name, tensor in tensors.items() if not np.isfinite(tensor).all()), None)
