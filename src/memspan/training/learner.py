"""Training one network, and everything that one looks at afterwards."""

from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from memspan.cells import Cell
from memspan.engines.compiled import MEMORY
from memspan.errors import InvalidArgument, a_path, whole_number
from memspan.figures.training import LossCurve, draw_confusion, draw_loss, draw_predictions
from memspan.losses import Loss
from memspan.network import Network
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
    """Trains a network, keeps the history, predicts, and draws: an `Ensemble` of one.

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
        Where evaluations take their held-out batches from. By default a stream of their own, independent of
        `batches`; a plain generator cannot be doubled, so there they share it with training.
    task : Task, optional
        Says what counts as correct; by default that of `batches`, or the memory task. Its `make_loss` makes the
        loss that goes with it.
    threshold : float
        The accuracy on held-out batches that solves the task.
    engine : `compiled` or `readable`
        The readable engine is slower NumPy, and leaves a `trace` and `grads` in the network. The two agree to
        rounding.
    memory : int
        Bytes that the compiled engine's buffers may take; less means more computing.

    Attributes
    ----------
    updates : int
        Updates done so far; `fit` goes on counting from it.
    history : History
    result : FitResult or None
        How the last `fit` ended.
    """

    outcome = RenamedAttribute("result")

    @checked_keywords()
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
        engine: str = "compiled",
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
            engine=engine_name(engine),
            memory=memory,
        )
        self._member = self.ensemble.members[0]

    def __repr__(self) -> str:
        return f"<Learner of {self.model!r}, {self.updates} updates, {self.result or 'not yet trained'}>"

    # What it is made of can be read, and not replaced: the engine is made for this network and this loss.

    @property
    def model(self) -> Network:
        """The network in training."""
        return self._member.model

    @property
    def loss(self) -> Loss:
        """What it is trained with."""
        return self.ensemble.loss

    @property
    def optimizer(self) -> Chain:
        """The clips and the rule."""
        return self.ensemble.optimizer

    @property
    def batches(self) -> Stream:
        """Where training takes its batches from."""
        return self._member.batches

    @property
    def evaluation(self) -> Stream:
        """Where evaluations take their held-out batches from."""
        return self._member.evaluation

    @property
    def task(self) -> Task:
        """What says which answers are correct."""
        return self.ensemble.task

    @property
    def threshold(self) -> float:
        """The accuracy that solves the task."""
        return self.ensemble.threshold

    @property
    def history(self) -> History:
        """What each update and evaluation found."""
        return self._member.history

    @property
    def updates(self) -> int:
        """Updates done so far."""
        return self._member.updates

    @property
    def state(self) -> Any:
        """The optimiser's memory."""
        return self._member.state

    @property
    def result(self) -> FitResult | None:
        """How the last `fit` ended."""
        return self._member.result

    @property
    def flows(self) -> list[PerStep]:
        """Σ_b ‖dL/da[t]‖ `[T]` of each update that was measured: see `flow_every` of `fit`."""
        return self._member.flows

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

        Every `evaluate_every` updates the network is scored on `evaluation_batches` held-out batches. A score at
        the threshold is confirmed on `final_batches` more, and only these decide; they also give the verdict at
        the end. (All of them draw from `evaluation`; where a plain generator shares that with training, fitting
        twice is not fitting once for longer.)

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
            Whether to show it, or a kind from `memspan.runtime.progress.KINDS`.
        observe : callable, optional
            Called with this learner after every update; training ends when it returns True. With the readable
            engine, `learner.model.grads` are then those of the update.
        flow_every : int
            After so many updates each, beginning with the first, dL/da is measured: `flows`. 0 for never.

        Returns
        -------
        FitResult
        """
        if observe is not None and not callable(observe):
            raise InvalidArgument("observe", "a function of the learner", repr(observe))
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
        """The share of correct predictions on held-out batches."""
        return self.evaluate(batches).accuracy

    def predict(self, x: Array) -> Outputs:
        """ŷ `[B, O]` for `x [T, B, F]`, or `[1, O]` for `[T, F]`."""
        return self.model.predict(x)

    def plot_loss(self, ax: "Axes | None" = None) -> "Axes":
        """Draw the training loss and the held-out loss against the updates, with the trivial risk."""
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
        """Draw answers to held-out batches: numbers against their labels, classes against their classes."""
        held_out = list(islice(self.evaluation, whole_number("batches", batches)))
        y = np.concatenate([self.task.noise_free(x, y) for x, y in held_out], axis=-2)
        y_hat = np.concatenate([self.model.predict(x) for x, _ in held_out], axis=-2)
        if self.task.class_names:
            return draw_confusion(confusion_of(y_hat, y, self.task), ax)
        return draw_predictions(predictions_of(y_hat, y, self.task, self._length()), ax)

    def _length(self) -> int | None:
        """T of the training batches; of a plain generator, that whose sequences have as many steps as the last."""
        if isinstance(self.batches, Batches):
            return self.batches.length
        if self.last_batch is None:
            return self.task.least_length if isinstance(self.task, Recall) else None  # where any T will do
        steps, least = len(self.last_batch.x), self.task.least_length
        return next((T for T in range(least, steps + 1) if self.task.shape(T).steps == steps), None)

    def save(self, path: str | Path) -> None:
        """Write everything to one safetensors file; the file appears whole or not at all.

        Raises
        ------
        InvalidArgument
            For a subclass of Network with a behaviour of its own, which a file cannot hold.
        """
        parts = (self.model, self.loss, self.optimizer, self.state, self.batches, self.evaluation, self.task)
        checkpoint.write(
            a_path("path", path), checkpoint.Checkpoint(*parts, self.history, self.updates, self.threshold)
        )

    @classmethod
    def load(
        cls,
        path: str | Path,
        *,
        cell: Cell | None = None,
        loss: Loss | None = None,
        optimizer: Chain | Rule | None = None,
        batches: Iterator[Any] | None = None,
        evaluation: Iterator[Any] | None = None,
        task: Task | None = None,
        engine: str = "compiled",
        memory: int = MEMORY,
    ) -> Self:
        """Read a saved learner; continuing it is bit-identical to continuing the one that was saved.

        Parameters
        ----------
        path : path
            A file written by `save`.
        cell, loss, optimizer, batches, evaluation, task : optional
            Parts to take in place of those in the file. Those that are not memspan's own cannot be named in a
            file, and must be given.

            Where the saved batches come from a generator, the same one must be given as it was at its beginning;
            the batches that were already used are drawn and thrown away. `Batches` are saved with the learner.
            Where others are given, training goes on with these, and evaluation with a stream of the same kind, as
            in a new learner, if `evaluation` is not given too.
        engine : `compiled` or `readable`
            The other one than before continues to rounding only.
        memory : int
            As for a new learner.

        Raises
        ------
        UnreadableFile
            When the file is truncated, not a learner, or holds what no learner could.
        InvalidArgument
            When a part is needed and missing, or the batches are not those that were used.
        """
        if cell is not None and not isinstance(cell, Cell):
            raise InvalidArgument("cell", "a Cell", repr(cell))
        if optimizer is not None and not isinstance(optimizer, Chain):
            optimizer = Chain(optimizer)
        given = checkpoint.Substitutes(cell, loss, optimizer, batches, evaluation, task)
        saved = checkpoint.read(a_path("path", path), given)
        parts = (saved.model, saved.loss, saved.batches, saved.optimizer)
        learner = cls(
            *parts,
            evaluation=saved.evaluation,
            task=saved.task,
            threshold=saved.threshold,
            engine=engine,
            memory=memory,
        )
        member = learner._member
        member.state, member.history, member.updates = saved.state, saved.history, saved.updates
        return learner
