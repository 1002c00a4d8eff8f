"""Training of many networks side by side: the loop, and the two engines that it can run on."""

import cmath
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, Self

import numpy as np

from memspan.diagnostics import GradientFlow
from memspan.engines.compiled import MEMORY, CompiledEngine, Differentiated
from memspan.errors import InvalidArgument, one_of, real_number, whole_number
from memspan.losses import Loss, MeanLoss
from memspan.network import Network
from memspan.runtime.blas import one_blas_thread
from memspan.runtime.interrupts import noted_interrupts
from memspan.runtime.progress import progress as show_progress
from memspan.shapes import Array, Flat, PerStep
from memspan.tasks import Batch, Batches, Counted, Recall, Task
from memspan.training.history import Evaluation, FitResult, History, Outcome
from memspan.training.optimizers import Chain, Rule

ENGINES = ("compiled", "readable")
Stream = Batches | Counted


@dataclass
class Member:
    """One network of an ensemble, with all that is its own.

    Attributes
    ----------
    model : Network
        Its weights are a row of the ensemble's.
    batches, evaluation : Stream
        Where training and evaluation take their batches from; the same object if they share it.
    history : History
    updates : int
        Updates done so far.
    result : FitResult or None
        How the last `fit` ended.
    flows : list of array [T]
        Σ_b ‖dL/da[t]‖ of each update that was measured (`flow_every` of `fit`).
    last : Batch or None
        The batch of the last update.
    state : named tuple
        The optimiser's memory.
    """

    model: Network
    batches: Stream
    evaluation: Stream
    state: Any
    history: History = field(default_factory=History)
    updates: int = 0
    result: FitResult | None = None
    flows: list[PerStep] = field(default_factory=list)
    last: Batch | None = None
    waiting: Batch | None = None  # drawn, and not yet trained on

    def draw(self) -> Batch:
        """The next batch; the same one again if nothing came of it, as after Ctrl-C."""
        if self.waiting is None:
            x, y = next(self.batches)
            self.waiting = Batch(x, y.astype(self.model.dtype))
        return self.waiting


class Engine(Protocol):
    """What computes losses, gradients and predictions of the members of an ensemble."""

    def differentiate(self, members: Sequence[Member], parameters: Array, norms: bool) -> Differentiated:
        """Each on the batch that it has drawn; its weights are a row of `parameters`."""

    def predict(self, members: Sequence[Member], parameters: Array, inputs: Sequence[Array]) -> Iterable[Array]:
        """ŷ of each, for its own inputs."""


class Readable:
    """The readable engine, network by network; afterwards each has its `trace` and `grads`."""

    def __init__(self, loss: Loss) -> None:
        self.loss = loss

    def differentiate(self, members: Sequence[Member], parameters: Array, norms: bool) -> Differentiated:
        """As in `Engine`."""
        losses, gradients, flows = np.empty(len(members)), np.empty_like(parameters), []
        for k, member in enumerate(members):
            x, y = member.draw()
            losses[k] = self.loss.forward(member.model.forward(x), y)
            found = member.model.backpropagate(self.loss.backward())
            gradients[k] = found.total()
            if norms:
                flows.append(GradientFlow.of(found).d_a)
        return Differentiated(losses, gradients, flows)

    def predict(self, members: Sequence[Member], parameters: Array, inputs: Sequence[Array]) -> Iterable[Array]:
        """As in `Engine`."""
        return [member.model.predict(x) for member, x in zip(members, inputs, strict=True)]


