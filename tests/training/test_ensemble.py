import hashlib
import os
import signal
import subprocess
import sys
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
    InvalidArgument,
    Learner,
    Momentum,
    MSELoss,
    Network,
    Outcome,
    Recall,
    RMSprop,
    generate_samples,
)
from memspan.runtime.renamed import RenamedWarning
from memspan.training.ensemble import Ensemble
from memspan.training.member import Member

ENGINES = ("compiled", "readable")
OPTIMIZERS = {
    "adam": Chain(ClipByNorm(0.1), Adam(1e-2)),
    "sgd": SGD(0.1),
    "rmsprop": Chain(ClipByNorm(0.5), RMSprop(1e-3)),
    "momentum": Momentum(0.05),
}
TINY = {
    "evaluate_every": 10,
    "evaluation_batches": 1,
    "final_batches": 2,
    "stop_when_solved": False,
    "progress": False,
}


@pytest.fixture(params=ENGINES)
def engine(request):
    return request.param


def stream(seed, length=3):
    return Batches(Recall(), length, 8, np.random.SeedSequence(seed))


def ensemble_of(seeds, streams=None, models=None, *, optimizer=OPTIMIZERS["adam"], loss=None, **options):
    """One network per seed; the seed determines its weights and data."""
    models = [RNN(1, 6, 1, rng=seed) for seed in seeds] if models is None else models
    streams = [stream(seed) for seed in seeds] if streams is None else streams
    return Ensemble(models, loss or MSELoss(), streams, optimizer, **options)


def fingerprint(member):
    """A hash of everything that training changes in a network."""
    arrays = [member.model.parameters, *member.state, *member.history.arrays().values(), *member.flows]
    parts = [np.asarray(array).tobytes() for array in arrays]
    return hashlib.sha256(b"|".join(parts)).hexdigest(), member.updates, member.result and str(member.result)


def fingerprints(ensemble):
    return [fingerprint(member) for member in ensemble.members]


# --- nobody is touched by those beside him --------------------------------------------------------------


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_network_is_bit_identical_alone_and_in_any_company(optimizer, engine):
    options = {"optimizer": OPTIMIZERS[optimizer], "engine": engine}
    companies = [[4], [4, 0, 2], [3, 1, 0, 2, 6, 5, 4]]
    ensembles = [ensemble_of(seeds, **options) for seeds in companies]
    found = []
    for _ in range(2):  # fitted twice
        for ensemble in ensembles:
            ensemble.fit(35, flow_every=5, **TINY)
        found.append(
            [fingerprint(group.members[seeds.index(4)]) for group, seeds in zip(ensembles, companies, strict=True)]
        )
    assert len(set(found[0])) == len(set(found[1])) == 1
    assert found[0][0] != found[1][0]
    assert len(set(fingerprints(ensembles[2]))) == 7  # all others are others
    member = ensembles[2].members[-1]
    assert (member.updates, len(member.history.loss), len(member.flows)) == (70, 70, 14)
    assert member.history.evaluated_at == [10, 20, 30, 35, 40, 50, 60, 70]


def test_each_network_has_its_interval_of_measurements(engine):
    """Those that are measured train as if they were not, and the others are not measured."""
    some, none = ensemble_of(range(3), engine=engine), ensemble_of(range(3), engine=engine)
    some.fit(10, flow_every=[0, 4, 3], **TINY)
    none.fit(10, **TINY)
    assert [len(member.flows) for member in some.members] == [0, 3, 4]
    for one, other in zip(some.members, none.members, strict=True):
        np.testing.assert_array_equal(one.model.parameters, other.model.parameters)
        assert len(one.spreads) == len(one.flows)
    for member in some.members:
        for flow, spread in zip(member.flows, member.spreads, strict=True):
            assert spread.quantiles.shape == (3, 3)
            assert (spread.quantiles[0] <= flow).all()
            assert (np.diff(spread.quantiles, axis=0) >= 0).all()


def test_intervals_must_be_one_for_each_network(engine):
    ensemble = ensemble_of(range(3), engine=engine)
    for wrong in ([1, 2], [1, 2, 3, 4], []):
        with pytest.raises(
            InvalidArgument, match="flow_every must be a whole number, or one for each of 3 networks"
        ):
            ensemble.fit(10, flow_every=wrong, **TINY)
    with pytest.raises(InvalidArgument, match="flow_every must be a whole number of at least 0"):
        ensemble.fit(10, flow_every=[1, 2, -1], **TINY)


