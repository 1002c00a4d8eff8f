import copy
import hashlib
import itertools
import os

import numpy as np
import pytest
from safetensors.numpy import load

import memspan
from memspan import (
    SGD,
    TASKS,
    Batches,
    GradientFlow,
    MSELoss,
    Network,
    Recall,
    SigmoidCrossEntropy,
    SoftmaxCrossEntropy,
    Study,
    get_task,
)
from memspan.engines.compiled.processor import X86
from memspan.errors import FaultyPart
from memspan.study import group as module
from memspan.study.configuration import Configuration
from memspan.study.group import Stopped, prepared, run_group, run_trial
from memspan.study.provenance import Provenance
from memspan.study.study import Key
from memspan.study.trial import ACCIDENTAL, VERSION, Trial
from memspan.training.ensemble import Ensemble
from memspan.training.history import FitResult, Outcome

SMALL = Configuration(hidden=5, batch=6, updates=20, threshold=1.0)
SAMPLES = 10_000  # of the final evaluation, by default


class Begun:
    """The network and the streams with which a trial began, and its member of the ensemble."""

    def __init__(self, member):
        self.member = member
        self.weights = copy.deepcopy(member.model.weights)
        self.batch, self.held_out = member.batches.peek(), member.evaluation.peek()

    @property
    def judged_on(self):
        """The sequences of the final evaluation."""
        return len(self.member.result.evaluation.accuracies) * self.member.evaluation.batch


@pytest.fixture
def seen(monkeypatch):
    """A `Begun` for each trial that is run."""
    begun = []

    class Spy(Ensemble):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            begun.extend(map(Begun, self.members))

    monkeypatch.setattr(module, "Ensemble", Spy)
    return begun


def test_the_random_numbers_of_a_trial_come_from_its_key(seen):
    run_trial(SMALL.with_(seed=7), 5, 1)
    weights, training, evaluation = np.random.SeedSequence(7, spawn_key=(5, 1)).spawn(3)
    for mine, expected in zip(seen[0].weights, SMALL.make_network(5, weights).weights, strict=True):
        np.testing.assert_array_equal(mine, expected)
    for mine, expected in ((seen[0].batch, training), (seen[0].held_out, evaluation)):
        theirs = Recall().sample(5, len(mine.y), np.random.default_rng(expected))
        np.testing.assert_array_equal(mine.x, theirs.x.astype(np.float32))
        np.testing.assert_array_equal(mine.y, theirs.y.astype(np.float32))


def test_the_three_streams_of_a_trial_are_independent(seen):
    run_trial(SMALL, 5, 0)
    draws = [
        np.ravel(seen[0].weights.W)[:5] / 0.2,  # U(-0.2, 0.2): on the scale of the others
        np.ravel(seen[0].batch.x)[:5],
        np.ravel(seen[0].held_out.x)[:5],
    ]
    for k in range(3):
        assert not np.isclose(draws[k], draws[k - 1], rtol=0, atol=1e-6).any()


def test_no_two_keys_and_no_two_seeds_share_a_stream(seen):
    studies = [SMALL.with_(updates=1, seed=seed) for seed in (0, 1)]
    keys = [(length, k) for length in (1, 2, 11) for k in (0, 1, 2, 11)]
    for study in studies:
        for key in keys:
            run_trial(study, *key)
    assert len({float(begun.weights.W[0, 0]) for begun in seen}) == 24
    assert len({float(begun.batch.x[0, 0, 0]) for begun in seen}) == 24
    assert len({float(begun.held_out.x[0, 0, 0]) for begun in seen}) == 24


def test_the_verdict_rests_on_enough_held_out_sequences(seen):
    trial = run_trial(SMALL, 3, 0)
    assert seen[0].judged_on == SAMPLES
    assert trial.outcome == "unsolved"
    found = seen[0].member.result.evaluation
    assert (trial.accuracy, trial.loss) == (found.accuracy, found.loss)
    assert trial.accuracies == found.accuracies.tolist()
    np.testing.assert_allclose(trial.losses, found.losses, rtol=1e-5)
    assert np.mean(trial.accuracies) == pytest.approx(trial.accuracy, rel=1e-12)
    assert np.mean(trial.losses) == pytest.approx(trial.loss, rel=1e-5)


