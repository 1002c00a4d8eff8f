import copy
import os
import pickle
import re
import signal
import subprocess
import sys
import threading
from itertools import islice

import numpy as np
import pytest

from memspan import (
    RNN,
    SGD,
    Adam,
    Batches,
    Chain,
    ClipByNorm,
    ClipByValue,
    GradientFlow,
    InvalidArgument,
    Learner,
    MSELoss,
    Network,
    Outcome,
    Recall,
    RMSprop,
    generate_samples,
    get_task,
)
from memspan.figures.style import new_figure
from memspan.runtime.progress import KINDS
from memspan.training.ensemble import MARGIN

TINY = {
    "evaluate_every": 10,
    "evaluation_batches": 1,
    "final_batches": 2,
    "stop_when_solved": False,
    "progress": False,
}
"""Arguments of `fit` for tests in which the result does not matter."""


@pytest.fixture(params=["compiled", "readable"])
def engine(request):
    return request.param


def learner_of(batches=None, *, model=None, loss=None, optimizer=None, **options):
    """A small learner with a seed."""
    batches = Batches(Recall(), length=3, batch=8, rng=1) if batches is None else batches
    model = RNN(1, 6, 1, rng=0) if model is None else model
    optimizer = Chain(ClipByNorm(0.1), Adam(1e-2)) if optimizer is None else optimizer
    return Learner(model, loss or MSELoss(), batches, optimizer, **options)


