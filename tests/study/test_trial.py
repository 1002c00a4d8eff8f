import copy

import numpy as np
import pytest

import memspan
from memspan import GradientFlow, Learner, MSELoss, Recall, Study
from memspan.history import Outcome, Status
from memspan.study import trial as module
from memspan.study.trial import FINAL_SAMPLES, Stopped, run_trial
from memspan.study.trial import provenance as current

SMALL = Study(lengths=(3, 5), repetitions=2, hidden=5, batch=6, updates=20, threshold=1.0)


class Spy(Learner):
    """Keeps what each trial began with, and the learner itself."""

    seen: list["Spy"]

    def __init__(self, model, *args, **kwargs):
        super().__init__(model, *args, **kwargs)
        self.first_weights = copy.deepcopy(model.weights)
        self.first_batch = next(copy.deepcopy(self.batches))
        self.first_fresh = next(copy.deepcopy(self.evaluation))
        self.evaluated = []
        self.seen.append(self)

    def evaluate(self, batches=20):
        self.evaluated.append(batches * self.evaluation.batch)
        return super().evaluate(batches)


@pytest.fixture
def seen(monkeypatch):
    monkeypatch.setattr(Spy, "seen", [], raising=False)
    monkeypatch.setattr(module, "Learner", Spy)
    return Spy.seen


def test_the_random_numbers_of_a_trial_come_from_its_key(seen, provenance):
    run_trial(SMALL.with_(seed=7), 5, 1, provenance)
    weights, training, evaluation = np.random.SeedSequence(7, spawn_key=(5, 1)).spawn(3)
    for mine, expected in zip(seen[0].first_weights, SMALL.new_network(weights).weights, strict=True):
        np.testing.assert_array_equal(mine, expected)
    for mine, expected in ((seen[0].first_batch, training), (seen[0].first_fresh, evaluation)):
        theirs = Recall().sample(np.random.default_rng(expected), 5, len(mine.y))
        np.testing.assert_array_equal(mine.x, theirs.x.astype(np.float32))
        np.testing.assert_array_equal(mine.y, theirs.y.astype(np.float32))


def test_the_three_streams_of_a_trial_are_independent(seen, provenance):
    run_trial(SMALL, 5, 0, provenance)
    draws = [
        np.ravel(seen[0].first_weights.W)[:5] / 0.2,  # U(-0.2, 0.2): on the scale of the others
        np.ravel(seen[0].first_batch.x)[:5],
        np.ravel(seen[0].first_fresh.x)[:5],
    ]
    for k in range(3):
        assert not np.isclose(draws[k], draws[k - 1], rtol=0, atol=1e-6).any()


def test_no_two_keys_and_no_two_seeds_share_a_stream(seen, provenance):
    studies = [SMALL.with_(updates=1, seed=seed) for seed in (0, 1)]
    keys = [(length, k) for length in (1, 2, 11) for k in (0, 1, 2, 11)]
    for study in studies:
        for key in keys:
            run_trial(study, *key, provenance)
    assert len({float(spy.first_weights.W[0, 0]) for spy in seen}) == 24
    assert len({float(spy.first_batch.x[0, 0, 0]) for spy in seen}) == 24
    assert len({float(spy.first_fresh.x[0, 0, 0]) for spy in seen}) == 24


def test_the_verdict_rests_on_enough_fresh_sequences(seen, provenance):
    trial = run_trial(SMALL, 3, 0, provenance)
    assert FINAL_SAMPLES == 10_000
    assert seen[0].evaluated[-1] == FINAL_SAMPLES
    assert trial.status == "unsolved"
    assert trial.accuracy == seen[0].outcome.evaluation.accuracy
    assert trial.loss == seen[0].outcome.evaluation.loss


def test_a_score_in_training_is_confirmed_on_as_many(seen, provenance):
    study = Study(lengths=(1,), hidden=8, updates=500, batch=32)
    trial = run_trial(study, 1, 0, provenance)
    assert trial.status == "solved"
    assert trial.updates < 500
    assert seen[0].evaluated[-1] == FINAL_SAMPLES


def test_the_curve_averages_the_loss_and_its_last_bin_may_be_short(seen, provenance):
    trial = run_trial(SMALL.with_(updates=301), 3, 0, provenance)
    loss = np.array(seen[0].history.loss)
    assert (trial.updates, trial.curve_every, len(trial.curve)) == (301, 3, 101)
    np.testing.assert_allclose(trial.curve[:-1], loss[:300].reshape(100, 3).mean(axis=1), rtol=1e-5)
    assert trial.curve[-1] == pytest.approx(loss[300], rel=1e-5)


