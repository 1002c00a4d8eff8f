import math

import numpy as np
import pytest
from sqlalchemy import update

from memspan import Network, NotFound, Study, UnreadableFile
from memspan.store.database import StoreFailed
from memspan.store.schema import METADATA
from memspan.study import Key
from memspan.study.group import digest_of, run_group, untrained
from memspan.study.trial import VERSION

STUDY = Study(cell=("rnn", "lstm"), lengths=(3, 5), repetitions=2, keep_weights=0, name="first")


def whole(trial):
    return trial.model_dump_json(), trial.weights is None


def test_what_is_kept_comes_back(opened, make_trial, diverged_at_once):
    entry = opened.enter(STUDY)
    odd = diverged_at_once(5, 1).model_copy(update={"configuration": 1, "loss": math.inf, "accuracy": math.nan})
    given = [
        make_trial(3, 0, accuracies=[0.9, 1.0], losses=[0.25, math.inf], worker="here:1", digest="ab"),
        make_trial(5, 0, "failed").model_copy(update={"configuration": 1, "attempts": 3}),
        odd,
    ]
    entry.keep(given)
    found = list(entry.trials())
    assert [whole(trial) for trial in found] == [whole(trial) for trial in given]
    assert [whole(trial) for trial in opened.find("first").trials()] == [whole(trial) for trial in given]
    assert entry.done() == {Key(0, 3, 0), Key(1, 5, 0), Key(1, 5, 1)}
    assert entry.missing([Key(0, 3, 0), Key(0, 3, 1)]) == [Key(0, 3, 1)]
    assert entry.missing([Key(1, 5, 0), Key(1, 5, 1)]) == []
    assert entry.counts() == {3: {"solved": 1}, 5: {"failed": 1, "diverged": 1}}


def test_without_curves_all_else_comes_back(opened, make_trial):
    entry = opened.enter(STUDY)
    trial = make_trial(3, 0)
    entry.keep([trial])
    (found,) = entry.trials(curves_too=False)
    assert (found.curve, found.start, found.flow_map) == ([], None, [])
    assert found.accuracy == trial.accuracy


def test_the_version_of_a_trial_comes_back(opened, make_trial):
    entry = opened.enter(STUDY)
    entry.keep([make_trial(3, 0), make_trial(3, 1, version=1), make_trial(5, 0, version=7)])
    assert [trial.version for trial in entry.trials()] == [VERSION, 1, 7]
    forgotten = update(METADATA.tables["trials"]).where(METADATA.tables["trials"].c.version == 1)
    opened.transact(lambda connection: connection.execute(forgotten.values(version=None)), writes=True)
    with pytest.raises(UnreadableFile, match="its checksum does not match"):
        list(entry.trials())


# --- tests at other lengths -----------------------------------------------------------------------------

TESTED = STUDY.with_(test_lengths=(7, 20))


def scored_at(*lengths, accuracy=0.5):
    return [{"length": length, "accuracy": accuracy, "loss": length / 100} for length in lengths]


def test_scores_at_other_lengths_come_back_in_their_order(opened, make_trial):
    entry = opened.enter(TESTED)
    odd = [{"length": 7, "accuracy": math.nan, "loss": math.inf}, *scored_at(20)]
    given = [make_trial(3, 0, tests=scored_at(20, 7)), make_trial(5, 1, tests=odd), make_trial(5, 0, "failed")]
    entry.keep(given)
    found = {trial.key: trial.tests for trial in entry.trials()}
    assert [test.length for test in found[0, 3, 0]] == [7, 20]
    assert found[0, 3, 0][1] == given[0].tests[0]
    assert [test.model_dump_json() for test in found[0, 5, 1]] == [x.model_dump_json() for x in given[1].tests]
    assert found[0, 5, 0] == []
    assert {trial.key: trial.tests for trial in entry.trials(curves_too=False)}[0, 3, 0] == found[0, 3, 0]