def assert_same_state(one, other):
    """The bits of the weights, the optimiser's state and the number of updates."""
    np.testing.assert_array_equal(one.model.parameters, other.model.parameters)
    for mine, theirs in zip(one.state, other.state, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert one.updates == other.updates
    for name in ("loss", "norm", "clipped_norm"):
        assert getattr(one.history, name) == getattr(other.history, name)


class Faulty(MSELoss):
    """A loss whose value and gradient are replaced from a given update on."""

    def __init__(self, at, value=None, gradient=None):
        super().__init__()
        self.at, self.value, self.gradient, self.calls = at, value, gradient, 0

    def forward(self, y_hat, y):
        loss = super().forward(y_hat, y)
        return loss if self.value is None or self.calls < self.at else self.value

    def backward(self):
        d_loss = super().backward()
        self.calls += 1
        return d_loss if self.gradient is None or self.calls < self.at else np.full_like(d_loss, self.gradient)


class Rough(MSELoss):
    """A loss of one's own, without a compiled form: the engine calls its methods."""

    def forward(self, y_hat, y):
        return 2 * super().forward(y_hat, y)

    def backward(self):
        return 2 * super().backward()


# --- what is learnt -------------------------------------------------------------------------------------


def solvable(batches, optimizer=None):
    return learner_of(
        batches, model=RNN(1, 16, 1, rng=0), optimizer=optimizer or Chain(ClipByNorm(1.0), Adam(1e-2))
    )


def test_the_memory_task_is_learnt():
    learner = solvable(Batches(Recall(), length=3, batch=32, rng=1))
    result = learner.fit(1000, progress=False)
    assert result.outcome is Outcome.SOLVED
    assert result is learner.result
    assert result.update == learner.updates < 1000
    assert learner.accuracy(50) >= 0.9
    assert learner.evaluate(50).loss < 0.01
    x, y = next(Batches(Recall(), length=3, batch=200, rng=99))
    assert np.mean(np.abs(learner.predict(x) - y) <= 0.1) >= 0.9


def test_a_network_that_does_not_move_stays_at_the_trivial_risk():
    learner = solvable(Batches(Recall(), length=3, batch=100, rng=1), SGD(1e-6))
    result = learner.fit(20, evaluate_every=20, progress=False)
    assert (result.outcome, result.update) == (Outcome.UNSOLVED, 20)
    assert result.evaluation.loss == pytest.approx(1 / 3, abs=0.04)
    assert result.evaluation.accuracy < 0.2


def test_labels_of_other_sequences_teach_nothing():
    rng = np.random.default_rng(5)
    shuffled = ((x, rng.permutation(y)) for x, y in generate_samples(32, 3, rng=1))
    learner = solvable(shuffled)
    result = learner.fit(800, evaluate_every=400, final_batches=100, progress=False)
    assert result.outcome is Outcome.UNSOLVED
    assert result.evaluation.loss > 0.31
    assert result.evaluation.accuracy < 0.2


def test_training_may_go_on_after_the_task_is_solved():
    """With a tolerance of 0.9, an untrained network solves the task."""
    stopped, on = (learner_of(Batches(Recall(0.9), 3, 100, rng=1), threshold=0.7) for _ in range(2))
    result = stopped.fit(30, **{**TINY, "stop_when_solved": True})
    assert (result.outcome, result.update) == (Outcome.SOLVED, 10)
    assert stopped.history.evaluated_at == [10]
    result = on.fit(30, **TINY)
    assert (result.outcome, result.update) == (Outcome.SOLVED, 30)
    assert on.history.loss[:10] == stopped.history.loss


class Moody(Recall):
    """Recall whose accuracies on successive batches are given."""

    def __init__(self, *scores):
        super().__init__()
        object.__setattr__(self, "scores", iter(scores))

    def accuracy(self, y_hat, y):
        return next(self.scores)


def moods(*scores):
    """Train on such scores: a look at 1 batch every 10 updates, a confirmation and a verdict on 5 each."""
    learner = learner_of(task=Moody(*scores))
    result = learner.fit(30, evaluate_every=10, evaluation_batches=1, final_batches=5, progress=False)
    assert next(learner.task.scores, None) is None  # as many batches as expected
    return result, learner.history


def test_the_first_good_score_is_confirmed_and_then_fresh_batches_decide():
    looks = [1.0, *[0.5] * 5, 1.0, *[1.0] * 5]  # the first good score was luck
    result, history = moods(*looks, 1, 0.9, 1, 0.9, 1)
    assert (result.outcome, result.update) == (Outcome.SOLVED, 20)
    assert history.accuracy == pytest.approx([0.5, 0.96])  # of each look, what decided
    np.testing.assert_array_equal(result.evaluation.accuracies, [1, 0.9, 1, 0.9, 1])


def test_a_network_that_lucky_batches_have_stopped_is_unsolved():
    """As many lucky batches as it takes to stop: then the verdict is that of the batches after them."""
    result, history = moods(1.0, *[1.0] * 5, *[0.5] * 5)
    assert (result.outcome, result.update) == (Outcome.UNSOLVED, 10)
    assert history.accuracy == [0.5]
    np.testing.assert_array_equal(result.evaluation.accuracies, [0.5] * 5)


def test_a_confirmation_within_two_standard_errors_of_the_threshold_does_not_stop_training():
    close = [0.8, 0.9, 1.0, 1.0, 1.0]  # 0.94 on average, with a standard error of 0.04
    assert MARGIN * np.std(close, ddof=1) / 5**0.5 > 0.94 - 0.9
    result, history = moods(1.0, *close, 1.0, *close, *[0.9] * 5)
    assert (result.outcome, result.update) == (Outcome.SOLVED, 30)  # the threshold itself is enough
    assert history.accuracy == pytest.approx([0.94, 0.94, 0.9])


def test_a_confirmation_more_than_two_standard_errors_above_the_threshold_stops_training():
    clear = [0.9, 0.9, 0.95, 0.95, 0.95]  # 0.93 on average, with a standard error of 0.012
    result, _ = moods(1.0, *clear, *[0.9] * 5)
    assert (result.outcome, result.update) == (Outcome.SOLVED, 10)


def test_the_batches_of_the_verdict_are_the_next_that_no_decision_has_seen(engine):
    """With a tolerance of 0.9 an untrained network is above the threshold, so training ends at the first look."""
    drawn = []

    def recorded():
        for batch in Batches(Recall(0.9), 3, 50, rng=7):
            drawn.append(batch)
            yield batch

    learner = learner_of(evaluation=recorded(), task=Recall(0.9), threshold=0.7, engine=engine)
    result = learner.fit(30, evaluate_every=10, evaluation_batches=2, final_batches=3, progress=False)
    assert (result.outcome, result.update) == (Outcome.SOLVED, 10)
    assert len(drawn) == 2 + 3 + 3
    verdict, others = drawn[5:], drawn[:5]
    assert not {batch.x.tobytes() for batch in verdict} & {batch.x.tobytes() for batch in others}
    again = learner_of(model=learner.model, evaluation=iter(verdict), task=Recall(0.9), engine=engine).evaluate(3)
    np.testing.assert_array_equal(result.evaluation.accuracies, again.accuracies)
    np.testing.assert_array_equal(result.evaluation.losses, again.losses)


def test_the_task_decides_what_is_correct():
    batches = Batches(Recall(), length=3, batch=50, rng=1)
    strict, lax = (learner_of(batches, task=Recall(tolerance)) for tolerance in (0.01, 0.9))
    assert strict.accuracy(4) < 0.1 < 0.8 < lax.accuracy(4)
    assert learner_of(Batches(Recall(0.4), 3, 8, rng=1)).task == Recall(0.4)
    assert learner_of(generate_samples(8, 3, rng=1)).task == Recall()


# --- one update -----------------------------------------------------------------------------------------


def test_updates_are_steps_against_the_gradients_of_their_batches():
    learner, twin = learner_of(engine="readable"), learner_of()
    learner.fit(5, **TINY)
    parameters, state, losses, norms = twin.model.parameters, twin.state, [], []
    for x, y in islice(Batches(Recall(), length=3, batch=8, rng=1), 5):
        losses.append(twin.loss.forward(twin.model.forward(x), y))
        gradient = twin.model.backpropagate(twin.loss.backward()).total()
        norms.append(np.linalg.norm(gradient))
        change, state = Adam(1e-2).step(ClipByNorm(0.1)(gradient), state)
        parameters += change
    np.testing.assert_array_equal(learner.model.parameters, parameters)
    for mine, theirs in zip(learner.state, state, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert learner.history.loss == losses
    np.testing.assert_allclose(learner.history.norm, norms, rtol=1e-14)


def test_history_tells_of_every_update_and_every_evaluation():
    learner = learner_of(optimizer=Chain(ClipByNorm(0.1), SGD(0.1)))
    learner.fit(45, **TINY)
    history = learner.history
    assert len(history.loss) == len(history.norm) == len(history.clipped_norm) == learner.updates == 45
    assert history.evaluated_at == [10, 20, 30, 40, 45]
    assert len(history.evaluation_loss) == len(history.accuracy) == 5
    expected = [norm * min(1, 0.1 / (norm + 1e-6)) for norm in history.norm]
    np.testing.assert_allclose(history.clipped_norm, expected, rtol=1e-12)
    assert max(history.clipped_norm) <= 0.1 < max(history.norm)
    assert history.evaluation_loss[-1] == learner.result.evaluation.loss


def test_observe_sees_every_update_with_its_own_gradient():
    seen, before = [], []

    def observe(learner):
        gradient = learner.model.grads.total()
        step = -0.5 * ClipByValue(0.05)(gradient)
        np.testing.assert_array_equal(learner.model.parameters, before[-1] + step)
        before.append(learner.model.parameters.copy())
        seen.append((learner.updates, float(np.linalg.norm(gradient))))

    learner = learner_of(optimizer=Chain(ClipByValue(0.05), SGD(0.5)), engine="readable")
    before.append(learner.model.parameters.copy())
    learner.fit(25, observe=observe, **TINY)
    assert [update for update, _ in seen] == [*range(1, 26)]
    np.testing.assert_allclose([norm for _, norm in seen], learner.history.norm, rtol=1e-14)


def test_the_engines_train_alike():
    fused, readable = learner_of(engine="compiled"), learner_of(engine="readable")
    for learner in (fused, readable):
        learner.fit(50, flow_every=20, **TINY)
    assert len(fused.flows) == len(readable.flows) == 3
    np.testing.assert_allclose(fused.flows, readable.flows, rtol=1e-9)
    np.testing.assert_allclose(fused.model.parameters, readable.model.parameters, rtol=1e-9)
    for mine, theirs in zip(*(learner.history.arrays().values() for learner in (fused, readable)), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-9)
    assert fused.model.grads is None
    assert readable.model.grads is not None


def test_flows_are_measured_every_so_many_updates(engine):
    learner, twin = learner_of(engine=engine), learner_of(engine="readable")
    learner.fit(4, flow_every=3, **TINY)
    learner.fit(4, flow_every=3, **TINY)  # before updates 1, 4 and 7
    expected = []
    twin.fit(8, observe=lambda twin: expected.append(GradientFlow.of(twin.model.grads)), **TINY)
    np.testing.assert_allclose(learner.flows, [flow.d_a for flow in expected[::3]], rtol=1e-9)
    for spread, flow in zip(learner.spreads, expected[::3], strict=True):
        np.testing.assert_allclose(spread.quantiles, flow.spread.quantiles, rtol=1e-9)
        assert not any(share.any() for share in (spread.zero, spread.underflow, spread.not_finite))
    learner.fit(5, **TINY)
    assert len(learner.flows) == 3
    np.testing.assert_array_equal(learner.last_batch.x, [*islice(Batches(Recall(), 3, 8, rng=1), 13)][-1].x)


def test_a_loss_may_return_any_kind_of_number(engine):
    class Single(MSELoss):
        def forward(self, y_hat, y):
            return np.float32(super().forward(y_hat, y))

    learner = learner_of(loss=Single(), engine=engine)
    learner.fit(3, **TINY)
    assert [type(loss) for loss in learner.history.loss] == [float] * 3


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_training_keeps_the_dtype(dtype, engine):
    batches = Batches(Recall(), length=3, batch=8, rng=1, dtype=dtype)
    learner = learner_of(batches, model=Network("lstm", 1, 4, 1, dtype=dtype, rng=0), engine=engine)
    parameters = learner.model.parameters
    learner.fit(5, **TINY)
    assert learner.model.parameters is parameters
    assert parameters.dtype == learner.state.mean.dtype == learner.predict(next(batches).x).dtype == dtype


# --- evaluation and prediction --------------------------------------------------------------------------


def test_evaluation_scores_the_fork_of_the_batches(engine):
    learner = learner_of(Batches(Recall(0.3), length=3, batch=8, rng=1), engine=engine)
    fresh = list(islice(Batches(Recall(0.3), length=3, batch=8, rng=1).fork(), 6))
    losses = [np.mean((learner.predict(x) - y) ** 2) for x, y in fresh]
    shares = [np.mean(np.abs(learner.predict(x) - y) <= 0.3) for x, y in fresh]
    first, second = learner.evaluate(4), learner.evaluate(2)
    np.testing.assert_allclose(first.loss, np.mean(losses[:4]), rtol=1e-14)
    np.testing.assert_allclose(first.accuracy, np.mean(shares[:4]), rtol=1e-14)
    np.testing.assert_array_equal(first.accuracies, shares[:4])
    np.testing.assert_array_equal(second.accuracies, shares[4:])


def test_accuracy_is_that_of_an_evaluation():
    one, other = (learner_of(Batches(Recall(0.3), length=3, batch=50, rng=1)) for _ in range(2))
    assert one.accuracy(3) == other.evaluate(3).accuracy > 0


@pytest.mark.parametrize("name", ["latch/3c", "adding/hs97", "order/pascanu-2", "parity"])
def test_evaluation_has_the_loss_of_the_labels_and_the_accuracy_of_the_task(name, engine):
    """The labels of latch/3c are noisy, and answers are compared with the labels without noise."""
    task = get_task(name)
    learner, twin = (learner_for(task, task.least_length + 3, engine=engine) for _ in range(2))
    fresh = [(x, y, twin.predict(x)) for x, y in islice(twin.evaluation, 4)]
    found = learner.evaluate(4)
    losses = [task.make_loss().forward(y_hat, y) for _, y, y_hat in fresh]
    shares = [task.accuracy(y_hat, task.noise_free(x, y)) for x, y, y_hat in fresh]
    assert found.loss == pytest.approx(np.mean(losses), rel=1e-12)
    np.testing.assert_array_equal(found.accuracies, shares)
    if name == "latch/3c":
        correct = [
            abs(y_hat[k, b, 0] - (0.2 if x[0, b, 0] > 0 else 0.8)) <= task.tolerance
            for x, y, y_hat in fresh
            for k, b in zip(*np.nonzero(~np.isnan(y[..., 0])), strict=True)
        ]
        assert found.accuracy == pytest.approx(np.mean(correct), rel=1e-12)


def test_evaluation_may_have_batches_of_its_own():
    learner = learner_of(evaluation=generate_samples(5, 7, rng=3))
    x, y = next(generate_samples(5, 7, rng=3))
    assert learner.evaluate(1).loss == pytest.approx(float(np.mean((learner.predict(x) - y) ** 2)), rel=1e-14)


def test_a_plain_generator_is_shared_by_training_and_evaluation():
    learner = learner_of(generate_samples(8, 3, rng=1))
    learner.fit(10, **TINY)
    assert learner.batches.drawn == 10 + 2  # the last evaluation is the only one


def test_evaluation_does_not_touch_training():
    often, seldom = learner_of(), learner_of()
    often.fit(100, evaluate_every=10, progress=False, stop_when_solved=False)
    often.accuracy()
    seldom.fit(100, evaluate_every=50, progress=False, stop_when_solved=False)
    assert len(often.history.evaluated_at) > len(seldom.history.evaluated_at)
    assert_same_state(often, seldom)


def test_prediction_leaves_no_trace():
    learner = learner_of(engine="readable")
    learner.fit(3, **TINY)
    trace, gradients, parameters = learner.model.trace, learner.model.grads, learner.model.parameters.copy()
    x, _ = next(generate_samples(4, 9, rng=2))
    y_hat = learner.predict(x)
    learner.evaluate(2)
    assert learner.model.trace is trace
    assert learner.model.grads is gradients
    np.testing.assert_array_equal(learner.model.parameters, parameters)
    np.testing.assert_array_equal(y_hat, learner.model.forward(x))
    np.testing.assert_allclose(learner.predict(x[:, 1]), y_hat[1:2], rtol=1e-12)


# --- going on -------------------------------------------------------------------------------------------


def test_fitting_twice_is_fitting_once(engine):
    twice, once = learner_of(engine=engine), learner_of(engine=engine)
    twice.fit(100, **TINY)
    result = twice.fit(100, **TINY)
    once.fit(200, **TINY)
    assert result.update == 200
    assert_same_state(twice, once)


# --- divergence -----------------------------------------------------------------------------------------


def fit_until_it_diverges(learner, updates=20, **options):
    """Return the result, and the weights after each update."""
    path = [learner.model.parameters.copy()]
    result = learner.fit(
        updates, observe=lambda learner: path.append(learner.model.parameters.copy()), **{**TINY, **options}
    )
    assert result.outcome is Outcome.DIVERGED
    assert result.update == learner.updates == len(learner.history.loss) == len(path) - 1
    assert result.evaluation is None
    np.testing.assert_array_equal(learner.model.parameters, path[-1])
    return result


@pytest.mark.parametrize("every", [1, 10])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_an_absurd_learning_rate_diverges_at_once_and_without_warnings(dtype, every, engine):
    learner = learner_of(model=RNN(1, 6, 1, rng=0, dtype=dtype), optimizer=SGD(1e9), engine=engine)
    result = fit_until_it_diverges(learner, evaluate_every=every)
    assert result.tensor
    assert np.isfinite(learner.model.parameters).all()
    assert np.abs(learner.model.parameters).max() > 1e9


def with_a_hole(name, at):
    """Batches, one of which contains NaN."""
    for count, (x, y) in enumerate(generate_samples(8, 3, rng=1), start=1):
        if count == at:
            {"x": x, "y": y}[name][-1, 0] = np.nan
        yield x, y


@pytest.mark.parametrize("name", ["x", "y"])
def test_a_nan_in_the_data_is_found_before_it_does_harm(name, engine):
    result = fit_until_it_diverges(learner_of(with_a_hole(name, 7), engine=engine))
    assert (result.update, result.tensor) == (6, name)
    assert str(result) == f"diverged at update 7: {name} is not finite; the weights before it are kept"


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["W", "R", "bs", "V", "by"])
def test_a_weight_that_is_not_finite_is_named(name, value, engine):
    learner = learner_of()
    learner.fit(4, **TINY)
    getattr(learner.model, name)[0, 0] = value
    result = fit_until_it_diverges(learner_of(model=learner.model, engine=engine))
    assert (result.update, result.tensor) == (0, name)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_loss_that_is_not_finite_ends_training(value, engine):
    result = fit_until_it_diverges(learner_of(loss=Faulty(4, value=value), engine=engine))
    assert (result.update, result.tensor) == (4, "loss")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_gradient_that_is_not_finite_ends_training(value, engine):
    result = fit_until_it_diverges(learner_of(loss=Faulty(4, gradient=value), engine=engine))
    assert (result.update, result.tensor) == (3, "d_W")


def test_an_overflow_in_the_step_itself_is_not_taken(engine):
    loss = Faulty(1, gradient=1e10)
    result = fit_until_it_diverges(learner_of(optimizer=SGD(1e300), loss=loss, engine=engine))
    assert (result.update, result.tensor) == (0, "W after the step")


def test_an_overflow_in_the_memory_of_the_optimiser_is_not_kept(engine):
    """g² is infinite but g is finite: RMSprop would divide by infinity and never change the weights again."""
    loss = Faulty(3, gradient=1e200)
    result = fit_until_it_diverges(learner_of(optimizer=RMSprop(0.1), loss=loss, engine=engine))
    assert (result.update, result.tensor) == (2, "square of the optimizer")


def test_after_divergence_training_can_go_on_with_better_data(engine):
    """The batch with NaN is dropped, and changes neither the weights nor the optimiser's state."""
    learner = learner_of(with_a_hole("x", 7), engine=engine)
    fit_until_it_diverges(learner)
    learner.fit(5, **TINY)
    without = generate_samples(8, 3, rng=1)
    good = learner_of((batch for count, batch in enumerate(without, start=1) if count != 7), engine=engine)
    good.fit(11, **{**TINY, "evaluate_every": 100})
    np.testing.assert_array_equal(learner.history.loss[:6], good.history.loss[:6])
    assert learner.history.loss[6] == good.history.loss[6]
    assert learner.updates == 11


# --- Ctrl-C ---------------------------------------------------------------------------------------------


def press_ctrl_c():
    os.kill(os.getpid(), signal.SIGINT)


class Interrupting:
    """Batches; a function is called while one of them is drawn."""

    def __init__(self, at, what):
        self.batches, self.at, self.what, self.drawn = generate_samples(8, 3, rng=1), at, what, 0

    def __iter__(self):
        return self

    def __next__(self):
        self.drawn += 1
        if self.drawn == self.at:
            self.what()
        return next(self.batches)


@pytest.fixture
def handler():
    """A SIGINT handler of the user, which must be restored."""

    def theirs(signum, frame):
        raise AssertionError("the wrong handler")

    previous = signal.signal(signal.SIGINT, theirs)
    yield theirs
    signal.signal(signal.SIGINT, previous)


@pytest.mark.parametrize("updates", [37, 40])
def test_ctrl_c_ends_training_after_the_update_and_its_evaluation(updates, handler, engine):
    """Training and evaluation share the batches, so a missing evaluation would change all later batches."""
    drawn = updates + (updates - 1) // 10  # when the interrupt comes, with one batch for each evaluation before
    stopped = learner_of(Interrupting(drawn, press_ctrl_c), engine=engine)
    result = stopped.fit(100, **TINY)
    assert (result.outcome, result.update, result.evaluation) == (Outcome.INTERRUPTED, updates, None)
    assert str(result) == f"interrupted after {updates} updates"
    assert signal.getsignal(signal.SIGINT) is handler
    result = stopped.fit(100 - updates, **TINY)
    straight = learner_of(generate_samples(8, 3, rng=1), engine=engine)
    assert result.outcome is straight.fit(100, **TINY).outcome
    assert_same_state(stopped, straight)
    assert stopped.history == straight.history


def test_ctrl_c_while_observed_ends_training_after_that_update(handler, engine):
    stopped, straight = learner_of(engine=engine), learner_of(engine=engine)

    def observe(learner):
        if learner.updates == 37:
            press_ctrl_c()

    result = stopped.fit(100, observe=observe, **TINY)
    assert (result.outcome, result.update) == (Outcome.INTERRUPTED, 37)
    assert signal.getsignal(signal.SIGINT) is handler
    stopped.fit(63, **TINY)
    straight.fit(100, **TINY)
    assert_same_state(stopped, straight)


def test_a_second_ctrl_c_does_not_wait(handler, engine):
    def observe(learner):
        if learner.updates == 5:
            press_ctrl_c()
            press_ctrl_c()

    learner = learner_of(engine=engine)
    with pytest.raises(KeyboardInterrupt):
        learner.fit(100, observe=observe, **TINY)
    assert (learner.updates, learner.result) == (5, None)
    assert signal.getsignal(signal.SIGINT) is handler


def test_the_handler_is_given_back_after_an_error(handler):
    def observe(learner):
        raise RuntimeError("somebody else's")

    with pytest.raises(RuntimeError, match="somebody else's"):
        learner_of().fit(5, observe=observe, **TINY)
    assert signal.getsignal(signal.SIGINT) is handler


def test_where_ctrl_c_is_ignored_it_stays_ignored(handler):
    """The workers of a study ignore SIGINT in the same way, because the coordinator stops them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    result = learner_of(Interrupting(7, press_ctrl_c)).fit(20, **TINY)
    assert (result.outcome, result.update) == (Outcome.UNSOLVED, 20)
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_a_keyboard_interrupt_from_the_data_loses_only_that_batch(engine):
    def interrupt():
        raise KeyboardInterrupt

    sources = Interrupting(37, interrupt), generate_samples(8, 3, rng=1)
    learner, straight = (learner_of(source, engine=engine) for source in sources)
    options = {**TINY, "evaluate_every": 1000}
    result = learner.fit(100, **options)
    assert (result.outcome, result.update) == (Outcome.INTERRUPTED, 36)
    learner.fit(64, **options)
    straight.fit(100, **options)
    assert_same_state(learner, straight)


def test_training_works_in_any_thread(handler, engine):
    """In a thread, where no signal handler can be set."""
    here, there = learner_of(engine=engine), learner_of(engine=engine)
    here.fit(20, **TINY)
    thread = threading.Thread(target=lambda: there.fit(20, **TINY))
    thread.start()
    thread.join()
    assert there.result.outcome is here.result.outcome is Outcome.UNSOLVED
    assert_same_state(here, there)
    assert signal.getsignal(signal.SIGINT) is handler


# --- pictures -------------------------------------------------------------------------------------------


def test_the_loss_is_drawn_from_the_history():
    learner = learner_of()
    learner.fit(25, **TINY)
    training, fresh, trivial = learner.plot_loss(new_figure().subplots()).lines
    np.testing.assert_array_equal(training.get_ydata(), learner.history.loss)
    np.testing.assert_array_equal(fresh.get_xdata(), [10, 20, 25])
    np.testing.assert_array_equal(fresh.get_ydata(), learner.history.evaluation_loss)
    np.testing.assert_array_equal(trivial.get_ydata(), [1 / 3, 1 / 3])


def test_predictions_are_drawn_for_fresh_batches():
    learner, twin = learner_of(), learner_of()
    ax = learner.plot_predictions(3, new_figure().subplots())
    fresh = list(islice(twin.evaluation, 3))
    points = ax.lines[-1]
    np.testing.assert_array_equal(points.get_xdata(), np.concatenate([y[:, 0] for _, y in fresh]))
    np.testing.assert_array_equal(points.get_ydata(), np.concatenate([twin.predict(x)[:, 0] for x, _ in fresh]))


def test_predictions_of_the_memory_task_are_drawn_with_its_trivial_answer_and_tolerance():
    ax = learner_of(Batches(Recall(0.2), 3, 200, rng=1)).plot_predictions(1, new_figure().subplots())
    assert [line.get_label() for line in ax.lines] == ["prediction = label", "trivial prediction 0", "network"]
    assert ax.lines[0].get_xdata().tolist() == [-1, 1]
    assert ax.get_legend().get_texts()[0].get_text() == "correct: within 0.2"
    assert ax.get_xlabel() == "label (recall)"


def learner_for(task, length, batch=25, **options):
    """A small learner with the network and the loss that the task requires; the same in every call."""
    _, features, outputs, output_steps = task.shape(length)
    model = Network("rnn", features, 5, outputs, init="glorot", output_steps=output_steps, rng=0)
    return learner_of(Batches(task, length, batch, rng=1), model=model, loss=task.make_loss(), **options)


def drawn_shares(ax):
    """The confusion matrix: for each class of labels, the share of each answer."""
    (image,) = ax.images
    return np.asarray(image.get_array())


def shares_of(classes, pairs):
    """The same matrix, counted one by one from pairs (label, answer)."""
    counts = np.zeros((classes, classes))
    for label, answer in pairs:
        counts[label, answer] += 1
    return counts / counts.sum(axis=1, keepdims=True)


def test_answers_that_are_classes_are_drawn_as_a_confusion():
    task = get_task("order/pascanu-2")
    learner, twin = (learner_for(task, 10) for _ in range(2))
    ax = learner.plot_predictions(3, new_figure().subplots())
    fresh = list(islice(twin.evaluation, 3))
    pairs = [
        (int(np.argmax(row)), int(np.argmax(answer)))
        for x, y in fresh
        for row, answer in zip(y, twin.predict(x), strict=True)
    ]
    expected = shares_of(4, pairs)
    assert np.count_nonzero(expected) > 4, "not one answer alone to each class"
    assert not np.array_equal(expected, expected.T)
    np.testing.assert_array_equal(drawn_shares(ax), expected)
    correct = np.mean([label == answer for label, answer in pairs])
    assert ax.get_title() == f"{task.name}: {correct:.1%} of 75 held-out answers correct"
    assert len(ax.lines) == 0


def test_yes_and_no_are_two_classes():
    """An output above 0 means yes."""
    task = get_task("parity")
    learner, twin = (learner_for(task, 4) for _ in range(2))
    ax = learner.plot_predictions(3, new_figure().subplots())
    pairs = [
        (int(label), int(answer > 0))
        for x, y in islice(twin.evaluation, 3)
        for label, answer in zip(y[:, 0], twin.predict(x)[:, 0], strict=True)
    ]
    expected = shares_of(2, pairs)
    assert (expected > 0).all()
    assert not np.array_equal(expected, expected.T)
    np.testing.assert_array_equal(drawn_shares(ax), expected)
    correct = np.mean([label == answer for label, answer in pairs])
    assert ax.get_title() == f"{task.name}: {correct:.1%} of 75 held-out answers correct"


def test_of_answers_at_every_step_those_that_count_are_drawn():
    """In copying, the blanks before the end do not count."""
    task = get_task("copying/urnn", items=2, symbols=3)
    learner, twin = (learner_for(task, 5) for _ in range(2))
    ax = learner.plot_predictions(2, new_figure().subplots())
    shares = drawn_shares(ax)
    assert shares.shape == (3, 4)  # the blank is never asked for
    pairs = [
        (int(np.argmax(row)), int(np.argmax(answer)))
        for x, y in islice(twin.evaluation, 2)
        for row, answer in zip(y[-2:].reshape(-1, 4), twin.predict(x)[-2:].reshape(-1, 4), strict=True)
    ]
    np.testing.assert_array_equal(shares, shares_of(4, [(0, 0), *pairs])[1:])
    assert [label.get_text() for label in ax.get_yticklabels()] == ["1", "2", "3"]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["blank", "1", "2", "3"]
    assert ax.get_title().endswith(f" of {2 * 25 * 2} held-out answers correct")


def test_answers_that_are_numbers_are_drawn_where_they_are_asked_for():
    """Each sequence ends at one of three steps, and has no label at the others."""
    task = get_task("adding/hs97")
    learner, twin = (learner_for(task, 20) for _ in range(2))
    ax = learner.plot_predictions(3, new_figure().subplots())
    fresh = [(y, twin.predict(x)) for x, y in islice(twin.evaluation, 3)]
    pairs = [
        (label, answer)
        for b in range(25)
        for k in range(3)
        for y, y_hat in fresh
        for label, answer in [(y[k, b, 0], y_hat[k, b, 0])]
        if not np.isnan(label)
    ]
    assert len(pairs) == 75
    points = ax.lines[-1].get_xydata()
    np.testing.assert_array_equal(sorted(map(tuple, points)), sorted(pairs))
    lines = {line.get_label(): line for line in ax.lines}
    assert list(lines) == ["prediction = label", "trivial prediction 0.5", "network"]
    assert lines["trivial prediction 0.5"].get_ydata()[0] == 0.5
    low, high = lines["prediction = label"].get_xdata()
    labels = points[:, 0]
    assert labels.min() - 0.1 <= low <= labels.min()
    assert labels.max() <= high <= labels.max() + 0.1
    assert ax.get_legend().get_texts()[0].get_text() == "correct: within 0.04"
    correct = np.mean([abs(label - answer) <= 0.04 for label, answer in pairs])
    assert ax.get_title() == f"{correct:.1%} of 75 held-out predictions correct"
    assert ax.get_xlabel() == "label (adding/hs97)"
    assert len(ax.images) == 0
    ax.figure.canvas.draw()


def test_answers_are_drawn_against_labels_without_their_noise():
    ax = learner_for(get_task("latch/3c"), 9).plot_predictions(2, new_figure().subplots())
    assert set(ax.lines[-1].get_xdata()) == {0.2, 0.8}
    assert len(ax.lines[-1].get_xdata()) == 50


def test_every_output_of_an_answer_is_drawn():
    learner, twin = (learner_for(get_task("memory-capacity"), 4) for _ in range(2))
    ax = learner.plot_predictions(1, new_figure().subplots())
    x, y = next(twin.evaluation)
    np.testing.assert_array_equal(ax.lines[-1].get_xdata(), y.ravel())
    np.testing.assert_array_equal(ax.lines[-1].get_ydata(), twin.predict(x).ravel())


@pytest.mark.parametrize("name", ["order/pascanu-2", "copying/urnn", "adding/hs97", "parity"])
def test_the_loss_is_drawn_with_the_trivial_risk_of_its_length_and_its_name(name):
    task = get_task(name)
    length = task.least_length + 1
    ax = learner_for(task, length).plot_loss(new_figure().subplots())
    trivial = ax.lines[-1]
    assert trivial.get_label() == f"trivial risk {task.trivial_risk(length):.3f}"
    np.testing.assert_array_equal(trivial.get_ydata(), [task.trivial_risk(length)] * 2)
    assert ax.get_ylabel() == task.make_loss().label


def test_where_no_length_is_known_no_trivial_risk_is_drawn():
    """The length is unknown before a generator's first batch. The memory task has one risk for all lengths."""
    task = get_task("parity")

    def bits():
        rng = np.random.default_rng(0)
        while True:
            yield task.sample(4, 8, rng)

    learner = learner_of(bits(), loss=task.make_loss(), task=task)
    assert [line.get_label() for line in learner.plot_loss(new_figure().subplots()).lines] == [
        "training batch",
        "held-out batches",
    ]
    learner.plot_predictions(1, new_figure().subplots())
    learner.fit(2, **TINY)
    assert learner.plot_loss(new_figure().subplots()).lines[-1].get_label() == "trivial risk 0.693"
    memory = learner_of(generate_samples(8, 3, rng=1))
    assert memory.plot_loss(new_figure().subplots()).lines[-1].get_label() == "trivial risk 0.333"


# --- progress -------------------------------------------------------------------------------------------


def test_progress_is_shown_unless_it_is_not_wanted(capsys, monkeypatch):
    monkeypatch.setattr("memspan.runtime.progress.SECONDS_BETWEEN_LINES", 0)
    learner = learner_of()
    learner.fit(10, **TINY)
    assert capsys.readouterr().err == ""
    learner.fit(10, **{**TINY, "progress": "lines"})
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 10
    loss, accuracy = learner.history.loss[-1], learner.history.accuracy[-2]
    assert lines[-1].startswith("training: 100 %, ")
    assert lines[-1].endswith(f", update 20, loss {loss:.4f}, accuracy {accuracy:.2f}")
    assert lines[0].startswith("training: 55 %, ")


# --- what is refused ------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", [None, np.zeros(3), RNN(1, 2, 1, dtype="complex128")])
def test_the_model_is_a_real_network(model):
    with pytest.raises(InvalidArgument, match="model must be a Network of float32 or float64, got "):
        Learner(model, MSELoss(), generate_samples(8, 3), SGD(0.1))


@pytest.mark.parametrize("name", ["batches", "evaluation"])
def test_data_come_from_an_iterator(name):
    streams = {"batches": generate_samples(8, 3, rng=0), "evaluation": generate_samples(8, 3, rng=0)}
    streams[name] = [next(streams[name])]
    with pytest.raises(InvalidArgument, match=rf"{name} must be an endless iterator of pairs \(x, y\), got "):
        learner_of(**streams)


@pytest.mark.parametrize("name", ["batches", "evaluation"])
def test_an_end_of_the_data_is_an_error_with_a_name(name):
    streams = {"batches": generate_samples(8, 3, rng=0), "evaluation": generate_samples(8, 3, rng=0)}
    streams[name] = islice(streams[name], 2)
    with pytest.raises(InvalidArgument, match=f"{name} must be endless, got only 2 batches"):
        learner_of(**streams).fit(3, evaluate_every=1, progress=False)


def given(x, y):
    """The same batch forever."""
    while True:
        yield x, y


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (
            np.ones((3, 4, 2)),
            np.ones((4, 1)),
            "x has 2 features; the network takes 1.",
        ),
        (np.ones((1, 3, 4, 1)), np.ones((4, 1)), "x must be of shape [T, F] or [T, B, F], got shape (1, 3, 4, 1)"),
        (
            np.ones((3, 4, 1), int),
            np.ones((4, 1)),
            "x must be an array of real floating-point numbers, got dtype int64",
        ),
        (
            np.ones((3, 4, 1)) * 1j,
            np.ones((4, 1)),
            "x must be an array of real floating-point numbers, got dtype complex",
        ),
        (
            np.ones((0, 4, 1)),
            np.ones((4, 1)),
            "x must be of at least one time step and one sample, got shape (0, 4, 1)",
        ),
        (np.ones((3, 4, 1)), np.ones((1, 1)), "y_hat must be of the labels' shape (1, 1), got shape (4, 1)"),
        (np.ones((3, 4, 1)), np.ones((4, 2)), "y_hat must be of the labels' shape (4, 2), got shape (4, 1)"),
    ],
)
def test_batches_that_do_not_fit_are_refused_in_the_same_words(x, y, message, engine):
    learner = learner_of(given(x, y), engine=engine)
    before = learner.model.parameters.copy()
    with pytest.raises(InvalidArgument, match=re.escape(message)):
        learner.fit(3, **TINY)
    np.testing.assert_array_equal(learner.model.parameters, before)
    assert learner.updates == 0