def test_a_learner_is_an_ensemble_of_one(engine):
    ensemble = ensemble_of([0, 1], engine=engine)
    learner = Learner(RNN(1, 6, 1, rng=1), MSELoss(), stream(1), OPTIMIZERS["adam"], engine=engine)
    results = ensemble.fit(20, **TINY)
    assert learner.fit(20, **TINY).evaluation.loss == results[1].evaluation.loss
    assert fingerprint(learner.ensemble.members[0]) == fingerprint(ensemble.members[1])


def test_the_weights_of_an_ensemble_are_rows_of_one_array(engine):
    ensemble = ensemble_of(range(3), engine=engine)
    models = [member.model for member in ensemble.members]
    starts = [model.parameters.copy() for model in models]
    ensemble.fit(5, **TINY)
    assert len({id(model.parameters.base) for model in models}) == 1
    for model, start in zip(models, starts, strict=True):
        assert not np.array_equal(model.parameters, start)
        assert np.shares_memory(model.R, model.parameters)


def test_batches_of_different_shapes(engine):
    """Each stream has its own T and B."""
    streams = [stream(0), stream(1, length=5), Batches(Recall(), 3, 20, np.random.SeedSequence(2))]
    together = ensemble_of(range(3), streams, engine=engine)
    together.fit(25, flow_every=10, **TINY)
    assert [len(member.flows[-1]) for member in together.members] == [3, 5, 3]
    again = [stream(0), stream(1, length=5), Batches(Recall(), 3, 20, np.random.SeedSequence(2))]
    for k in range(3):
        alone = ensemble_of([k], [again[k]], engine=engine)
        alone.fit(25, flow_every=10, **TINY)
        assert fingerprints(alone) == [fingerprint(together.members[k])]


# --- those who leave ------------------------------------------------------------------------------------


def with_a_hole(seed, at):
    for count, (x, y) in enumerate(generate_samples(8, 3, rng=seed), start=1):
        if count == at:
            x[0, 0] = np.nan
        yield x, y


def without_a_hole(seed):
    return with_a_hole(seed, 0)


@pytest.mark.parametrize("place", [0, 1, 2])
def test_one_that_diverges_leaves_and_the_others_go_on(place, engine):
    """Results, counts and bits do not depend on the other networks, in the second fit either."""
    holes = [7 if k == place else 0 for k in range(3)]
    ensemble = ensemble_of(range(3), [with_a_hole(k, holes[k]) for k in range(3)], engine=engine)
    alone = [ensemble_of([k], [with_a_hole(k, holes[k])], engine=engine) for k in range(3)]
    left = ensemble.members[place].model
    for updates in (25, 25):
        results = ensemble.fit(updates, flow_every=5, **TINY)
        for one in alone:
            one.fit(updates, flow_every=5, **TINY)
        assert [*map(fingerprint, ensemble.members)] == [fingerprint(one.members[0]) for one in alone]
        if updates == 25 and ensemble.members[place].updates == 6:
            assert str(results[place]) == "diverged at update 7: x is not finite; the weights before it are kept"
            others = [member for k, member in enumerate(ensemble.members) if k != place]
            assert [member.result.outcome for member in others] == [Outcome.UNSOLVED] * 2
            assert not any(np.shares_memory(left.parameters, other.model.parameters) for other in others)
    assert [member.updates for member in ensemble.members] == [31 if k == place else 50 for k in range(3)]


WEIGHTS = {"W": np.nan, "R": np.inf, "V": 1e200}
NAMES = {"W": "W", "R": "R", "V": "loss"}


@pytest.mark.parametrize("name", WEIGHTS)
def test_what_is_not_finite_is_named_for_each_network(name, engine):
    models = [RNN(1, 6, 1, rng=seed) for seed in range(3)]
    getattr(models[1], name)[0, 0] = WEIGHTS[name]
    results = ensemble_of(range(3), models=models, engine=engine).fit(5, **TINY)
    assert [result.tensor for result in results] == [None, NAMES[name], None]
    assert [result.update for result in results] == [5, 0, 5]