class Fused:
    """The compiled engine; it takes all networks at once where their batches have one shape."""

    def __init__(self, model: Network, loss: Loss, memory: int) -> None:
        self.engine = CompiledEngine(
            model.layout, model.dtype, loss, output_steps=model.output_steps, memory=memory
        )

    def differentiate(self, members: Sequence[Member], parameters: Array, norms: bool) -> Differentiated:
        """As in `Engine`."""
        batches = [(_inputs(member, x), y) for member in members for x, y in [member.draw()]]
        if len({(x.shape, y.shape) for x, y in batches}) == 1:
            return self.engine.differentiate(parameters, batches, norms=norms)
        alone = [
            self.engine.differentiate(parameters[k : k + 1], [batch], norms=norms)
            for k, batch in enumerate(batches)
        ]
        losses, gradients = (np.concatenate([found[i] for found in alone]) for i in range(2))
        return Differentiated(losses, gradients, [found.norms[0] for found in alone])

    def predict(self, members: Sequence[Member], parameters: Array, inputs: Sequence[Array]) -> Iterable[Array]:
        """As in `Engine`."""
        inputs = [_inputs(member, x) for member, x in zip(members, inputs, strict=True)]
        if len({x.shape for x in inputs}) == 1:
            return self.engine.predict(parameters, inputs)
        return [self.engine.predict(parameters[k : k + 1], [x])[0] for k, x in enumerate(inputs)]


def _inputs(member: Member, x: Array) -> Array:
    """`x` as the network wants it; looked at closely only where it is not plainly right."""
    model = member.model
    plain = x.dtype == model.dtype and x.ndim == 3 and x.size and x.shape[-1] == model.input_size
    return x if plain and len(x) >= (model.output_steps or 1) else model.inputs(x)


