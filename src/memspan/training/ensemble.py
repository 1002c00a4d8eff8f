"""Training of many networks side by side."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from jaxtyping import Inexact

from memspan.engines.base import Engine, EngineMaker
from memspan.engines.compiled import MEMORY
from memspan.errors import InvalidArgument, real_number, shown, truth, whole_number
from memspan.losses import Loss, check_loss, value_of
from memspan.network import Model
from memspan.runtime.blas import one_blas_thread
from memspan.runtime.floats import quiet
from memspan.runtime.interrupts import noted_interrupts
from memspan.runtime.progress import kind_of
from memspan.runtime.progress import progress as show_progress
from memspan.runtime.renamed import checked_keywords
from memspan.tasks import Batch, Task
from memspan.training.arguments import (
    check_alike,
    check_fit,
    check_held_out,
    check_mask,
    checked_streams,
    chosen_task,
)
from memspan.training.engines import engine_name, engine_of
from memspan.training.history import Evaluation, FitResult, Outcome
from memspan.training.member import Member, held_out_of
from memspan.training.optimizers import Chain, Rule
from memspan.training.stack import Stack

MARGIN = 2.0
"""Standard errors above the threshold at which training stops, so that few verdicts fall below it by chance."""


class Ensemble:
    """A trainer of M networks of the same shape, side by side, each on its own batches.

    The networks share the loss, the optimiser and the engine, and differ in their weights and data. A network that
    has solved the task or diverged leaves the ensemble, and the others continue. The result of each network is
    bit-identical to its result when it is trained alone.

    Parameters
    ----------
    models : sequence of M Network or TorchNetwork
        Networks with the same cell, sizes and dtype. They are trained in place: their weights become rows of one
        array.
    loss, optimizer, task, threshold, engine, memory
        As in `Learner`.
    batches : sequence of M iterators of (x, y)
        The training data of each network, as in `Learner`.
    evaluation : sequence of M iterators of (x, y), optional
        The held-out batches of each network, as in `Learner`.

    Attributes
    ----------
    members : list of Member
        The networks, each with its history, result and other data.
    """

    @checked_keywords()
    def __init__(
        self,
        models: Sequence[Model],
        loss: Loss,
        batches: Sequence[Iterator[Any]],
        optimizer: Chain | Rule,
        *,
        evaluation: Sequence[Iterator[Any]] | None = None,
        task: Task | None = None,
        threshold: float = 0.9,
        engine: str | EngineMaker | None = None,
        memory: int = MEMORY,
    ) -> None:
        check_loss(loss)
        check_alike(models)
        self._loss, self.threshold = loss, real_number("threshold", threshold, above=0, most=1)
        self.optimizer = optimizer if isinstance(optimizer, Chain) else Chain(optimizer)
        streams = checked_streams("batches", batches, len(models))
        if evaluation is None:
            held_out = [held_out_of(stream) for stream in streams]
        else:
            held_out = checked_streams("evaluation", evaluation, len(models))
        check_held_out(streams, held_out)
        for model, *both in zip(models, streams, held_out, strict=True):
            for stream in both:
                check_fit(model, stream)
        parts = zip(models, streams, held_out, strict=True)
        self.members = [Member(*part, self.optimizer.init(part[0].parameters)) for part in parts]
        self.task = chosen_task(task, streams[0])
        check_mask(loss, self.task)
        memory = whole_number("memory", memory, most=2**63 - 1)
        self._make_engine = engine_of(models, engine_name(engine), loss, memory)

    def __repr__(self) -> str:
        cells = dict.fromkeys(member.model.name for member in self.members)
        done = max(member.updates for member in self.members)
        number = f"{len(self.members)} network{'s' * (len(self.members) > 1)}"
        return f"<Ensemble of {number} of {', '.join(cells)}, {done} updates>"

    @property
    def loss(self) -> Loss:
        """The loss of all networks. It cannot be replaced, because the engine is built for it."""
        return self._loss

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
        observe: Callable[[], object] | None = None,
        flow_every: int | Sequence[int] = 0,
    ) -> list[FitResult]:
        """Train each network for `updates` more updates, or until it has solved the task.

        Parameters
        ----------
        updates, evaluate_every, evaluation_batches, final_batches, stop_when_solved, progress
            As in `Learner.fit`. Each network is scored on its own held-out batches.
        flow_every : int, or sequence of int
            As in `Learner.fit`; the same for all networks, or one for each. The members then have the results.
        observe : callable, optional
            Called without arguments after every update. Training ends when it returns True.

        Returns
        -------
        list of FitResult
            The result of each network.
        """
        updates, every = whole_number("updates", updates), whole_number("evaluate_every", evaluate_every)
        few = whole_number("evaluation_batches", evaluation_batches)
        many = whole_number("final_batches", final_batches)
        intervals = self._intervals(flow_every)
        stop_when_solved = truth("stop_when_solved", stop_when_solved)
        kind = kind_of(progress)
        if observe is not None and not callable(observe):
            raise InvalidArgument("observe", "a function without arguments", repr(observe))
        done = self.members[0].updates
        for member, interval in zip(self.members, intervals, strict=True):
            member.result, member.flow_every = None, interval
        with (
            noted_interrupts(raised_from=2) as interrupted,
            show_progress(done + updates, "training", "updates", kind=kind, done=done) as report,
            one_blas_thread(),
            Stack(self.members) as stack,
        ):
            for step in range(1, updates + 1):
                self._step(stack)
                ended = False
                if stack.members:
                    if observe is not None:
                        stack.give_back()
                        ended = observe() is True
                    if step < updates and not ended:
                        self._evaluate_those_due(stack, every, few, many if stop_when_solved else 0)
                if interrupted:
                    stack.leave_all(Outcome.INTERRUPTED)
                report(done + step, self._note)
                if ended or not stack.members:
                    break
            scores = self._scores(stack.members, stack.parameters, many)
            for member, score in zip(stack.members, scores, strict=True):
                member.history.of_evaluation(member.updates, score)
                member.result = self._verdict(member, score)
        if interrupted and not any(result.outcome is Outcome.INTERRUPTED for result in self.results):
            raise KeyboardInterrupt  # Ctrl-C came after the last update; the caller must still see it
        return self.results

    @property
    def results(self) -> list[FitResult]:
        """The result of the last `fit` for each network."""
        return [member.result for member in self.members if member.result is not None]

    def evaluate(self, batches: int = 20, members: Sequence[Member] | None = None) -> list[Evaluation]:
        """Score all networks, or only `members`, on their held-out batches."""
        batches = whole_number("batches", batches)
        members = self.members if members is None else members
        own = {id(member) for member in self.members}
        if not isinstance(members, Sequence) or not members or not {*map(id, members)} <= own:  # type: ignore[redundant-expr]
            raise InvalidArgument("members", "a list of members of this ensemble", repr(members))
        with one_blas_thread():
            parameters = np.stack([member.model.parameters for member in members])
            return self._scores(members, parameters, batches)

    def _engine(self, members: Sequence[Member]) -> Engine:
        """Return the engine for these networks."""
        return self._make_engine([member.model for member in members])

    def _intervals(self, flow_every: int | Sequence[int]) -> list[int]:
        """Return the interval of the measurements of each network."""
        M = len(self.members)
        each = flow_every if isinstance(flow_every, list | tuple) else [flow_every] * M
        if len(each) != M:
            rule = f"a whole number, or one for each of {M} networks"
            raise InvalidArgument("flow_every", rule, shown(flow_every))
        return [whole_number("flow_every", interval, least=0) for interval in each]

    def _step(self, stack: Stack) -> None:
        """Draw batches and update every network, or end with the outcome that prevents the update.

        If Ctrl-C or an error prevents the update, `Member.draw` returns the same batches again.
        """
        try:
            batches = [member.draw() for member in stack.members]
            self._update(stack, batches)
        except KeyboardInterrupt:  # raised by the data, or by a second Ctrl-C
            stack.leave_all(Outcome.INTERRUPTED)

    @quiet  # overflow is detected below, and reported with the name of the tensor
    def _update(self, stack: Stack, batches: Sequence[Batch]) -> None:
        """Take one optimiser step. A network with a tensor that is not finite stays unchanged and leaves."""
        x, y = zip(*batches, strict=True)
        if getattr(self.loss, "masked", False):
            y = tuple(np.where(np.isnan(labels), 0, labels) for labels in y)  # NaN marks a masked label
        stay = stack.leave_diverged((*x, *y), lambda: {"x": x, "y": y})
        batches = batches[stay] if isinstance(stay, slice) else [batches[k] for k in stay]
        here = stack.members
        if not here:
            return
        measured = [k for k, member in enumerate(here) if member.due]
        found = self._engine(here).differentiate(stack.parameters, batches, norms=measured)
        step = self.optimizer.step(found.gradients, stack.state)
        parameters = stack.parameters + step.change

        def tensors() -> dict[str, Any]:
            before = {"{}": stack.parameters, "loss": found.losses, "d_{}": found.gradients}
            memory = {f"{name} of the optimizer": part for name, part in step.state._asdict().items()}
            return {**before, "{} after the step": parameters, **memory}

        stay = stack.leave_diverged((found.losses, step.norm, parameters, *step.state), tensors)
        stack.parameters[:] = parameters[stay]
        stack.state = type(step.state)(*(part[stay] for part in step.state))
        series = (part[stay].ravel().tolist() for part in (found.losses, step.norm, step.clipped_norm))
        for member, *numbers in zip(stack.members, *series, strict=True):
            member.history.of_update(*numbers)
            member.updates += 1
            member.last, member.waiting = member.waiting, None
        for k, norms in zip(measured, found.norms, strict=True):
            if here[k].result is None:
                here[k].record.add(norms)

    def _evaluate_those_due(self, stack: Stack, every: int, few: int, many: int) -> None:
        """Score the networks whose number of updates is a multiple of `every`, on `few` held-out batches.

        A network that reaches the threshold there is scored again, on `many` further batches. If it exceeds the
        threshold clearly, by `MARGIN` standard errors, its training ends. A third score on `many` fresh batches is
        the verdict: the first two chose this moment because they were good, so they are biased upwards. If `many`
        is 0, no training ends.
        """
        due = [k for k, member in enumerate(stack.members) if member.updates % every == 0]
        if not due:
            return
        scores = self._scores_of(stack, due, few)
        good = [k for k, score in scores.items() if many and score.accuracy >= self.threshold]
        scores |= self._scores_of(stack, good, many)
        done = [k for k in good if scores[k].accuracy >= self.threshold + MARGIN * scores[k].standard_error]
        scores |= self._scores_of(stack, done, many)  # the batches above chose the moment to stop
        for k, score in scores.items():
            stack.members[k].history.of_evaluation(stack.members[k].updates, score)
        stack.leave({k: self._verdict(stack.members[k], scores[k]) for k in done})

    def _verdict(self, member: Member, score: Evaluation) -> FitResult:
        """Return the result of a network that has ended, from its score on fresh held-out batches."""
        outcome = Outcome.SOLVED if score.accuracy >= self.threshold else Outcome.UNSOLVED
        return FitResult(outcome, member.updates, score)

    def _scores_of(self, stack: Stack, rows: list[int], batches: int) -> dict[int, Evaluation]:
        """Score the networks in these rows of the stack."""
        if not rows:
            return {}
        members = [stack.members[k] for k in rows]
        return dict(zip(rows, self._scores(members, stack.parameters[rows], batches), strict=True))

    @quiet  # an infinite loss is a valid result
    def _scores(
        self, members: Sequence[Member], parameters: Inexact[np.ndarray, "models parameters"], batches: int
    ) -> list[Evaluation]:
        """Score each network on its next held-out batches."""
        engine = self._engine(members)
        losses, accuracies = np.empty((2, len(members), batches))
        for i in range(batches):
            held_out = [next(member.evaluation) for member in members]
            predictions = engine.predict(parameters, [x for x, _ in held_out])
            for k, (y_hat, (x, y)) in enumerate(zip(predictions, held_out, strict=True)):
                y = y.astype(y_hat.dtype)
                losses[k, i] = value_of(self.loss, y_hat, y)
                accuracies[k, i] = self.task.accuracy(y_hat, self.task.noise_free(x, y))
        return [
            Evaluation(float(np.mean(loss)), float(np.mean(share)), loss, share)
            for loss, share in zip(losses, accuracies, strict=True)
        ]

    def _note(self) -> str:
        """Describe the first network still in training, for the progress bar."""
        member = next((m for m in self.members if m.result is None), self.members[0])
        history = member.history
        loss = f"loss {history.loss[-1]:.4f}" if history.loss else ""
        accuracy = f", accuracy {history.accuracy[-1]:.2f}" if history.accuracy else ""
        return f"update {member.updates}, {loss}{accuracy}"