def test_several_may_leave_at_once(engine):
    streams = [with_a_hole(0, 7), without_a_hole(1), with_a_hole(2, 7), with_a_hole(3, 9)]
    ensemble = ensemble_of(range(4), streams, engine=engine)
    results = ensemble.fit(12, **TINY)
    assert [(result.outcome, result.update) for result in results] == [
        (Outcome.DIVERGED, 6),
        (Outcome.UNSOLVED, 12),
        (Outcome.DIVERGED, 6),
        (Outcome.DIVERGED, 8),
    ]
    all_gone = ensemble_of(range(2), [with_a_hole(0, 3), with_a_hole(1, 2)], engine=engine)
    assert [result.update for result in all_gone.fit(12, **TINY)] == [2, 1]


class Huge(MSELoss):
    """A loss with a huge value, or a huge derivative, for large labels."""

    def __init__(self, value=1.0, slope=1.0):
        super().__init__()
        self.value, self.slope = value, slope

    def forward(self, y_hat, y):
        self.large = bool((np.abs(y) > 2).all())
        return super().forward(y_hat, y) * (self.value if self.large else 1.0)

    def backward(self):
        return super().backward() * (self.slope if self.large else 1.0)


def stretch(gradient):
    """A clip that makes large gradients larger still."""
    return gradient * np.where(np.abs(gradient) > 1e100, 1e200, 1.0)


@pytest.mark.parametrize(
    ("loss", "optimizer", "tensor"),
    [
        ({"value": np.inf}, Adam(1e-2), "loss"),
        ({"slope": np.inf}, Adam(1e-2), "d_"),
        ({"slope": 1e200}, Chain(stretch, SGD(0.1)), "after the step"),
        ({"slope": 1e200}, RMSprop(1e-3), "square of the optimizer"),
    ],
)
def test_one_that_overflows_in_an_update_leaves_the_others_as_they_were(loss, optimizer, tensor, engine):
    def labels(seed):
        return ((x, y + 10 if seed == 1 else y) for x, y in generate_samples(8, 3, rng=seed))

    options = {"optimizer": optimizer, "engine": engine}
    together = ensemble_of(range(3), [labels(k) for k in range(3)], loss=Huge(**loss), **options)
    together.fit(8, flow_every=2, **TINY)
    assert [member.updates for member in together.members] == [8, 0, 8]
    assert [len(member.flows) for member in together.members] == [4, 0, 4]
    assert tensor in together.members[1].result.tensor
    for k in range(3):
        alone = ensemble_of([k], [labels(k)], loss=Huge(**loss), **options)
        alone.fit(8, flow_every=2, **TINY)
        assert fingerprints(alone) == [fingerprint(together.members[k])]


def test_one_that_is_solved_leaves_and_the_others_go_on(engine):
    """Its labels are almost 0, and so are the answers of the network."""

    def labels(seed, scale):
        return ((x, scale * y) for x, y in generate_samples(8, 3, rng=seed))

    options = {"evaluate_every": 10, "evaluation_batches": 1, "final_batches": 2, "progress": False}
    scales = (1, 0.01, 1)
    together = ensemble_of(range(3), [labels(k, scales[k]) for k in range(3)], engine=engine)
    results = together.fit(30, **options)
    assert [result.outcome for result in results] == [Outcome.UNSOLVED, Outcome.SOLVED, Outcome.UNSOLVED]
    solved = together.members[1]
    assert results[1].update == solved.updates == solved.history.evaluated_at[-1] < 30
    assert results[1].evaluation.accuracy == solved.history.accuracy[-1] >= 0.9
    assert not np.shares_memory(solved.model.parameters, together.members[0].model.parameters)
    for k in range(3):
        alone = ensemble_of([k], [labels(k, scales[k])], engine=engine)
        assert alone.fit(30, **options)[0].update == results[k].update
        assert fingerprints(alone) == [fingerprint(together.members[k])]


def lucky(model, batches):
    """Held-out batches whose first ones have the answers of the network as labels; all others have 10."""
    for k, (x, y) in enumerate(stream(9)):
        yield x, (model.predict(x) if k < batches else np.full_like(y, 10.0))