def test_the_study_says_how_often_and_on_how_much_it_is_judged(seen):
    study = SMALL.with_(evaluate_every=7, final_batches=3, evaluation_samples=11)
    trial = run_trial(study, 3, 0)
    assert seen[0].member.history.evaluated_at == [7, 14, 20]
    assert seen[0].judged_on == 33
    assert len(seen[0].held_out.x[0]) == 11
    assert (len(trial.accuracies), len(trial.losses)) == (3, 3)


def test_a_score_in_training_is_confirmed_on_as_many(seen):
    study = Configuration(hidden=8, updates=500, batch=32)
    trial = run_trial(study, 1, 0)
    assert trial.outcome == "solved"
    assert trial.updates < 500
    assert seen[0].judged_on == SAMPLES


def test_the_curve_averages_the_loss_and_its_last_bin_may_be_short(seen):
    trial = run_trial(SMALL.with_(updates=301), 3, 0)
    loss = np.array(seen[0].member.history.loss)
    assert (trial.updates, trial.curve_every, len(trial.curve)) == (301, 3, 101)
    np.testing.assert_allclose(trial.curve[:-1], loss[:300].reshape(100, 3).mean(axis=1), rtol=1e-5)
    assert trial.curve[-1] == pytest.approx(loss[300], rel=1e-5)


def flow_of(network, batch):
    loss = MSELoss()
    loss.forward(network.forward(batch.x), batch.y)
    return GradientFlow.of(network.backpropagate(loss.backward()))


def test_the_flows_are_those_of_the_first_batch_before_training_and_of_the_last_after(seen):
    trial = run_trial(SMALL.with_(updates=7), 5, 0)
    untrained = SMALL.make_network(5, np.random.SeedSequence(0, spawn_key=(5, 0)).spawn(3)[0])
    trained = untrained.astype("float32")
    trained.parameters = seen[0].member.model.parameters
    stream = Batches(Recall(), 5, 6, np.random.SeedSequence(0, spawn_key=(5, 0)).spawn(3)[1], "float32")
    first, *_, last = itertools.islice(stream, 7)
    np.testing.assert_array_equal(first.x, seen[0].batch.x)
    for found, expected in ((trial.start, flow_of(untrained, first)), (trial.end, flow_of(trained, last))):
        for name in ("d_a", "d_R", "d_W"):
            np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=1e-5)
    assert trial.start != trial.end


def test_the_map_shows_the_gradient_of_each_update_that_it_has():
    trial = run_trial(SMALL.with_(updates=7), 5, 0)
    assert (len(trial.flow_map), trial.flow_every) == (7, 1)
    np.testing.assert_allclose(trial.flow_map[0], trial.start.d_a, rtol=1e-5)
    shorter = run_trial(SMALL.with_(updates=3), 5, 0)
    assert shorter.flow_map == trial.flow_map[:3]
    assert trial.flow_map[3] != trial.flow_map[2]


def test_the_spread_belongs_to_the_map():
    """Before the first update it is that of the untrained network on the first batch, to three digits."""
    trial = run_trial(SMALL.with_(updates=7), 5, 0)
    untrained = SMALL.make_network(5, np.random.SeedSequence(0, spawn_key=(5, 0)).spawn(3)[0])
    batch = next(Batches(Recall(), 5, 6, np.random.SeedSequence(0, spawn_key=(5, 0)).spawn(3)[1], "float32"))
    spread = flow_of(untrained, batch).spread
    maps = trial.flow_spread
    for name, expected in zip(("q10", "q50", "q90"), spread.quantiles, strict=True):
        found = np.array(getattr(maps, name))
        assert found.shape == np.shape(trial.flow_map) == (7, 5)
        np.testing.assert_allclose(found[0], expected, rtol=2e-3)
    assert (maps.zero, maps.underflow, maps.not_finite) == ([], [], [])
    assert run_trial(SMALL.with_(updates=7), 5, 1).flow_spread is None


def test_a_gradient_that_vanishes_within_the_sequence_is_zero_for_all_samples_there():
    """In the compiled engine, on x86 processors, underflow is 0."""
    trial = run_trial(SMALL.with_(updates=2, recurrent_gain=1e-3), 40, 0)
    lost = np.array(trial.flow_map) == 0
    zero = np.array(trial.flow_spread.zero) + (np.array(trial.flow_spread.underflow) if not X86 else 0)
    assert lost[:, 0].all()
    assert not lost[:, -1].any()
    np.testing.assert_array_equal(zero[lost], 1)
    assert (zero[~lost] < 1).all()