class Ensemble:
    """Trains M networks of one shape side by side, each on its own batches.

    They share the loss, the optimiser and the engine, and differ in their weights and data. What becomes of one
    of them does not depend, to the last bit, on which others there are: one that is solved or has diverged leaves,
    and the others go on.

    Parameters
    ----------
    models : sequence of Network
        M networks of the same cell, sizes and dtype. They are trained in place: their weights become the rows of
        one array.
    loss : MSELoss, or any object with its two methods
    batches : sequence of M iterators of (x, y)
        Training data without end: `Batches`, or any generator such as `generate_samples` gives.
    optimizer : Chain or a rule
        For example `Chain(ClipByNorm(1.0), Adam(1e-2))`.
    evaluation : sequence of M iterators of (x, y), optional
        Where evaluations take their held-out batches from. By default each has a stream of its own, independent of
        its `batches`; a plain generator cannot be doubled, so there they share it with training.
    task : Task, optional
        Says what counts as correct; by default that of the batches, or the memory task. Its `make_loss` makes the
        loss that goes with it.
    threshold : float
        The accuracy on held-out batches that solves the task.
    engine : `compiled` or `readable`
        Compiled, or the readable NumPy, which leaves a `trace` and `grads` in each network. They
        agree to rounding.
    memory : int
        Bytes that the compiled engine's buffers may take; less means more computing.

    Attributes
    ----------
    members : list of Member
        Each with its model, history, result and so on.
    """

    def __init__(
        self,
        models: Sequence[Network],
        loss: Loss,
        batches: Sequence[Iterator[Any]],
        optimizer: Chain | Rule,
        *,
        evaluation: Sequence[Iterator[Any]] | None = None,
        task: Task | None = None,
        threshold: float = 0.9,
        engine: str = "compiled",
        memory: int = MEMORY,
    ) -> None:
        for name in ("forward", "backward"):
            if not callable(getattr(loss, name, None)):
                raise InvalidArgument("loss", f"an object with a method {name}", repr(loss))
        _check_alike(models)
        self.loss, self.threshold = loss, real_number("threshold", threshold, above=0, most=1)
        self.optimizer = optimizer if isinstance(optimizer, Chain) else Chain(optimizer)
        streams = _streams("batches", batches, len(models))
        if evaluation is None:
            fresh = [stream.fork() if isinstance(stream, Batches) else stream for stream in streams]
        else:
            fresh = _streams("evaluation", evaluation, len(models))
        parts = zip(models, streams, fresh, strict=True)
        self.members = [Member(*part, self.optimizer.init(part[0].parameters)) for part in parts]
        self.task = task or getattr(streams[0], "task", None) or Recall()
        _demand_mask(loss, self.task)
        memory = whole_number("memory", memory)
        if one_of("engine", engine, ENGINES) == "compiled":
            _demand_plain(models)
            self.engine: Engine = Fused(models[0], loss, memory)
        else:
            self.engine = Readable(loss)

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
        flow_every: int = 0,
    ) -> list[FitResult]:
        """Train each network for `updates` more updates, or until it has solved the task.

        Every `evaluate_every` updates the networks are scored on `evaluation_batches` held-out batches. A score at
        the threshold is confirmed on `final_batches` more, and only these decide; they also give the verdict at
        the end. (All of them draw from `evaluation`; where a plain generator shares that with training, fitting
        twice is not fitting once for longer.)

        Ctrl-C ends training after the update in progress, and it can go on from there; a second one does not wait
        for it.

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
            Called after every update; training ends when it returns True.
        flow_every : int
            After so many updates each, beginning with the first, dL/da is measured: `Member.flows`. 0 for never.

        Returns
        -------
        list of FitResult
            One for each network.
        """
        updates, every = whole_number("updates", updates), whole_number("evaluate_every", evaluate_every)
        few = whole_number("evaluation_batches", evaluation_batches)
        many = whole_number("final_batches", final_batches)
        flow_every = whole_number("flow_every", flow_every, least=0)
        kind = progress if isinstance(progress, str) else "auto" if progress else "none"
        done = self.members[0].updates
        for member in self.members:
            member.result = None
        with (
            noted_interrupts(raised_from=2) as interrupted,
            show_progress(done + updates, "training", "updates", kind=kind, done=done) as report,
            one_blas_thread(),
            _Stack(self.members) as stack,
        ):
            for step in range(1, updates + 1):
                self._step(stack, flow_every)
                ended = False
                if stack.members:
                    ended = observe is not None and observe() is True
                    if step < updates and not ended:
                        self._look(stack, every, few, many if stop_when_solved else 0)
                if interrupted:
                    stack.leave(
                        {k: FitResult(Outcome.INTERRUPTED, m.updates) for k, m in enumerate(stack.members)}
                    )
                report(done + step, self._note)
                if ended or not stack.members:
                    break
            for member, score in zip(
                stack.members, self._scores(stack.members, stack.parameters, many), strict=True
            ):
                outcome = Outcome.SOLVED if score.accuracy >= self.threshold else Outcome.UNSOLVED
                member.history.of_evaluation(member.updates, score)
                member.result = FitResult(outcome, member.updates, score)
        if interrupted and not any(result.outcome is Outcome.INTERRUPTED for result in self.results):
            raise KeyboardInterrupt  # it came too late to interrupt this, and must not be lost
        return self.results

    @property
    def results(self) -> list[FitResult]:
        """How the last `fit` ended for each network."""
        return [member.result for member in self.members if member.result is not None]

    def evaluate(self, batches: int = 20, members: Sequence[Member] | None = None) -> list[Evaluation]:
        """Score every network, or some of them, on held-out batches."""
        batches = whole_number("batches", batches)
        members = self.members if members is None else members
        with one_blas_thread():
            return self._scores(members, np.stack([member.model.parameters for member in members]), batches)

    def _step(self, stack: "_Stack", flow_every: int) -> None:
        """One update of every network, or the result that prevents it."""
        try:
            for member in stack.members:
                member.draw()
            self._update(stack, flow_every)
        except KeyboardInterrupt:  # raised by the data, or by a second Ctrl-C
            stack.leave({k: FitResult(Outcome.INTERRUPTED, m.updates) for k, m in enumerate(stack.members)})

    @np.errstate(over="ignore", invalid="ignore")  # what overflows is looked for, and named
    def _update(self, stack: "_Stack", flow_every: int) -> None:
        """One optimiser step; where anything is not finite nothing has changed, and the network leaves."""
        x, y = zip(*(member.draw() for member in stack.members), strict=True)
        if getattr(self.loss, "masked", False):
            y = tuple(np.where(np.isnan(labels), 0, labels) for labels in y)  # NaN is then not asked for
        stack.leave_diverged((*x, *y), lambda: {"x": x, "y": y})
        here = stack.members
        if not here:
            return
        measured = [flow_every > 0 and member.updates % flow_every == 0 for member in here]
        found = self.engine.differentiate(here, stack.parameters, any(measured))
        step = self.optimizer.step(found.gradients, stack.state)
        parameters = stack.parameters + step.change

        def tensors() -> dict[str, Array]:
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
        for member, flow in itertools.compress(zip(here, found.norms, strict=False), measured):
            if member.result is None:
                member.flows.append(flow)

    def _look(self, stack: "_Stack", every: int, few: int, many: int) -> None:
        """Score, every so many updates of each, on a few held-out batches; where these are solved, on many.

        These decide, unless `many` is 0.
        """
        due = [k for k, member in enumerate(stack.members) if member.updates % every == 0]
        if not due:
            return
        scores = self._scores_of(stack, due, few)
        good = [k for k, score in scores.items() if many and score.accuracy >= self.threshold]
        scores |= self._scores_of(stack, good, many)
        for k, score in scores.items():
            stack.members[k].history.of_evaluation(stack.members[k].updates, score)
        solved = [k for k in good if scores[k].accuracy >= self.threshold]
        stack.leave({k: FitResult(Outcome.SOLVED, stack.members[k].updates, scores[k]) for k in solved})

    def _scores_of(self, stack: "_Stack", rows: list[int], batches: int) -> dict[int, Evaluation]:
        """`_scores` of some of the networks in training."""
        if not rows:
            return {}
        members = [stack.members[k] for k in rows]
        return dict(zip(rows, self._scores(members, stack.parameters[rows], batches), strict=True))

    @np.errstate(over="ignore", invalid="ignore")  # a loss that overflows is a result
    def _scores(self, members: Sequence[Member], parameters: Array, batches: int) -> list[Evaluation]:
        """What each network scores on its own next held-out batches."""
        losses, accuracies = np.empty((2, len(members), batches))
        for i in range(batches):
            fresh = [next(member.evaluation) for member in members]
            predictions = self.engine.predict(members, parameters, [x for x, _ in fresh])
            for k, (y_hat, (x, y)) in enumerate(zip(predictions, fresh, strict=True)):
                y = y.astype(y_hat.dtype)
                losses[k, i] = self.loss.forward(y_hat, y)
                accuracies[k, i] = self.task.accuracy(y_hat, self.task.noise_free(x, y))
        return [
            Evaluation(float(np.mean(loss)), float(np.mean(share)), loss, share)
            for loss, share in zip(losses, accuracies, strict=True)
        ]

    def _note(self) -> str:
        """The first network still in training, for the progress bar."""
        member = next((m for m in self.members if m.result is None), self.members[0])
        history = member.history
        loss = f"loss {history.loss[-1]:.4f}" if history.loss else ""
        accuracy = f", accuracy {history.accuracy[-1]:.2f}" if history.accuracy else ""
        return f"update {member.updates}, {loss}{accuracy}"