def test_each_network_is_judged_on_batches_that_no_decision_has_seen(engine):
    """Networks that do not move. Luck holds for the look (1), the confirmation (2) and the verdict (2), or not."""
    models = [RNN(1, 6, 1, rng=seed) for seed in range(4)]
    lasting = (0, 1, 3, 5)
    evaluation = [
        lucky(model.astype(model.dtype), batches) for model, batches in zip(models, lasting, strict=True)
    ]
    ensemble = ensemble_of(range(4), models=models, optimizer=SGD(1e-12), evaluation=evaluation, engine=engine)
    results = ensemble.fit(20, evaluate_every=10, evaluation_batches=1, final_batches=2, progress=False)
    assert [result.outcome for result in results] == [Outcome.UNSOLVED] * 3 + [Outcome.SOLVED]
    assert [result.update for result in results] == [20, 20, 10, 10]
    assert [result.evaluation.accuracy for result in results] == [0, 0, 0, 1]
    assert [member.history.accuracy for member in ensemble.members] == [[0, 0], [0, 0], [0], [1]]


def test_the_verdict_is_the_score_of_the_next_batches_bit_for_bit(engine):
    drawn = [[], [], []]

    def recorded(k):
        for batch in stream(20 + k).fork():
            drawn[k].append(batch)
            yield batch

    easy = {"task": Recall(0.9), "threshold": 0.7, "engine": engine}
    ensemble = ensemble_of(range(3), evaluation=[recorded(k) for k in range(3)], **easy)
    results = ensemble.fit(20, evaluate_every=10, evaluation_batches=1, final_batches=4, progress=False)
    for member, result, batches in zip(ensemble.members, results, drawn, strict=True):
        verdict = batches[-4:]
        assert len({batch.x.tobytes() for batch in batches}) == len(batches)
        alone = ensemble_of([0], models=[member.model], evaluation=[iter(verdict)], **easy)
        (again,) = alone.evaluate(4)
        np.testing.assert_array_equal(result.evaluation.accuracies, again.accuracies)
        np.testing.assert_array_equal(result.evaluation.losses, again.losses)


# --- Ctrl-C ---------------------------------------------------------------------------------------------


def press_ctrl_c():
    os.kill(os.getpid(), signal.SIGINT)


def interrupt():
    raise KeyboardInterrupt


def interrupting(seed, at, what):
    """Endless batches; a function is called once before one of them."""
    return Interrupting(generate_samples(8, 3, rng=seed), at, what)


class Interrupting:
    def __init__(self, batches, at, what):
        self.batches, self.at, self.what, self.drawn = batches, at, what, 0

    def __iter__(self):
        return self

    def __next__(self):
        self.drawn += 1
        if self.drawn == self.at:
            self.what()
        return next(self.batches)


@pytest.mark.parametrize("what", [press_ctrl_c, interrupt])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_an_interrupt_loses_no_batch(place, what, engine):
    """At that time some networks have drawn the next batch, and others have not."""
    options = {**TINY, "evaluate_every": 1000}
    streams = [interrupting(k, 17 if k == place else 0, what) for k in range(3)]
    stopped = ensemble_of(range(3), streams, engine=engine)
    straight = ensemble_of(range(3), [generate_samples(8, 3, rng=k) for k in range(3)], engine=engine)
    results = stopped.fit(40, **options)
    done = 17 if what is press_ctrl_c else 16
    assert [(result.outcome, result.update) for result in results] == [(Outcome.INTERRUPTED, done)] * 3
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    stopped.fit(40 - done, **options)
    straight.fit(40, **options)
    assert fingerprints(stopped) == fingerprints(straight)


def test_those_who_had_left_before_an_interrupt_keep_their_outcomes(engine):
    streams = [with_a_hole(0, 7), interrupting(1, 10, press_ctrl_c), without_a_hole(2)]
    results = ensemble_of(range(3), streams, engine=engine).fit(40, **TINY)
    assert [(result.outcome, result.update) for result in results] == [
        (Outcome.DIVERGED, 6),
        (Outcome.INTERRUPTED, 10),
        (Outcome.INTERRUPTED, 10),
    ]


def test_an_error_leaves_every_network_as_it_was_after_its_last_update(engine):
    streams = [without_a_hole(0), islice(without_a_hole(1), 5)]
    ensemble = ensemble_of(range(2), streams, engine=engine)
    with pytest.raises(InvalidArgument, match="batches must be endless, got only 5 batches"):
        ensemble.fit(40, **TINY)
    straight = ensemble_of(range(2), [without_a_hole(k) for k in range(2)], engine=engine)
    straight.fit(5, **{**TINY, "evaluate_every": 1000})
    for mine, theirs in zip(ensemble.members, straight.members, strict=True):
        assert mine.updates == 5
        np.testing.assert_array_equal(mine.model.parameters, theirs.model.parameters)
        np.testing.assert_array_equal(mine.state.mean, theirs.state.mean)
    assert ensemble.results == []


