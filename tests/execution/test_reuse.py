"""With `reuse`, trials that another study or search of the store has are copied and not trained again."""

from dataclasses import replace

import pytest
from sqlalchemy import delete

from memspan import CELLS, InvalidArgument, Search, Store, Study, UnreadableFile, load_study, run_search, run_study
from memspan.execution import run as running
from memspan.execution.events import Ended, Finished, Planned
from memspan.execution.memory import TooLarge
from memspan.execution.run import StudyRun
from memspan.execution.teams import Alone
from memspan.store.database import StoreFailed
from memspan.store.schema import trials as table_of_trials
from memspan.study.identity import default_name
from memspan.study.study import Key
from memspan.study.trial import ACCIDENTAL

SMALL = {"hidden": 4, "batch": 8, "updates": 20, "final_batches": 2, "evaluation_samples": 40}
OLD = Study(**SMALL, cell="rnn,gru", lengths=(2, 3), repetitions=2, keep_weights=1, name="old")
NEW = Study(**SMALL, cell="lstm,gru", lengths=(3, 4), repetitions=3, keep_weights=1, name="new")
SHARED = {Key(1, 3, 0), Key(1, 3, 1)}  # of the GRU, which is configuration 1 of both


def everything(trials):
    """All fields of every trial that are functions of its key."""
    return {trial.key: trial.model_dump_json(exclude=set(ACCIDENTAL)) for trial in trials}


def run(study, store=None, **options):
    """The result of a study, and the events of its run."""
    heard = []
    result = run_study(study, store, **{"progress": False, "listen": heard.append, **options})
    return result, heard


def ran(heard):
    """The keys of the trials that were trained."""
    return {trial.key for event in heard if isinstance(event, Finished) for trial in event.trials}


@pytest.fixture(scope="module")
def trained():
    """The new study, trained without a store."""
    return run(NEW)[0]


@pytest.fixture
def place(place):
    """A store of each kind, with the old study."""
    run(OLD, place)
    return place


def test_what_another_study_has_is_copied_and_the_rest_is_trained(place, trained):
    found, heard = run(NEW, place, reuse=True)
    assert ran(heard) == set(NEW.keys) - SHARED
    assert everything(found.trials) == everything(trained.trials)
    begun = next(event for event in heard if isinstance(event, Planned))
    assert (begun.plan.trials, begun.done) == (len(NEW.keys) - 2, {3: {"unsolved": 2}})
    assert heard[-1].complete
    old = {trial.key: trial for trial in load_study(place, "old").trials}
    for trial in load_study(place, "new").trials:
        if trial.key in SHARED:
            assert trial == old[trial.key]  # with its time and its worker
    with Store(place) as opened:
        old, new = opened.find("old"), opened.find("new")
        assert new.weights(Key(1, 3, 0)) == old.weights(Key(1, 3, 0)) is not None
        assert new.weights(Key(1, 3, 1)) is None
        opened.remove("old")  # what was copied is the study's own
        assert len(new.done()) == len(NEW.keys)


def test_unasked_nothing_is_copied(place, trained):
    found, heard = run(NEW, place)
    assert ran(heard) == set(NEW.keys)
    assert everything(found.trials) == everything(trained.trials)


def test_a_study_may_be_copied_whole(place):
    part = OLD.with_(name="part", cell="gru", lengths=3)
    found, heard = run(part, place, reuse=True)
    assert ran(heard) == set()
    assert [type(event) for event in heard] == [Planned, Ended]
    assert heard[0].done == {3: {"unsolved": 2}}
    assert found.complete
    assert everything(found.trials) == everything(run(part)[0].trials)
    assert load_study(place, "part") == found


def test_the_number_of_a_configuration_may_be_another(place):
    turned = OLD.with_(name="turned", cell="gru,rnn", seed=(1, 0))
    found, heard = run(turned, place, reuse=True)
    seeds = [(one.cell, one.seed) for one in turned.configurations]
    assert {seeds[key.configuration][1] for key in ran(heard)} == {1}
    assert everything(found.trials) == everything(run(turned)[0].trials)


def test_a_study_that_has_begun_takes_what_it_lacks(place):
    less = NEW.with_(lengths=4, repetitions=1)
    before = run(less, place)[0]
    found, heard = run(NEW, place, reuse=True)
    assert ran(heard) == set(NEW.keys) - SHARED - set(everything(before.trials))
    assert found.complete
    assert run(NEW, place, reuse=True)[1][0].plan.groups == ()