def test_the_map_has_a_row_every_so_many_updates_of_the_first_repetition():
    study = SMALL.with_(updates=310)
    trial, all_of_it = (run_trial(study.with_(updates=n), 3, 0) for n in (310, 150))
    assert (len(trial.flow_map), trial.flow_every) == (104, 3)  # updates 1, 4, ..., 310
    assert all_of_it.flow_every == 1
    assert trial.flow_map[:50] == all_of_it.flow_map[::3]
    assert run_trial(study, 3, 1).flow_map == []


def everything(trial):
    return trial.model_dump_json(exclude=set(ACCIDENTAL))


@pytest.mark.parametrize("repetitions", [[1], [0, 1], [4, 3, 2, 1, 0]])
def test_a_trial_does_not_depend_on_those_beside_it(repetitions):
    """Some networks solve earlier than others, and leave the ensemble."""
    study = Configuration(hidden=8, batch=8, updates=120, threshold=0.5)
    trials = run_group(study, 3, repetitions)
    assert [trial.repetition for trial in trials] == repetitions
    assert [*map(everything, trials)] == [everything(run_trial(study, 3, k)) for k in repetitions]
    assert len(repetitions) < 5 or len({trial.updates for trial in trials}) > 1


def test_a_trial_does_not_depend_on_the_lengths_and_repetitions_beside_it():
    trials = [
        run_trial(study, 3, 1).model_dump(exclude=set(ACCIDENTAL))
        for study in (SMALL, Study(**SMALL.model_dump(), lengths=(1, 3, 50), repetitions=9).configuration)
    ]
    assert trials[0] == trials[1]
    other = run_trial(SMALL.with_(seed=1), 3, 1)
    assert other.loss != trials[0]["loss"]
    assert other.digest != trials[0]["digest"]


def test_another_optimizer_begins_with_the_same_network(seen):
    for study in (SMALL, SMALL.with_(optimizer="sgd", learning_rate=0.1)):
        run_trial(study, 3, 0)
    np.testing.assert_array_equal(seen[0].weights.R, seen[1].weights.R)
    np.testing.assert_array_equal(seen[0].batch.x, seen[1].batch.x)
    assert not np.array_equal(seen[0].member.model.R, seen[1].member.model.R)


@pytest.mark.parametrize(
    ("task", "task_parameters", "length", "loss"),
    [
        ("copying/urnn", {"items": 2, "symbols": 3}, 3, SoftmaxCrossEntropy),
        ("adding/hs97", {}, 20, MSELoss),
        ("parity", {}, 4, SigmoidCrossEntropy),
    ],
)
def test_a_trial_of_another_task_is_of_its_sequences_network_and_loss(task, task_parameters, length, loss, seen):
    study = SMALL.with_(task=task, task_parameters=task_parameters, updates=7)
    trial = run_trial(study, length, 0)
    assert trial.outcome == "unsolved"
    assert (trial.updates, seen[0].judged_on) == (7, SAMPLES)
    member = seen[0].member
    kind, shape = study.make_task(), study.make_task().shape(length)
    assert member.batches.task == member.evaluation.task == kind
    assert len(seen[0].batch.x) == len(trial.flow_map[0]) == len(trial.end.d_a) == shape.steps
    network, function = study.make_network(length, 0), kind.make_loss()
    network.parameters = seen[0].member.model.parameters
    assert type(function) is loss
    x, y = seen[0].batch
    first = study.make_network(length, np.random.SeedSequence(0, spawn_key=(length, 0)).spawn(3)[0])
    assert trial.curve[0] == pytest.approx(function.forward(first.predict(x), y), rel=1e-5)
    assert network.predict(x).shape == y.shape
    assert np.isfinite(trial.loss)
    assert 0 <= trial.accuracy <= 1


def test_divergence_is_a_result_with_the_tensor_that_was_not_finite():
    study = SMALL.with_(optimizer="sgd", learning_rate=1e9, clip=0)
    trial = run_trial(study, 3, 0)
    assert trial.outcome == "diverged"
    assert trial.reason == "loss"
    assert trial.updates == len(trial.curve) < study.updates
    assert trial.accuracy == 0
    assert np.isfinite(trial.curve).all()
    assert len(trial.accuracies) == len(trial.losses) == study.final_batches


@pytest.fixture
def no_room(monkeypatch):
    """For the data of repetition 1."""

    def batches(task, length, batch, rng, dtype):
        if rng.spawn_key[:2] == (3, 1):
            raise MemoryError("no room")
        return Batches(task, length, batch, rng, dtype)

    monkeypatch.setattr(module, "Batches", batches)