# --- evaluation -----------------------------------------------------------------------------------------


def test_each_network_is_scored_on_its_own_fresh_batches(engine):
    ensemble = ensemble_of(range(3), engine=engine)
    scores = ensemble.evaluate(4)
    for seed, score in enumerate(scores):
        model = RNN(1, 6, 1, rng=seed)
        fresh = [*islice(stream(seed).fork(), 6)]
        losses = [np.mean((model.predict(x) - y) ** 2) for x, y in fresh]
        shares = [np.mean(np.abs(model.predict(x) - y) <= 0.1) for x, y in fresh]
        assert score.loss == pytest.approx(np.mean(losses[:4]), rel=1e-12)
        np.testing.assert_array_equal(score.accuracies, shares[:4])
        np.testing.assert_allclose(score.losses, losses[:4], rtol=1e-12)
        if seed == 1:
            (again,) = ensemble.evaluate(2, [ensemble.members[1]])
            np.testing.assert_array_equal(again.accuracies, shares[4:])
            np.testing.assert_allclose(again.losses, losses[4:], rtol=1e-12)


def test_evaluation_may_have_streams_of_its_own(engine):
    fresh = [stream(seed, length) for seed, length in ((7, 2), (8, 9))]
    scores = ensemble_of(range(2), evaluation=fresh, engine=engine).evaluate(1)
    for seed, (other, length) in enumerate(((7, 2), (8, 9))):
        x, y = next(stream(other, length))
        expected = np.mean((RNN(1, 6, 1, rng=seed).predict(x) - y) ** 2)
        assert scores[seed].loss == pytest.approx(float(expected), rel=1e-12)


def test_observers_are_called_once_an_update(engine):
    seen = []
    ensemble = ensemble_of(range(2), [with_a_hole(0, 3), without_a_hole(1)], engine=engine)
    ensemble.fit(4, observe=lambda: seen.append([member.updates for member in ensemble.members]), **TINY)
    assert seen == [[1, 1], [2, 2], [2, 3], [2, 4]]


# --- what is refused ------------------------------------------------------------------------------------


def refused(match, models, streams=None, **options):
    streams = [stream(k) for k in range(len(models))] if streams is None else streams
    with pytest.raises(InvalidArgument, match=match):
        Ensemble(models, MSELoss(), streams, SGD(0.1), **options)


def test_every_network_has_one_stream():
    models = [RNN(1, 6, 1, rng=seed) for seed in range(2)]
    rule = "must be 2 different iterators, one for each model, got"
    same = stream(0)
    for streams, got in (([same], "1 .1"), ([stream(k) for k in range(3)], "3 .3"), ([same, same], "2 .1")):
        refused(f"batches {rule} {got} different", models, streams)
        refused(f"evaluation {rule} {got} different", models, evaluation=streams)


@pytest.mark.parametrize(
    ("other", "what"),
    [
        (Network("rnn", 1, 7, 1), "layout"),
        (Network("rnn-relu", 1, 6, 1), "layout"),
        (Network("rnn", 1, 6, 2), "layout"),
        (Network("rnn", 1, 6, 1, dtype="float32"), "dtype"),
        (Network("rnn", 1, 6, 1, output_steps=2), "output_steps"),
    ],
)
def test_the_networks_differ_in_nothing_but_their_weights(other, what, engine):
    refused(f"models must be networks with the same {what}, got ", [RNN(1, 6, 1), other], engine=engine)


def test_no_network_is_there_twice_and_one_is_there(engine):
    model = RNN(1, 6, 1)
    for models in ([model, model], []):
        refused("models must be at least one network, and each only once", models, engine=engine)
    for model in (None, RNN(1, 6, 1, dtype="complex128")):
        refused("model must be a Network of float32 or float64", [RNN(1, 6, 1), model], engine=engine)


def test_engines_have_names():
    refused("engine must be one of .*compiled.*readable.*, got 'fast'", [RNN(1, 6, 1)], engine="fast")