class _Stack:
    """The networks in training: their weights as the rows of one array, and the optimiser's memory likewise."""

    def __init__(self, members: Sequence[Member]) -> None:
        self.members = list(members)
        self.parameters = members[0].model.parameters[np.newaxis]  # a single network keeps its own array
        if len(members) > 1:
            self._move(np.stack([member.model.parameters for member in members]))
        states = [member.state for member in members]
        self.state = type(states[0])(*(np.stack(part) for part in zip(*states, strict=True)))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._give_back(range(len(self.members)))

    def leave(self, results: Mapping[int, FitResult]) -> Any:
        """Take out these networks, as they are now; return the rows of those that stay."""
        if not results:
            return slice(None)
        self._give_back(results)
        for k, result in results.items():
            member = self.members[k]
            member.result, member.model.parameters = result, self._own(k)
        stay = [k for k in range(len(self.members)) if k not in results]
        self.members = [self.members[k] for k in stay]
        self.state = type(self.state)(*(part[stay] for part in self.state))
        self._move(self.parameters[stay])
        return stay

    def leave_diverged(self, proof: Iterable[Array], tensors: Callable[[], Mapping[str, Any]]) -> Any:
        """Take out the networks of which a tensor `[M, ...]` is not finite, and name it; return the rows left.

        Where the name has braces in it the tensor holds weights, which are looked at one by one. Nothing is looked
        at if the sum of all squares of `proof` is finite: as a rule it is, and that is soon found.
        """
        if cmath.isfinite(sum(np.vdot(tensor, tensor) for tensor in proof)):
            return slice(None)
        suspects, results = tensors(), {}
        for k, member in enumerate(self.members):
            named = itertools.chain.from_iterable(_named(member, name, part[k]) for name, part in suspects.items())
            found = next((name for name, part in named if not np.isfinite(part).all()), None)
            if found is not None:
                member.waiting = None  # whatever it was, this batch is not tried again
                results[k] = FitResult(Outcome.DIVERGED, member.updates, tensor=found)
        return self.leave(results)

    def _move(self, parameters: Array) -> None:
        self.parameters = parameters
        for member, row in zip(self.members, parameters, strict=True):
            member.model.parameters = row

    def _own(self, k: int) -> Flat:
        """The weights of a network that leaves, apart from those of the others."""
        model = self.members[k].model
        return model.parameters if len(self.members) == 1 else model.parameters.copy()

    def _give_back(self, rows: Iterable[int]) -> None:
        for k in rows:
            self.members[k].state = type(self.state)(*(part[k] for part in self.state))