def test_whatever_goes_wrong_is_recorded_and_not_raised(no_room):
    trial = run_trial(SMALL, 3, 1)
    assert (trial.outcome, trial.reason) == ("failed", "MemoryError: no room")
    assert (trial.key, trial.updates, trial.attempts) == (Key(0, 3, 1), 0, 1)
    assert (trial.digest, trial.weights, trial.accuracies, trial.losses) == ("", None, [], [])
    assert np.isnan([trial.accuracy, trial.loss]).all()


def test_one_that_fails_does_not_take_its_group_with_it(no_room):
    trials = run_group(SMALL, 3, [0, 1, 2])
    assert [trial.outcome for trial in trials] == ["unsolved", "failed", "unsolved"]
    for trial in (trials[0], trials[2]):
        assert everything(trial) == everything(run_trial(SMALL, 3, trial.repetition))


def test_an_interrupt_is_not_a_result(monkeypatch):
    interrupted = FitResult(Outcome.INTERRUPTED, 3)
    monkeypatch.setattr(Ensemble, "fit", lambda ensemble, updates, **options: [interrupted])
    with pytest.raises(KeyboardInterrupt):
        run_trial(SMALL, 3, 0)


def test_an_observer_is_told_every_update_and_can_stop_the_trials():
    updates = []

    def observe(repetition, update):
        updates.append((repetition, update))
        if (repetition, update) == (2, 4):
            raise Stopped

    with pytest.raises(Stopped):
        run_group(SMALL, 3, [2, 0], observe)
    assert updates == [(2, 1), (0, 1), (2, 2), (0, 2), (2, 3), (0, 3), (2, 4)]


def test_provenance_is_what_is_running():
    found = Provenance.here()
    assert found.memspan == memspan.__version__
    assert found.numpy == np.__version__
    assert found.commit is None or len(found.commit) == 40


def test_a_trial_says_where_it_ran_and_what_it_took():
    trial = run_trial(SMALL, 3, 1)
    assert (trial.key, trial.configuration, trial.attempts) == (Key(0, 3, 1), 0, 1)
    assert (trial.memspan, trial.engine) == (memspan.__version__, "compiled")
    assert trial.worker.endswith(f":{os.getpid()}")
    assert trial.seconds > 0
    assert trial.cpu_seconds > 0


def test_the_digest_and_the_kept_weights_are_those_of_the_trained_network(seen):
    trial = run_trial(SMALL, 5, 0)
    model = seen[0].member.model
    assert trial.digest == hashlib.sha256(model.parameters.astype("<f4").tobytes()).hexdigest()
    assert trial.digest != run_trial(SMALL, 5, 1).digest
    (kept,) = run_group(SMALL, 5, [0], keep_weights=1)
    assert kept.digest == trial.digest
    kept = load(kept.weights)
    assert kept.keys() == model.layout.by_name(model.parameters).keys()
    for name, view in model.layout.by_name(model.parameters).items():
        np.testing.assert_array_equal(kept[name], view)
        assert kept[name].dtype == np.float32


@pytest.mark.parametrize("weights", [0, 1, 3])
def test_weights_are_kept_of_the_first_repetitions(weights):
    trials = run_group(SMALL, 3, [0, 1, 2, 3], keep_weights=weights)
    assert [trial.weights is not None for trial in trials] == [k < weights for k in range(4)]
    assert "weights" not in trials[0].model_dump()
    assert len({trial.digest for trial in trials}) == 4


def test_what_is_prepared_is_what_is_trained(seen):
    """Training by hand with the trial's streams, network and optimiser ends at the same weights."""
    run_group(SMALL, 3, [2, 0])
    ensemble = prepared(SMALL, 3, [2, 0])
    ensemble.fit(SMALL.updates, progress=False)
    for mine, theirs in zip(ensemble.members, seen, strict=False):
        np.testing.assert_array_equal(mine.model.parameters, theirs.member.model.parameters)
        assert mine.updates == SMALL.updates


# --- tests at other lengths -----------------------------------------------------------------------------

LEARNS = Configuration(hidden=8, batch=8, updates=120, threshold=0.5, final_batches=3, evaluation_samples=40)


def trained(configuration, length, trial):
    """The trained network of a trial."""
    network = configuration.make_network(length, 0)
    for name, view in network.layout.by_name(network.parameters).items():
        view[...] = load(trial.weights)[name]
    assert hashlib.sha256(network.parameters.tobytes()).hexdigest() == trial.digest
    return network