def test_the_old_name_of_the_compiled_engine_warns_once():
    model, other = RNN(1, 6, 1, rng=0), RNN(1, 6, 1, rng=0)
    with pytest.warns(RenamedWarning, match=r'engine="fused" is now engine="compiled"') as caught:
        ensemble = Ensemble([model], MSELoss(), [stream(0)], SGD(0.1), engine="fused")
    assert len(caught) == 1
    with pytest.warns(RenamedWarning, match=r'engine="fused" is now engine="compiled"') as caught:
        learner = Learner(other, MSELoss(), stream(0), SGD(0.1), engine="fused")
    assert len(caught) == 1
    ensemble.fit(3, **TINY)
    learner.fit(3, **TINY)
    np.testing.assert_array_equal(model.parameters, other.parameters)
    assert model.grads is None  # the compiled engine leaves none


def test_the_old_name_of_a_result_warns(engine):
    learner = Learner(RNN(1, 6, 1, rng=0), MSELoss(), stream(0), SGD(0.1), engine=engine)
    learner.fit(3, **TINY)
    (member,) = learner.ensemble.members
    for owner in (learner, member):
        with pytest.warns(RenamedWarning, match="outcome is now result"):
            assert owner.outcome is learner.result


def test_batches_are_drawn_once_for_each_update(engine, monkeypatch):
    drawn = []
    draw = Member.draw
    monkeypatch.setattr(Member, "draw", lambda member: drawn.append(member) or draw(member))
    ensemble = ensemble_of(range(2), engine=engine)
    ensemble.fit(5, **TINY)
    assert drawn == ensemble.members * 5


def test_the_readable_engine_leaves_the_gradients_in_each_network():
    ensemble = ensemble_of(range(3), engine="readable")
    ensemble.fit(3, **TINY)
    for member in ensemble.members:
        x = member.last.x.astype(float)
        np.testing.assert_array_equal(member.model.trace.x, x)
        assert member.model.grads.trace is member.model.trace
        assert np.linalg.norm(member.model.grads.total()) == pytest.approx(member.history.norm[-1], rel=1e-12)


class Doubled(Network):
    def forward(self, x):
        return 2 * super().forward(x)


def test_a_network_with_a_method_of_its_own_needs_the_readable_engine():
    """The compiled engine would not call the overridden method."""
    model = Doubled("rnn", 1, 6, 1)
    refused("engine must be 'readable' for a network that overrides forward, got 'compiled' and Doubled", [model])
    Ensemble([model], MSELoss(), [stream(0)], SGD(0.1), engine="readable").fit(1, **TINY)


@pytest.mark.parametrize("memory", [0, 1.5, "much"])
def test_memory_is_a_number_of_bytes(memory):
    refused("memory must be a whole number of at least 1", [RNN(1, 6, 1)], memory=memory)


def test_too_little_memory_is_found_before_anything_happens():
    ensemble = ensemble_of(range(2), memory=1000)
    before = [member.model.parameters.copy() for member in ensemble.members]
    with pytest.raises(
        InvalidArgument, match=r"memory must be at least \d+ bytes for T=3, B=8, H=6 \(rnn, float64\)"
    ):
        ensemble.fit(5, **TINY)
    for member, start in zip(ensemble.members, before, strict=True):
        np.testing.assert_array_equal(member.model.parameters, start)
        assert (member.updates, member.result) == (0, None)


# --- losses ---------------------------------------------------------------------------------------------


class Plain:
    """A loss without a compiled form."""

    def __init__(self):
        self.loss = MSELoss()

    def forward(self, y_hat, y):
        return 5 * self.loss.forward(y_hat, y)

    def backward(self):
        return 5 * self.loss.backward()


class Steeper(MSELoss):
    """A loss that inherits a compiled form which does not match its methods."""

    def backward(self):
        return 5 * super().backward()


@pytest.mark.parametrize("loss", [Plain, Steeper])
def test_a_loss_of_ones_own_is_honoured_by_both_engines(loss):
    fused, readable, usual = (
        ensemble_of(range(3), loss=kind(), optimizer=SGD(0.01), engine=engine)
        for kind, engine in ((loss, "compiled"), (loss, "readable"), (MSELoss, "readable"))
    )
    for ensemble in (fused, readable, usual):
        ensemble.fit(20, **TINY)
    for mine, theirs, others in zip(fused.members, readable.members, usual.members, strict=True):
        np.testing.assert_allclose(mine.model.parameters, theirs.model.parameters, rtol=1e-10)
        np.testing.assert_allclose(mine.history.loss, theirs.history.loss, rtol=1e-10)
        assert not np.allclose(mine.model.parameters, others.model.parameters, rtol=1e-3)