def test_trials_of_several_sources_are_put_together(place):
    run(OLD.with_(name="more", cell="gru", repetitions=3, lengths=(3, 5)), place)
    found, heard = run(NEW, place, reuse=True)
    assert ran(heard) == set(NEW.keys) - SHARED - {Key(1, 3, 2)}
    assert everything(found.trials) == everything(run(NEW)[0].trials)


def test_trainings_of_a_search_are_copied(place):
    search = Search(**SMALL, cell="gru", groups=2, repetitions=2, first_length=3, budget="8", name="search")
    known = {trial.key for trial in run_search(search, place, progress=False).trials}
    study = NEW.with_(name="grid", cell="gru", lengths=tuple({key.length for key in known}), repetitions=2)
    with Store(place) as opened:
        opened.remove("old")
    found, heard = run(study, place, reuse=True)
    assert known & set(study.keys)
    assert ran(heard) == set(study.keys) - known
    assert everything(found.trials) == everything(run(study)[0].trials)


def test_what_a_search_does_is_never_decided_by_what_is_stored(place):
    """So a search takes nothing from a study."""
    with pytest.raises(InvalidArgument, match=r"^Unknown argument 'reuse' of run_search"):
        run_search(Search(**SMALL), place, reuse=True)


@pytest.mark.parametrize(
    "fields",
    [
        {"hidden": 5},
        {"seed": 1},
        {"updates": 21},
        {"threshold": 0.8},
        {"task_parameters": {"tolerance": 0.2}},
        {"dtype": "float64"},
    ],
    ids=str,
)
def test_other_configurations_are_not_taken(place, fields):
    study = NEW.with_(cell="gru", lengths=3, repetitions=2, **fields)
    assert ran(run(study, place, reuse=True)[1]) == set(study.keys)


def test_a_trial_without_the_weights_that_are_wanted_is_not_taken(place):
    study = OLD.with_(name="other", keep_weights=2)
    found, heard = run(study, place, reuse=True)
    assert {key.repetition for key in ran(heard)} == {1}
    with Store(place) as opened:
        entry = opened.find("other")
        assert all(entry.weights(key) for key in study.keys)
    assert everything(found.trials) == everything(run(study)[0].trials)


def test_weights_that_are_not_wanted_are_not_taken(place):
    study = OLD.with_(name="other", keep_weights=0)
    assert ran(run(study, place, reuse=True)[1]) == set()
    with Store(place) as opened:
        assert not any(opened.find("other").weights(key) for key in study.keys)


def test_scores_at_other_lengths_come_with_the_trial_or_it_is_not_taken(place):
    tested = OLD.with_(name="tested", cell="gru", test_lengths=(6, 9))
    run(tested, place)
    study = tested.with_(name="other", test_lengths=9)
    found, heard = run(study, place, reuse=True)
    assert ran(heard) == set()  # from the second source, because the first has no scores
    assert {tuple(test.length for test in trial.tests) for trial in found.trials} == {(9,)}
    assert everything(found.trials) == everything(run(study)[0].trials)
    more = study.with_(name="more", test_lengths=(9, 12))
    assert ran(run(more, place, reuse=True)[1]) == set(more.keys)


def test_trials_of_other_code_are_not_taken(place, monkeypatch):
    monkeypatch.setitem(CELLS, "gru", replace(CELLS["gru"], constants={"more": 1.0}))
    study = OLD.with_(name="other")
    with Store(place) as opened:
        (source,) = opened.sources(study)
        assert {key.configuration for key in source.done()} == {0}  # of the other cell
    assert {key.configuration for key in ran(run(study, place, reuse=True)[1])} == {1}


def test_trials_of_other_rules_are_not_taken(place, monkeypatch):
    monkeypatch.setattr("memspan.study.fingerprint.VERSION", 3)
    study = OLD.with_(name="other", cell="gru", lengths=3)
    with Store(place) as opened:
        assert opened.sources(study) == []
    assert ran(run(study, place, reuse=True)[1]) == set(study.keys)