def test_the_flows_are_those_of_the_first_and_the_last_update(seen, provenance):
    trial = run_trial(SMALL.with_(updates=7), 5, 0, provenance)
    network = SMALL.new_network(np.random.SeedSequence(0, spawn_key=(5, 0)).spawn(3)[0])
    loss = MSELoss()
    loss.forward(network.forward(seen[0].first_batch.x), seen[0].first_batch.y)
    first = GradientFlow.of(network.backpropagate(loss.backward()))
    last = GradientFlow.of(seen[0].model.gradients)
    for name in ("d_a", "d_R", "d_W"):
        np.testing.assert_allclose(getattr(trial.start, name), getattr(first, name), rtol=1e-5)
        np.testing.assert_allclose(getattr(trial.end, name), getattr(last, name), rtol=1e-5)
    assert trial.start != trial.end
    assert (len(trial.flow_map), trial.flow_every) == (7, 1)
    assert (trial.flow_map[0], trial.flow_map[-1]) == (trial.start.d_a, trial.end.d_a)


def test_the_map_has_a_row_every_so_many_updates_of_the_first_repetition(provenance):
    study = SMALL.with_(updates=310)
    trial = run_trial(study, 3, 0, provenance)
    assert (len(trial.flow_map), trial.flow_every) == (104, 3)  # updates 1, 4, ..., 310
    assert trial.flow_map[-1] == trial.end.d_a
    assert run_trial(study, 3, 1, provenance).flow_map == []


def test_a_trial_does_not_depend_on_the_lengths_and_repetitions_beside_it(provenance):
    trials = [
        run_trial(study, 3, 1, provenance).model_dump(exclude={"seconds"})
        for study in (SMALL, SMALL.with_(lengths=(1, 3, 50), repetitions=9))
    ]
    assert trials[0] == trials[1]
    other = run_trial(SMALL.with_(seed=1), 3, 1, provenance)
    assert other.loss != trials[0]["loss"]
    assert other.seed == 1


def test_another_optimizer_begins_with_the_same_network(seen, provenance):
    for study in (SMALL, SMALL.with_(optimizer="sgd", learning_rate=0.1)):
        run_trial(study, 3, 0, provenance)
    np.testing.assert_array_equal(seen[0].first_weights.R, seen[1].first_weights.R)
    np.testing.assert_array_equal(seen[0].first_batch.x, seen[1].first_batch.x)
    assert not np.array_equal(seen[0].model.weights.R, seen[1].model.weights.R)


def test_divergence_is_a_result_with_the_tensor_that_was_not_finite(provenance):
    study = SMALL.with_(optimizer="sgd", learning_rate=1e9, clip=0)
    trial = run_trial(study, 3, 0, provenance)
    assert trial.status == "diverged"
    assert trial.reason == "loss"
    assert trial.updates == len(trial.curve) < study.updates
    assert trial.accuracy == 0
    assert np.isfinite(trial.curve).all()


def test_whatever_goes_wrong_is_recorded_and_not_raised(monkeypatch, provenance):
    def no_room(*args, **kwargs):
        raise MemoryError("no room")

    monkeypatch.setattr(module, "Batches", no_room)
    trial = run_trial(SMALL, 3, 1, provenance)
    assert (trial.status, trial.reason) == ("failed", "MemoryError: no room")
    assert (trial.length, trial.repetition, trial.seed, trial.updates) == (3, 1, 0, 0)
    assert np.isnan([trial.accuracy, trial.loss]).all()


def test_an_interrupt_is_not_a_result(monkeypatch, provenance):
    interrupted = Outcome(Status.INTERRUPTED, 3)
    monkeypatch.setattr(Learner, "fit", lambda learner, updates, **options: interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_trial(SMALL, 3, 0, provenance)


def test_an_observer_is_told_every_update_and_can_stop_the_trial(provenance):
    updates = []

    def observe(update):
        updates.append(update)
        if update == 4:
            raise Stopped

    with pytest.raises(Stopped):
        run_trial(SMALL, 3, 0, provenance, observe)
    assert updates == [1, 2, 3, 4]


def test_provenance_is_what_is_running():
    found = current()
    assert found.memspan == memspan.__version__
    assert found.numpy == np.__version__
    assert found.commit is None or len(found.commit) == 40