def halves_asked(seed, label=np.nan):
    """Every second sequence has no label."""
    for x, y in generate_samples(8, 3, rng=seed):
        y[::2] = label
        yield x, y


def halves(seed):
    """The same batches without the sequences that have no label."""
    return ((x[:, 1::2], y[1::2]) for x, y in generate_samples(8, 3, rng=seed))


def test_what_a_masked_loss_does_not_ask_for_is_as_if_it_were_not_there(engine):
    """They count neither in training nor in evaluation, and do not count as divergence."""
    options = {"optimizer": SGD(0.1), "engine": engine}
    masked = ensemble_of(range(2), [halves_asked(k) for k in range(2)], loss=MSELoss(masked=True), **options)
    without = ensemble_of(range(2), [halves(k) for k in range(2)], **options)
    for ensemble in (masked, without):
        results = ensemble.fit(25, **TINY)
        assert [(result.outcome, result.update) for result in results] == [(Outcome.UNSOLVED, 25)] * 2
    for mine, theirs in zip(masked.members, without.members, strict=True):
        np.testing.assert_allclose(mine.model.parameters, theirs.model.parameters, rtol=1e-10)
        for ours, others in zip(mine.history.arrays().values(), theirs.history.arrays().values(), strict=True):
            np.testing.assert_allclose(ours, others, rtol=1e-10)
        assert np.isnan(mine.last.y[::2]).all(), "the batch is left as it was"


@pytest.mark.parametrize(
    ("label", "loss"), [(np.nan, MSELoss()), (np.inf, MSELoss()), (np.inf, MSELoss(masked=True))], ids=repr
)
def test_any_other_label_that_is_not_finite_is_divergence(label, loss, engine):
    streams = [halves_asked(0, label), generate_samples(8, 3, rng=1)]
    results = ensemble_of(range(2), streams, loss=loss, engine=engine).fit(5, **TINY)
    assert [(result.outcome, result.tensor) for result in results] == [
        (Outcome.DIVERGED, "y"),
        (Outcome.UNSOLVED, None),
    ]


TWO_THREADS = """
import numpy as np
from threadpoolctl import threadpool_info
from memspan import Adam, Batches, Learner, MSELoss, Network, Recall

seen = set()
def look(learner):
    seen.update(info["num_threads"] for info in threadpool_info() if info["user_api"] == "blas")

for engine in ("readable", "compiled"):
    batches = Batches(Recall(), length=3, batch=4, rng=0, dtype=np.float32)
    network = Network("rnn", 1, 3, 1, dtype="float32", rng=0)
    learner = Learner(network, MSELoss(), batches, Adam(1e-3), engine=engine)
    learner.fit(2, progress=False, observe=look)
print(sorted(seen), sum(info["user_api"] == "blas" for info in threadpool_info()))
"""


@pytest.mark.slow
def test_one_blas_thread_in_whatever_order_the_engines_come():
    """SciPy's BLAS, which the kernels call, is loaded later than NumPy's."""
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "2"}
    command = [sys.executable, "-c", TWO_THREADS]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "[1] 2\n"


# --- truncation -----------------------------------------------------------------------------------------


def test_both_engines_train_with_truncated_gradients():
    trained = {}
    for engine in ("compiled", "readable"):
        for truncate in (None, 2):
            ensemble = ensemble_of(range(2), engine=engine, truncate=truncate)
            ensemble.fit(5, **TINY)
            trained[engine, truncate] = np.stack([member.model.parameters for member in ensemble.members])
    for truncate in (None, 2):
        mine, theirs = (trained[engine, truncate] for engine in ("compiled", "readable"))
        np.testing.assert_allclose(mine, theirs, rtol=1e-9, atol=1e-12)
    assert np.abs(trained["compiled", None] - trained["compiled", 2]).max() > 1e-3


def test_truncate_is_a_whole_number():
    refused("truncate must be a whole number of at least 1, got 0", [RNN(1, 6, 1)], truncate=0)