def _named(member: Member, name: str, tensor: Array) -> Iterator[tuple[str, Array]]:
    if "{}" not in name:
        yield name, tensor
        return
    for weight, view in member.model.layout.by_name(tensor).items():
        yield name.format(weight), view


def _check_alike(models: Sequence[Network]) -> None:
    """All are real networks that differ in nothing but their weights."""
    for model in models:
        if not isinstance(model, Network) or model.dtype.kind != "f":  # type: ignore[redundant-expr]
            raise InvalidArgument("model", "a Network of float32 or float64", repr(model))
    if not models or len({id(model) for model in models}) < len(models):
        raise InvalidArgument("models", "at least one network, and none of them twice", f"{len(models)} of them")
    for model in models[1:]:
        for name in ("layout", "dtype", "output_steps"):
            if getattr(model, name) != getattr(models[0], name):
                got = f"{getattr(model, name)} and {getattr(models[0], name)}"
                raise InvalidArgument("models", f"of one {name}", got)


def _demand_mask(loss: Loss, task: Task) -> None:
    """Labels that are not asked for are NaN, which a loss of memspan's takes for one only if it is told to."""
    if isinstance(loss, MeanLoss) and not loss.masked and task.make_loss().masked:
        raise InvalidArgument("loss", f"masked for {task.name}, as {task.make_loss()!r} is", repr(loss))


def _demand_plain(models: Sequence[Network]) -> None:
    """The compiled engine does not call a network's methods, so none of these may have been overridden."""
    for model in models:
        for name in ("forward", "predict", "backpropagate", "inputs"):
            if getattr(type(model), name) is not getattr(Network, name):
                rule = f"'readable' for a network with its own {name}"
                raise InvalidArgument("engine", rule, f"'compiled' and {type(model).__name__}")


def _streams(name: str, streams: Sequence[Iterator[Any]], count: int) -> list[Stream]:
    different = len({id(stream) for stream in streams})
    if len(streams) != count or different < count:
        rule = f"one iterator for each of the {count} models, and none of them twice"
        raise InvalidArgument(name, rule, f"{len(streams)}, {different} of them different")
    return [stream if isinstance(stream, Stream) else Counted(stream, name) for stream in streams]