def test_a_trial_that_lacks_a_score_is_computed_again_and_keeps_the_others(opened, make_trial):
    opened.enter(STUDY).keep([make_trial(3, 0), make_trial(3, 1), make_trial(5, 0, "failed")])
    more = opened.enter(TESTED)
    assert more.done() == {Key(0, 5, 0)}  # a failed one has nothing to score
    assert more.missing([Key(0, 3, 0), Key(0, 3, 1)]) == [Key(0, 3, 0), Key(0, 3, 1)]
    assert more.counts() == {5: {"failed": 1}}
    more.keep([make_trial(3, 0, tests=scored_at(7, 20)), make_trial(3, 1, tests=scored_at(7))])
    assert more.done() == {Key(0, 3, 0), Key(0, 5, 0)}
    assert more.missing([Key(0, 3, 0), Key(0, 3, 1)]) == [Key(0, 3, 1)]
    more.keep([make_trial(3, 1, tests=scored_at(20, accuracy=0.25))])
    assert more.missing([Key(0, 3, 1)]) == []
    less, none = (opened.enter(TESTED.with_(test_lengths=lengths)) for lengths in (20, ()))
    assert [[test.length for test in trial.tests] for trial in less.trials()] == [[20], [20], []]
    assert [trial.tests for trial in none.trials()] == [[], [], []]
    assert opened.find("first").study.test_lengths == (7, 20)


def test_a_study_grows_by_test_lengths(opened):
    opened.enter(TESTED)
    entry = opened.enter(STUDY.with_(test_lengths=9))
    assert entry.study.test_lengths == (9,)
    assert opened.find("first").study.test_lengths == (7, 9, 20)
    assert opened.find("first").study.repetitions == 2


def test_many_scores_come_with_their_trials(opened, make_trial, monkeypatch):
    monkeypatch.setattr("memspan.store.entry.BATCH", 7)
    entry = opened.enter(TESTED.with_(repetitions=20))
    plain = {"curve": [], "start": None, "end": None, "flow_map": []}
    entry.keep(
        make_trial(length, k, tests=scored_at(7, 20, accuracy=k / 20), **plain)
        for length in (5, 3)
        for k in range(20)
    )
    assert [
        (trial.repetition, test.length, test.accuracy) for trial in entry.trials() for test in trial.tests
    ] == [(k, length, k / 20) for _ in (3, 5) for k in range(20) for length in (7, 20)]


def test_keeping_twice_changes_nothing(opened, make_trial):
    entry = opened.enter(STUDY)
    first, second = make_trial(3, 0, accuracy=0.95), make_trial(3, 0, accuracy=0.5)
    entry.keep([first, make_trial(3, 1)])
    entry.keep([second, make_trial(3, 1), make_trial(5, 0)])
    found = list(entry.trials())
    assert [trial.key for trial in found] == [Key(0, 3, 0), Key(0, 3, 1), Key(0, 5, 0)]
    assert found[0].accuracy == 0.95


def test_the_network_of_a_trial_is_the_trained_one(opened, tmp_path):
    study = Study(
        cell=("rnn", "lstm"), hidden=3, lengths=(3, 4), updates=5, evaluation_samples=20, final_batches=1
    )
    entry = opened.enter(study)
    trial = run_group(study.configurations[1], 4, [0], keep_weights=1)[0].model_copy(update={"configuration": 1})
    entry.keep([trial])
    network = entry.network(4, configuration=1)
    assert digest_of(network) == trial.digest
    assert digest_of(network) != digest_of(untrained(study.configurations[1], 4, 0)[0])
    (path := tmp_path / "blob.safetensors").write_bytes(entry.weights(trial.key))
    np.testing.assert_array_equal(Network.load(path).parameters, network.parameters)
    network.save(path)
    np.testing.assert_array_equal(Network.load(path).parameters, network.parameters)