def test_a_single_sequence_is_a_batch_of_one(engine):
    x, y = next(generate_samples(1, 5, rng=0))
    one, other = learner_of(given(x[:, 0], y), engine=engine), learner_of(given(x, y), engine=engine)
    for learner in (one, other):
        learner.fit(5, **TINY)
    assert_same_state(one, other)


@pytest.mark.parametrize("value", [0, -1, 2.0, True, None])
@pytest.mark.parametrize("name", ["updates", "evaluate_every", "evaluation_batches", "final_batches"])
def test_numbers_of_updates_and_batches_are_whole(name, value):
    learner = learner_of()
    with pytest.raises(InvalidArgument, match=f"{name} must be a whole number of at least 1, got {value!r}"):
        learner.fit(**{"updates": 3, "progress": False, name: value})
    assert learner.updates == 0


@pytest.mark.parametrize("threshold", [0, -1, 1.01, np.nan, "0.9"])
def test_the_threshold_is_positive(threshold):
    with pytest.raises(InvalidArgument, match="threshold must be a finite number above 0 and of at most 1, got "):
        learner_of(threshold=threshold)


def test_a_clip_is_no_optimiser():
    with pytest.raises(InvalidArgument, match="the parts of a Chain must be "):
        learner_of(optimizer=ClipByNorm(1.0))