def sequences(configuration, length, repetition, other):
    """As `Study.test_lengths` documents: their own sequences for each trial and each other length."""
    seed = np.random.SeedSequence(configuration.seed, spawn_key=(length, repetition, 3, other))
    task = configuration.make_task().for_evaluation
    return Batches(task, other, configuration.evaluation_samples, seed, configuration.dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_score_at_another_length_is_that_of_the_trained_network_on_its_own_sequences(dtype):
    configuration = LEARNS.with_(seed=7, dtype=dtype)
    (trial,) = run_group(configuration, 3, [1], keep_weights=2, test_lengths=(2, 9))
    assert [test.length for test in trial.tests] == [2, 9]
    network, task = trained(configuration, 3, trial), configuration.make_task()
    for test in trial.tests:
        stream = [sequences(configuration, 3, 1, test.length)]
        (score,) = Ensemble([network.astype(dtype)], MSELoss(), stream, SGD(0.1), evaluation=stream).evaluate(3)
        assert (test.accuracy, test.loss) == (score.accuracy, score.loss)  # bit for bit
        drawn = [*itertools.islice(sequences(configuration, 3, 1, test.length), 3)]
        accuracies = [task.accuracy(network.predict(x), y) for x, y in drawn]
        losses = [MSELoss().forward(network.predict(x), y.astype(dtype)) for x, y in drawn]
        assert test.accuracy == pytest.approx(np.mean(accuracies), abs=1 / 40)  # of the readable engine
        assert test.loss == pytest.approx(np.mean(losses), rel=1e-4)


@pytest.mark.parametrize("name", sorted(TASKS.keys() - {"memory-capacity"}))
def test_every_task_is_scored_at_shorter_and_longer_lengths_by_both_engines(name, monkeypatch):
    """Against networks made for the other length, which have as many answers as its task wants there."""
    task = get_task(name)
    least, length = task.least_length, task.least_length + 20
    few = SMALL.with_(task=name, dtype="float64", updates=3, final_batches=2, evaluation_samples=20)
    scores = []
    for engine in ("compiled", "readable"):
        monkeypatch.setattr(Network, "engine", engine)
        (trial,) = run_group(few, length, [1], keep_weights=2, test_lengths=(least, length, length + 20))
        scores.append([(test.length, test.accuracy, test.loss) for test in trial.tests])
    expected = [(other, *score_by_hand(few, length, trial, other)) for other in (least, length, length + 20)]
    assert scores[1] == expected
    np.testing.assert_allclose(scores[0], scores[1], rtol=1e-9)


def score_by_hand(configuration, length, trial, other):
    """The mean accuracy and loss of a trained network at another length, by its own `predict`."""
    task, network = configuration.make_task(), configuration.make_network(other, 0)
    network.parameters[:] = trained(configuration, length, trial).parameters
    found = []
    for x, y in itertools.islice(sequences(configuration, length, 1, other), configuration.final_batches):
        y_hat = network.predict(x)
        found.append((task.accuracy(y_hat, task.noise_free(x, y)), task.make_loss().forward(y_hat, y)))
    return np.mean(found, axis=0).tolist()


@pytest.mark.parametrize("repetitions", [[2], [0, 2, 1]])
def test_a_score_does_not_depend_on_other_lengths_or_on_the_trials_beside_it(repetitions):
    together = run_group(LEARNS, 3, repetitions, test_lengths=(1, 3, 9))
    (alone,) = run_group(LEARNS, 3, [2], test_lengths=(9,))
    assert together[repetitions.index(2)].tests[2] == alone.tests[0]
    assert len({test.loss for trial in together for test in trial.tests}) == 3 * len(repetitions)


def test_scores_at_other_lengths_change_nothing_else():
    """At its own length, too, a network is scored on sequences of its own."""
    (plain,), (tested,) = run_group(LEARNS, 3, [0]), run_group(LEARNS, 3, [0], test_lengths=(3, 9))
    assert everything(tested.model_copy(update={"tests": []})) == everything(plain)
    assert plain.tests == []
    assert tested.tests[0].loss != tested.loss


def test_what_diverged_is_scored_with_its_last_weights_and_what_failed_is_not(no_room):
    study = SMALL.with_(optimizer="sgd", learning_rate=1e9, clip=0)
    diverged, failed = run_group(study, 3, [0, 1], test_lengths=(5,))
    assert (diverged.outcome, [test.length for test in diverged.tests]) == ("diverged", [5])
    assert (failed.outcome, failed.tests) == ("failed", [])


def test_a_trial_has_the_version_of_the_rules():
    assert run_trial(SMALL, 3, 0).version == VERSION == 2
    assert (
        Trial.model_validate_json(
            run_trial(SMALL, 3, 0).model_copy(update={"version": 1}).model_dump_json()
        ).version
        == 1
    )


def test_a_verdict_rests_on_batches_that_no_decision_has_seen(seen):
    """Of a trial that ends early: a look, a confirmation and the verdict, each on its own held-out batches."""
    trial = run_trial(LEARNS, 1, 0)
    member, length = seen[0].member, LEARNS.final_batches
    assert (trial.outcome, trial.updates) == ("solved", 50)  # at the first look
    _, _, seeds = np.random.SeedSequence(LEARNS.seed, spawn_key=(1, 0)).spawn(3)
    held_out = Batches(Recall(), 1, LEARNS.evaluation_samples, seeds, "float32")
    drawn = [*itertools.islice(held_out, 1 + length, 1 + 2 * length)]
    expected = [Recall().accuracy(member.model.predict(x), y) for x, y in drawn]
    np.testing.assert_allclose(trial.accuracies, expected, atol=1 / 40)
    np.testing.assert_array_equal(member.evaluation.peek().x, next(held_out).x)  # and no more were drawn


@pytest.mark.slow
def test_a_hundred_thousand_trials_have_as_many_seeds():
    """The seed sequences for three seeds, lengths and repetitions, from which trials make their streams."""
    keys = [(root, length, k) for root in (0, 1, 2**70) for length in range(1, 101) for k in range(334)]
    states = {
        np.random.SeedSequence(root, spawn_key=(length, k)).generate_state(4).tobytes() for root, length, k in keys
    }
    assert len(states) == len(keys) == 100_200


@pytest.mark.parametrize(
    "choices",
    [
        {"cell": "slstm", "gain": 30.0, "init": "glorot"},
        {"task": "order/pascanu-2", "cell": "lstm", "gain": 20.0},
        {"task": "parity", "cell": "rnn", "init": "glorot", "gain": 30.0, "dtype": "float64"},
        {"cell": "rnn-relu", "init": "glorot", "gain": 60.0, "clip": 0, "learning_rate": 1e3, "optimizer": "sgd"},
    ],
    ids=["slstm", "softmax", "sigmoid", "diverging"],
)
@pytest.mark.parametrize("how", ["errstate", "warnings"])
def test_a_trial_does_not_depend_on_how_the_program_treats_overflow(choices, how):
    configuration = Configuration(hidden=5, batch=6, updates=20, threshold=1.0, **choices)
    expected = run_trial(configuration, 30, 0)
    with np.errstate(all="raise" if how == "errstate" else "warn"):  # in these tests, a warning is an error
        found = run_trial(configuration, 30, 0)
    assert found.outcome is not Outcome.FAILED
    assert everything(found) == everything(expected)


# --- truncation -----------------------------------------------------------------------------------------


def test_a_truncated_trial_trains_on_the_last_steps_only():
    """The flows are 0 before the window, and a window of all steps changes no bit."""
    changes = ({}, {"truncate": 3}, {"truncate": 8})
    whole, cut, all_steps = (run_trial(SMALL.with_(**its), 8, 0) for its in changes)
    assert cut.curve[0] == whole.curve[0]  # the forward pass is the same, and the weights before training too
    assert cut.curve[-1] != whole.curve[-1]
    assert all_steps.digest == whole.digest != cut.digest
    for d_a in (cut.start.d_a, cut.end.d_a, *cut.flow_map):
        assert not np.any(d_a[:5])
        assert np.all(np.array(d_a[5:]) > 0)
    np.testing.assert_allclose(cut.start.d_a[5:], whole.start.d_a[5:], rtol=2e-6)


def test_the_reason_of_a_failed_trial_names_no_class_of_memspan(monkeypatch):
    """Its own errors are sentences; the class of another error may say more than its message."""

    def faulty(*arguments):
        raise FaultyPart("The model mine failed with KeyError: 'h'")

    monkeypatch.setattr(module, "prepared", faulty)
    trial = run_trial(Configuration(hidden=2, updates=1), 3, 0)
    assert (trial.outcome, trial.reason) == ("failed", "The model mine failed with KeyError: 'h'")