def test_failed_trials_are_not_taken_and_those_of_ones_own_are_replaced_if_that_is_wished(place, make_trial):
    failing = OLD.with_(name="failing", cell="gru", lengths=4)
    own = NEW.with_(cell="gru", lengths=(3, 4), repetitions=2)
    with Store(place) as opened:
        opened.enter(failing).keep([make_trial(4, 0, "failed")])
        opened.enter(own).keep([make_trial(3, 0, "failed")])
    found, heard = run(own, place, reuse=True)
    assert ran(heard) == {Key(0, 4, 0), Key(0, 4, 1)}
    assert [trial.outcome for trial in found.of_length(3)] == ["failed", "unsolved"]
    found, heard = run(own, place, reuse=True, retry_failed=True)
    assert ran(heard) == set()
    assert everything(found.trials) == everything(run(own)[0].trials)


# --- what can go wrong ----------------------------------------------------------------------------------


def test_a_dry_run_counts_what_would_be_trained_and_writes_nothing(tmp_path):
    path = tmp_path / "store.sqlite"
    run(OLD, path)
    before = path.read_bytes()
    for reuse, trials in ((True, len(NEW.keys) - 2), (False, len(NEW.keys))):
        with StudyRun(NEW, path, reuse=reuse) as study:
            assert study.plan().trials == trials
    with StudyRun(OLD.with_(name="other"), path, reuse=True) as study:
        assert study.plan().sentence == "nothing to do"
    assert path.read_bytes() == before


def test_a_study_that_does_not_fit_takes_no_name_and_no_trials(place, monkeypatch):
    monkeypatch.setattr(Alone, "memory", lambda team: 2**20)
    with pytest.raises(TooLarge):
        run(NEW, place, reuse=True)
    with Store(place) as opened:
        assert opened.names() == ["old"]


def test_without_a_store_there_is_nothing_to_reuse():
    with pytest.raises(InvalidArgument, match=r"^reuse must be left out without a store, got True$"):
        run_study(NEW, reuse=True)
    with pytest.raises(InvalidArgument, match=r"^reuse must be True or False, got 3$"):
        run_study(NEW, "store.sqlite", reuse=3)


def test_a_new_store_has_nothing_to_reuse(tmp_path):
    study = OLD.with_(cell="rnn", lengths=2)
    assert ran(run(study, tmp_path / "new.sqlite", reuse=True)[1]) == set(study.keys)


def test_an_interrupt_between_two_batches_of_copies_keeps_the_first(place, monkeypatch):
    monkeypatch.setattr(running, "COPIED_AT_ONCE", 3)
    study = OLD.with_(name="other")
    kept = []

    def keep(self, trials):
        sound(self, trials)
        kept.extend(trial.key for trial in trials)
        self._interrupts.count += 1

    sound = StudyRun._keep
    with monkeypatch.context() as patch:
        patch.setattr(StudyRun, "_keep", keep)
        with pytest.raises(KeyboardInterrupt):
            run(study, place, reuse=True)
    assert len(kept) == 3
    with Store(place) as opened:
        assert opened.find("other").done() == set(kept)
    assert ran(run(study, place, reuse=True)[1]) == set()
    assert load_study(place, "other").complete


def test_a_source_that_is_deleted_meanwhile_is_told(place, monkeypatch):
    def enter(self, store):
        with Store(place) as other:
            other.remove("old")
        return sound(self, store)

    sound = StudyRun._enter
    with monkeypatch.context() as patch:
        patch.setattr(StudyRun, "_enter", enter)
        with pytest.raises(StoreFailed, match=r"^Trials of 'old' were deleted from the store before .* again\.$"):
            run(NEW, place, reuse=True)
    assert run(NEW, place, reuse=True)[0].complete


def test_a_damaged_source_is_named(place):
    with Store(place) as opened:
        damage = table_of_trials.update().where(table_of_trials.c.length == 3).values(updates=7)
        opened.transact(lambda connection: connection.execute(damage), writes=True)
    with pytest.raises(UnreadableFile, match=r"holds a damaged trial: T=3, repetition \d of study 'old' "):
        run(NEW, place, reuse=True)
    with Store(place) as opened:
        opened.transact(lambda connection: connection.execute(delete(table_of_trials)), writes=True)
    assert run(NEW, place, reuse=True)[0].complete


def test_an_unnamed_study_takes_nothing_from_itself(place):
    unnamed = OLD.with_(name=None, cell="rnn")
    run(unnamed, place)
    with Store(place) as opened:
        assert [entry.name for entry in opened.sources(unnamed)] == ["old"]
        assert [entry.name for entry in opened.sources(OLD)] == [default_name(unnamed)]