WRONG = {
    "task": ("recall", "task must be a Task, for example get_task('adding/any'), got 'recall'"),
    "empty task": ("", "task must be a Task, for example get_task('adding/any'), got ''"),
    "loss": (MSELoss, "loss must be an object, such as MSELoss(), got the class MSELoss"),
    "model": (RNN(2, 6, 1, rng=0), "model.input_size must be 1 for recall at T = 3, got 2"),
    "readout": (RNN(1, 6, 3, rng=0), "model.output_size must be 1 for recall at T = 3, got 3"),
    "steps": (RNN(1, 6, 1, output_steps=2, rng=0), "model.output_steps must be None for recall at T = 3, got 2"),
    "evaluation": (
        Batches(Recall(), length=3, batch=8, rng=1),
        "evaluation must be a stream with another seed than batches, got one with the same sequences",
    ),
}
"""Invalid arguments by name (or of the model), with their messages."""


@pytest.mark.parametrize("name", WRONG)
def test_what_a_learner_cannot_be_made_of_is_named(name):
    value, message = WRONG[name]
    argument = {"empty task": "task", "readout": "model", "steps": "model"}.get(name, name)
    with pytest.raises(InvalidArgument, match=re.escape(message)):
        learner_of(**{argument: value})


def test_the_networks_shape_is_that_of_the_held_out_batches_too():
    with pytest.raises(InvalidArgument, match="input_size must be 2 for adding/any at T = 5, got 1"):
        learner_of(evaluation=Batches(get_task("adding/any"), 5, 8, rng=2))


