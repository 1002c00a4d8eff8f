"""The learner: training, evaluation, plots and checkpoints of one network."""

from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from memspan.cells import Cell
from memspan.diagnostics import FlowSpread
from memspan.engines.base import EngineMaker
from memspan.engines.compiled import MEMORY
from memspan.errors import InvalidArgument, a_path, whole_number
from memspan.figures.training import LossCurve, draw_confusion, draw_loss, draw_predictions
from memspan.losses import Loss
from memspan.network import Model
from memspan.runtime.renamed import RenamedAttribute, checked_keywords
from memspan.shapes import Array, Outputs, PerStep
from memspan.tasks import Batch, Batches, Recall, Task
from memspan.training import checkpoint
from memspan.training.engines import engine_name
from memspan.training.ensemble import Ensemble
from memspan.training.history import Evaluation, FitResult, History
from memspan.training.member import Stream
from memspan.training.optimizers import Chain, Rule
from memspan.training.predictions import confusion_of, predictions_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class Learner:
    """A trainer of one network: an `Ensemble` with a single member, which also predicts, plots, saves and loads.

    Parameters
    ----------
    model : Network or TorchNetwork
        The network, which is trained in place.
    loss : Loss
        A loss such as `MSELoss()`, or any object with the methods `forward` and `backward`.
    batches : iterator of (x, y)
        Endless training data: `Batches`, or a generator such as `generate_samples(...)`.
    optimizer : Chain or a rule
        For example `Chain(ClipByNorm(1.0), Adam(1e-2))`.
    evaluation : iterator of (x, y), optional
        The held-out batches. If None, the learner uses a stream that is independent of `batches`; if `batches` is
        a plain generator, which cannot be forked, evaluations draw from `batches` too.
    task : Task, optional
        The task, which decides which answers are correct. If None, the task of `batches`, or the memory task.
        `task.make_loss()` returns the matching loss.
    threshold : float
        The accuracy on held-out batches at which the task counts as solved.
    truncate : int, optional
        k: the gradient of each output goes back through k steps, as in `Network.backward`. If None, it goes back
        to the beginning. The forward pass is the same.
    engine : str or object, optional
        For a `Network` `compiled`, the default, or `readable`. The readable engine is slower and leaves a `trace`
        and `grads` in the network. Both engines agree up to rounding. For a `memspan.torch.TorchNetwork` a
        `memspan.torch.Form`, by default the loop, or `readable`.
    memory : int
        The maximum size of the compiled engine's buffers, in bytes. A smaller value costs more time.

    Attributes
    ----------
    updates : int
        The number of updates so far, in all calls of `fit`.
    history : History
        The numbers of every update and evaluation.
    result : FitResult or None
        The result of the last `fit`.
    """

    outcome = RenamedAttribute("result")

    @checked_keywords()
    def __init__(
        self,
        model: Model,
        loss: Loss,
        batches: Iterator[Any],
        optimizer: Chain | Rule,
        *,
        evaluation: Iterator[Any] | None = None,
        task: Task | None = None,
        threshold: float = 0.9,
        truncate: int | None = None,
        engine: str | EngineMaker | None = None,
        memory: int = MEMORY,
    ) -> None:
        self.ensemble = Ensemble(
            [model],
            loss,
            [batches],
            optimizer,
            evaluation=None if evaluation is None else [evaluation],
            task=task,
            threshold=threshold,
            truncate=truncate,
            engine=engine_name(engine),
            memory=memory,
        )
        self._member = self.ensemble.members[0]

    def __repr__(self) -> str:
        return f"<Learner of {self.model!r}, {self.updates} updates, {self.result or 'not yet trained'}>"

    # The parts are read-only, because the engine is built for this network and this loss.

    @property
    def model(self) -> Any:
        """The network in training."""
        return self._member.model

    @property
    def loss(self) -> Loss:
        """The loss."""
        return self.ensemble.loss

    @property
    def optimizer(self) -> Chain:
        """The optimiser: clips and one rule."""
        return self.ensemble.optimizer

    @property
    def batches(self) -> Stream:
        """The stream of training batches."""
        return self._member.batches

    @property
    def evaluation(self) -> Stream:
        """The stream of held-out batches."""
        return self._member.evaluation

    @property
    def task(self) -> Task:
        """The task, which decides which answers are correct."""
        return self.ensemble.task

    @property
    def threshold(self) -> float:
        """The accuracy at which the task counts as solved."""
        return self.ensemble.threshold

    @property
    def truncate(self) -> int | None:
        """The number of steps through which the gradient of each output goes back; None for all."""
        return self.ensemble.truncate

    @property
    def history(self) -> History:
        """The numbers of every update and evaluation."""
        return self._member.history

    @property
    def updates(self) -> int:
        """The number of updates so far."""
        return self._member.updates

    @property
    def state(self) -> Any:
        """The state of the optimiser."""
        return self._member.state

    @property
    def result(self) -> FitResult | None:
        """The result of the last `fit`."""
        return self._member.result

    @property
    def flows(self) -> list[PerStep]:
        """Σ_b ‖dL/da[t]‖ `[T]` of each measured update: see `flow_every` of `fit`."""
        return self._member.flows

    @property
    def spreads(self) -> list[FlowSpread]:
        """How ‖dL/da[t]‖ is spread over the batch, for each measured update."""
        return self._member.spreads

    @property
    def last_batch(self) -> Batch | None:
        """The batch of the last update."""
        return self._member.last

    @checked_keywords()
    def fit(
        self,
        updates: int,
        *,
        evaluate_every: int = 100,
        evaluation_batches: int = 4,
        final_batches: int = 20,
        stop_when_solved: bool = True,
        progress: bool | str = True,
        observe: Callable[[Self], object] | None = None,
        flow_every: int = 0,
    ) -> FitResult:
        """Train for `updates` more updates, or until the task is solved.

        Every `evaluate_every` updates the learner scores the network on `evaluation_batches` held-out batches. If
        the score reaches the threshold, it scores the network again on `final_batches` further batches, and stops
        if this score lies at least two standard errors above the threshold. The result always comes from
        `final_batches` fresh batches, which no decision to stop has seen. (All evaluations draw from `evaluation`.
        If that is also the generator of the training batches, two calls of `fit` differ from one long call.)

        Ctrl-C ends training after the current update, and the learner can continue from there. A second Ctrl-C
        ends training at once.

        Parameters
        ----------
        updates : int
            The number of further updates.
        evaluate_every : int
            The number of updates between evaluations.
        evaluation_batches, final_batches : int
            The number of held-out batches in an evaluation, and in the confirmation and the final result.
        stop_when_solved : bool
            Whether to stop as soon as the task is solved.
        progress : bool or str
            Whether to show progress, or a kind of display from `memspan.runtime.progress.KINDS`.
        observe : callable, optional
            Called with this learner after every update. Training ends when it returns True. With the readable
            engine, `learner.model.grads` then has the gradients of the update.
        flow_every : int
            Measure dL/da every `flow_every` updates, starting with the first; the results are in `flows` and
            `spreads`. If 0, never. An update whose weight gradient is not finite ends the training and is not
            measured.

        Returns
        -------
        FitResult
        """
        if observe is not None and not callable(observe):
            raise InvalidArgument("observe", "a function that takes the learner", repr(observe))
        return self.ensemble.fit(
            updates,
            evaluate_every=evaluate_every,
            evaluation_batches=evaluation_batches,
            final_batches=final_batches,
            stop_when_solved=stop_when_solved,
            progress=progress,
            observe=None if observe is None else lambda: observe(self),
            flow_every=flow_every,
        )[0]

    def evaluate(self, batches: int = 20) -> Evaluation:
        """Score the network on held-out batches."""
        return self.ensemble.evaluate(batches)[0]

    def accuracy(self, batches: int = 20) -> float:
        """Return the share of correct predictions on held-out batches."""
        return self.evaluate(batches).accuracy

    def predict(self, x: Array) -> Outputs:
        """Return ŷ `[B, O]` for `x [T, B, F]`, or ŷ `[1, O]` for `x [T, F]`."""
        return self.model.predict(x)

    def plot_loss(self, ax: "Axes | None" = None) -> "Axes":
        """Plot the training loss, the held-out loss and the trivial risk against the number of updates."""
        history, length = self.history, self._length()
        curve = LossCurve(
            np.array(history.loss),
            np.array(history.evaluated_at),
            np.array(history.evaluation_loss),
            None if length is None else self.task.trivial_risk(length),
            getattr(self.loss, "label", "loss"),
        )
        return draw_loss(curve, ax)

    def plot_predictions(self, batches: int = 4, ax: "Axes | None" = None) -> "Axes":
        """Plot predictions against labels for held-out batches; for a task with classes, a confusion matrix."""
        held_out = list(islice(self.evaluation, whole_number("batches", batches)))
        y = np.concatenate([self.task.noise_free(x, y) for x, y in held_out], axis=-2)
        y_hat = np.concatenate([self.model.predict(x) for x, _ in held_out], axis=-2)
        if self.task.class_names:
            return draw_confusion(confusion_of(y_hat, y, self.task), ax)
        return draw_predictions(predictions_of(y_hat, y, self.task, self._length()), ax)

    def _length(self) -> int | None:
        """Return T of the training batches; for a plain generator, the T that matches the last batch's steps."""
        if isinstance(self.batches, Batches):
            return self.batches.length
        if self.last_batch is None:
            return self.task.least_length if isinstance(self.task, Recall) else None  # Recall: same risk for all T
        steps, least = len(self.last_batch.x), self.task.least_length
        return next((T for T in range(least, steps + 1) if self.task.shape(T).steps == steps), None)

    def save(self, path: str | Path) -> None:
        """Write the learner to one safetensors file. An interrupted write leaves no partial file.

        Raises
        ------
        InvalidArgument
            If a part cannot be saved, such as a network of a user's own subclass of `Network`.
        """
        parts = (self.model, self.loss, self.optimizer, self.state, self.batches, self.evaluation, self.task)
        numbers = (self.history, self.updates, self.threshold, self.truncate)
        checkpoint.write(a_path("path", path), checkpoint.Checkpoint(*parts, *numbers))

    @classmethod
    def load(
        cls,
        path: str | Path,
        *,
        model: Model | None = None,
        cell: Cell | None = None,
        loss: Loss | None = None,
        optimizer: Chain | Rule | None = None,
        batches: Iterator[Any] | None = None,
        evaluation: Iterator[Any] | None = None,
        task: Task | None = None,
        engine: str | EngineMaker | None = None,
        memory: int = MEMORY,
    ) -> Self:
        """Load a saved learner. Continued training is bit-identical to that of the original learner.

        Parameters
        ----------
        path : path
            A file written by `save`.
        model : TorchNetwork, optional
            For a PyTorch model, whose code is not in the file: a network of the same model and sizes, such as a
            new one of the same factory. It gets the saved weights. Its frozen parameters and its buffers must be
            those of the saved one.
        cell, loss, optimizer, batches, evaluation, task : optional
            Parts that replace those in the file. A part that is not one of memspan's is not in the file and must
            be passed. A cell must have the name of the saved one.

            If the saved batches came from a generator, pass the same generator at its beginning; `load` skips the
            batches that were already used. `Batches` are saved with the learner. If other batches are passed, the
            learner trains on these, and evaluates on a fork of them unless `evaluation` is passed too.
        engine : str or object
            As for a new learner. With another engine than before, continued training agrees only up to rounding.
        memory : int
            As for a new learner.

        Raises
        ------
        UnreadableFile
            If the file is truncated or damaged, is not a saved learner, or contains impossible numbers.
        InvalidArgument
            If a required part is missing, or the batches differ from those that were used.
        """
        if optimizer is not None and not isinstance(optimizer, Chain):
            optimizer = Chain(optimizer)
        given = checkpoint.Substitutes(model, cell, loss, optimizer, batches, evaluation, task)
        saved = checkpoint.read(a_path("path", path), given)
        parts = (saved.model, saved.loss, saved.batches, saved.optimizer)
        learner = cls(
            *parts,
            evaluation=saved.evaluation,
            task=saved.task,
            threshold=saved.threshold,
            truncate=saved.truncate,
            engine=engine,
            memory=memory,
        )
        member = learner._member
        member.state, member.history, member.updates = saved.state, saved.history, saved.updates
        return learner