@pytest.mark.parametrize(
    ("key", "which"),
    [((3, 1), "T=3, repetition 1"), ((5, 0, 1), "T=5, repetition 0, configuration 1"), ((3, 0, 7), "7")],
)
def test_a_trial_without_weights_has_no_network(opened, make_trial, key, which):
    entry = opened.enter(STUDY)
    entry.keep([make_trial(3, 1)])
    with pytest.raises(
        NotFound, match=rf"has no weights of the trial .*{which}. Weights are kept of the first 0 rep"
    ):
        entry.network(*key)


def test_weights_that_are_damaged_give_no_network(opened, make_trial):
    entry = opened.enter(STUDY)
    entry.keep([make_trial(3, 0, weights=b"some")])
    with pytest.raises(UnreadableFile, match="holds a damaged trial: T=3, repetition 0"):
        entry.network(3)


def test_weights_are_kept_of_those_that_have_them(opened, make_trial):
    entry = opened.enter(STUDY)
    entry.keep([make_trial(3, 0, weights=b"some"), make_trial(3, 1)])
    assert entry.weights(Key(0, 3, 0)) == b"some"
    assert entry.weights(Key(0, 3, 1)) is None
    assert entry.weights(Key(1, 3, 0)) is None


@pytest.mark.parametrize(
    ("table", "column", "value"),
    [("trials", "outcome", "UNSOLVED"), ("trials", "accuracies", "[0.1"), ("curves", "data", b"x")],
)
def test_a_damaged_trial_is_named(opened, make_trial, table, column, value):
    entry = opened.enter(STUDY)
    entry.keep([make_trial(3, 0), make_trial(5, 1)])
    damaged = METADATA.tables[table]
    damage = update(damaged).where(damaged.c.length == 5).values({column: value})
    opened.transact(lambda connection: connection.execute(damage), writes=True)
    with pytest.raises(UnreadableFile, match="a damaged trial: T=5, repetition 1 of study 'first'"):
        list(entry.trials())


def test_a_study_that_is_taken_out_while_it_runs_is_not_written_to(opened, make_trial):
    entry = opened.enter(STUDY)
    opened.remove("first")
    with pytest.raises(StoreFailed, match="was deleted from its store while it ran"):
        entry.keep([make_trial(3, 0)])


def test_failed_trials_can_be_forgotten(opened, make_trial):
    entry = opened.enter(STUDY)
    entry.keep([make_trial(3, 0), make_trial(3, 1, "failed"), make_trial(5, 0, "unsolved")])
    assert opened.enter(STUDY.with_(lengths=(1, 5))).forget_failed() == 0  # only these lengths count
    assert entry.forget_failed() == 1
    assert entry.done() == {Key(0, 3, 0), Key(0, 5, 0)}


def test_many_trials_come_in_order(opened, make_trial, monkeypatch):
    monkeypatch.setattr("memspan.store.entry.BATCH", 7)
    entry = opened.enter(STUDY.with_(repetitions=20))
    plain = {"curve": [], "start": None, "end": None, "flow_map": []}
    trials = [make_trial(length, k, **plain) for length in (5, 3) for k in range(20)]
    entry.keep(trials)
    assert [trial.key for trial in entry.trials()] == sorted(trial.key for trial in trials)


def test_what_somebody_else_adds_meanwhile_is_not_ours(opened, make_trial):
    ours = opened.enter(STUDY)
    theirs = opened.enter(STUDY.with_(cell=("rnn", "lstm", "gru"), lengths=(3, 5, 7), repetitions=3))
    gru = make_trial(3, 0).model_copy(update={"configuration": 2})
    theirs.keep([make_trial(3, 0), make_trial(7, 0), make_trial(3, 2), gru])
    assert [trial.key for trial in ours.trials()] == [Key(0, 3, 0)]
    assert ours.done() == {Key(0, 3, 0)}
    assert ours.counts() == {3: {"solved": 1}}
    assert len(theirs.done()) == 4