def test_a_stream_may_be_shared_by_training_and_evaluation():
    batches = Batches(Recall(), length=3, batch=8, rng=1)
    assert learner_of(batches, evaluation=batches).evaluation is batches
    rng = np.random.default_rng(1)  # each takes its own numbers from it
    learner_of(Batches(Recall(), 3, 8, rng=rng), evaluation=Batches(Recall(), 3, 8, rng=rng))


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("observe", 3, "observe must be a function that takes the learner, got 3"),
        ("stop_when_solved", "no", "stop_when_solved must be True or False, got 'no'"),
        ("stop_when_solved", 0, "stop_when_solved must be True or False, got 0"),
        ("progress", 3, f"progress must be True, False or one of {', '.join(KINDS)}, got 3"),
        (
            "progress",
            "loud",
            f"progress must be True, False or one of {', '.join(KINDS)}, got 'loud'",
        ),
        ("flow_every", True, "flow_every must be a whole number of at least 0, got True"),
    ],
)
def test_how_to_fit_is_checked(name, value, message):
    learner = learner_of()
    with pytest.raises(InvalidArgument, match=re.escape(message)):
        learner.fit(3, **{**TINY, name: value})
    assert learner.updates == 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda learner: learner.save(None), "path must be the path of a file, as a string or a Path, got None"),
        (lambda learner: Learner.load(3), "path must be the path of a file, as a string or a Path, got 3"),
        (lambda learner: learner.plot_loss(ax=3), "ax must be the Axes of a matplotlib figure, got 3"),
        (
            lambda learner: learner.plot_predictions(ax="left"),
            "ax must be the Axes of a matplotlib figure, got 'left'",
        ),
        (lambda learner: learner.predict(np.ma.ones((3, 1))), "x must be an array without a mask"),
    ],
    ids=["save", "load", "plot_loss", "plot_predictions", "predict"],
)
def test_arguments_of_the_methods_are_checked(call, message):
    learner = learner_of()
    with pytest.raises(InvalidArgument, match=re.escape(message)):
        call(learner)


@pytest.mark.parametrize(
    "name", ["model", "loss", "optimizer", "batches", "evaluation", "task", "threshold", "updates"]
)
def test_what_a_learner_is_made_of_is_not_replaced_in_vain(name):
    """Assigning to a part used to have no effect on training."""
    learner = learner_of()
    with pytest.raises(AttributeError):
        setattr(learner, name, getattr(learner, name))


# --- masked arrays, and labels that are partly missing --------------------------------------------------


@pytest.mark.parametrize("name", ["x", "y"])
def test_a_masked_array_is_refused_as_numpy_would_drop_its_mask(name, engine):
    x, y = next(generate_samples(8, 3, rng=1))
    pair = {"x": x, "y": y, name: np.ma.array({"x": x, "y": y}[name], mask=True)}
    learner = learner_of(iter([(pair["x"], pair["y"])]), engine=engine)
    with pytest.raises(InvalidArgument, match=f"^{name} must be an array without a mask"):
        learner.fit(1, **TINY)
    assert learner.updates == 0


def capacity(rng):
    """Batches of memory capacity in which some labels are missing."""
    task, rng, missing = get_task("memory-capacity"), np.random.default_rng(rng), np.random.default_rng(0)
    while True:
        x, y = task.sample(5, 16, rng)
        y[missing.random(y.shape) < 0.4] = np.nan
        yield x, y


class Perfect(Network):
    """A network that answers with the inputs, the last one first."""

    def predict(self, x):
        return self.inputs(x)[-2::-1, :, 0].T.copy()


def test_of_labels_that_are_partly_missing_those_that_are_there_count():
    """A perfect answer used to have the loss 0 and an accuracy of 0.6."""
    model = Perfect("rnn", 1, 3, 4, rng=0)
    task, loss = get_task("memory-capacity"), MSELoss(masked=True)
    learner = learner_of(capacity(1), model=model, loss=loss, task=task, engine="readable")
    score = learner.evaluate(10)
    assert (score.loss, score.accuracy) == (0, 1)
    drawn = learner.plot_predictions(ax=new_figure().subplots()).lines
    labels, answers = next(line.get_data() for line in drawn if line.get_label() == "network")
    np.testing.assert_array_equal(labels, answers)
    assert 0.5 * 4 * 16 * 4 < len(labels) < 0.7 * 4 * 16 * 4


def test_both_engines_learn_from_partly_missing_labels_alike():
    found = []
    for engine in ("compiled", "readable"):
        model = Network("rnn", 1, 6, 4, rng=0)
        options = {"loss": MSELoss(masked=True), "task": get_task("memory-capacity"), "engine": engine}
        learner = learner_of(capacity(1), model=model, **options)
        learner.fit(30, **TINY)
        found.append((learner.history.loss, learner.history.accuracy, learner.model.parameters))
    for mine, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-9)


# --- what the user's program has set --------------------------------------------------------------------


def test_the_users_errstate_does_not_reach_training(engine):
    """The network saturates, and its gradients underflow."""
    learners = []
    for how in ({}, {"all": "raise"}):
        batches = Batches(Recall(), length=60, batch=8, rng=1)
        model = RNN(1, 6, 1, init="glorot", gain=30, dtype="float32", rng=0)
        learner = learner_of(batches, model=model, engine=engine)
        with np.errstate(**how):
            learner.fit(12, flow_every=3, **TINY)
            learner.evaluate(2)
            answers = learner.predict(next(batches).x)
        learners.append((learner, answers))
    (one, answers), (other, same) = learners
    assert_same_state(one, other)
    assert one.history == other.history
    np.testing.assert_array_equal(one.flows, other.flows)
    np.testing.assert_array_equal(answers, same)


def test_a_callback_keeps_the_errstate_of_the_program():
    seen = []
    with np.errstate(all="raise"):
        learner_of().fit(2, observe=lambda learner: seen.append(np.geterr()["over"]), **TINY)
    assert seen == ["raise", "raise"]


# --- copies ---------------------------------------------------------------------------------------------

COPIES = {"deepcopy": copy.deepcopy, "pickle": lambda learner: pickle.loads(pickle.dumps(learner))}


@pytest.mark.parametrize("copied", COPIES.values(), ids=list(COPIES))
@pytest.mark.parametrize("loss", [MSELoss, Rough], ids=["inside", "outside"])
def test_a_copy_goes_on_as_the_learner_itself(copied, loss, engine):
    learner = learner_of(engine=engine, loss=loss())
    learner.fit(15, **TINY)
    twin = copied(learner)
    assert twin.history == learner.history
    assert twin.result == learner.result
    for one in (learner, twin):  # one after the other: what they shared would show
        one.fit(15, **TINY)
    assert_same_state(learner, twin)
    assert learner.history == twin.history
    assert not np.shares_memory(learner.model.parameters, twin.model.parameters)
    np.testing.assert_array_equal(next(learner.evaluation).x, next(twin.evaluation).x)


def test_a_copy_made_in_a_callback_goes_on_from_there(engine, tmp_path):
    """The optimiser's state used to be that of the start of `fit`, when saved, copied or read."""
    kept, path = [], tmp_path / "learner.safetensors"

    def keep(learner):
        if learner.updates == 7:
            learner.save(path)
            kept.append(copy.deepcopy(learner))

    learner = learner_of(engine=engine)
    learner.fit(12, observe=keep, **{**TINY, "evaluate_every": 100})
    straight = learner_of(engine=engine)
    straight.fit(12, **{**TINY, "evaluate_every": 100})
    for one in (kept[0], Learner.load(path, engine=engine)):
        assert one.updates == 7
        one.fit(5, **{**TINY, "evaluate_every": 100})
        assert_same_state(one, straight)


ELSEWHERE = """
import pickle, sys
from memspan import Learner
with open(sys.argv[1], "rb") as file:
    learner = pickle.load(file)
learner.fit(15, evaluate_every=10, evaluation_batches=1, final_batches=2, stop_when_solved=False, progress=False)
with open(sys.argv[1], "wb") as file:
    pickle.dump(learner, file)
"""


def test_a_pickled_learner_goes_on_in_another_process(engine, tmp_path):
    learner, path = learner_of(engine=engine), tmp_path / "learner.pickle"
    learner.fit(15, **TINY)
    path.write_bytes(pickle.dumps(learner))
    learner.fit(15, **TINY)
    subprocess.run([sys.executable, "-c", ELSEWHERE, path], check=True, timeout=300)
    assert_same_state(learner, pickle.loads(path.read_bytes()))


@pytest.mark.parametrize("copied", COPIES.values(), ids=list(COPIES))
def test_of_a_learner_that_is_fed_by_a_generator_there_is_no_copy(copied, engine):
    with pytest.raises(
        InvalidArgument, match=r"batches must be Batches or .* is copied or pickled, got a generator"
    ):
        copied(learner_of(generate_samples(8, 3, rng=1), engine=engine))


@pytest.mark.parametrize("copied", COPIES.values(), ids=list(COPIES))
def test_of_one_that_is_fed_by_another_iterator_there_is(copied, engine):
    pairs = [next(generate_samples(8, 3, rng=k)) for k in range(40)]
    learner = learner_of(iter(pairs), engine=engine)
    learner.fit(5, **TINY)
    twin = copied(learner)
    for one in (learner, twin):
        one.fit(5, **TINY)
    assert_same_state(learner, twin)
