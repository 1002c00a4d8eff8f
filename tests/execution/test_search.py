"""Runs of searches: the same trials and span on any team, after an interruption, and beside another run."""

import multiprocessing
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from common import rows_in
from processes import wait_for

from memspan import (
    Batches,
    Configuration,
    InvalidArgument,
    NotFound,
    Search,
    SearchResult,
    Store,
    Study,
    find_span,
    load_study,
    run_search,
    run_study,
)
from memspan.execution import search as module
from memspan.execution.events import (
    Advanced,
    Elsewhere,
    Ended,
    Finished,
    Planned,
    Searching,
    SpanFound,
    Stopping,
    WorkerLost,
)
from memspan.execution.memory import TooLarge
from memspan.execution.search import SearchRun
from memspan.execution.teams import Alone
from memspan.study import group as group_module
from memspan.study.group import run_group
from memspan.study.identity import AnotherStudy, default_name
from memspan.study.study import Key
from memspan.study.trial import ACCIDENTAL

EASY = {"hidden": 4, "batch": 8, "updates": 40, "evaluate_every": 10, "final_batches": 2, "evaluation_samples": 50}
ONE = Configuration(**EASY, task_parameters={"tolerance": 0.5}, threshold=0.65)
PATH = {"groups": 2, "repetitions": 2, "first_length": 2, "longest": 40}
SEARCH = Search(**ONE.model_dump(exclude_unset=True), **PATH, budget="24", width=0.05)


def everything(trials):
    """All fields of every trial that are functions of its key."""
    return {trial.key: trial.model_dump_json(exclude=set(ACCIDENTAL)) for trial in trials}


def path_of(result):
    """All that a search has found out on its way."""
    path = result.path
    return path.rounds, path.estimate, path.trainings, path.steps, path.counts, path.ended


def run(search, store=None, **options):
    """The result of a search, and the events of its run."""
    heard = []
    result = run_search(search, store, **{"progress": False, "listen": heard.append, **options})
    return result, heard


def ran(heard):
    """The keys of the trials in the order in which they ended."""
    return [trial.key for event in heard if isinstance(event, Finished) for trial in event.trials]


@pytest.fixture(scope="module")
def alone():
    """The result of the search in this process, without a store."""
    return run(SEARCH)[0]


@pytest.fixture
def store(tmp_path):
    """The path of a store that does not exist yet."""
    return tmp_path / "memspan.sqlite"


def assert_same(found, alone):
    assert everything(found.trials) == everything(alone.trials)
    assert path_of(found) == path_of(alone)
    assert found.rows == alone.rows


# --- what a search finds --------------------------------------------------------------------------------


def test_a_search_ends_with_a_span_and_its_trials(alone):
    assert isinstance(alone, SearchResult)
    assert alone.complete
    assert 16 <= alone.path.trainings == len(alone.trials) <= 24
    assert alone.estimate.trainings == len(alone.trials)
    solved = {row.length: row.share.solved for row in alone.summaries()}
    assert 0 < sum(solved.values()) < len(alone.trials)  # an easy and a hard length
    assert alone.steps_trained == sum(trial.updates * trial.length for trial in alone.trials)


def test_its_trials_are_those_of_any_study(alone):
    """A trial is a function of its key, whoever asks for it."""
    for trial in alone.trials[::5]:
        (again,) = run_group(ONE, trial.length, [trial.repetition], keep_weights=1)
        assert everything([again]) == everything([trial])


def test_of_a_configuration_the_span_is_found_with_the_same_search(alone):
    found = find_span(ONE, 0.05, budget=24, **PATH, progress=False)
    assert found.search == SEARCH
    assert_same(found, alone)


def test_the_configuration_is_not_contradicted():
    for field, value, got in (("cell", "gru", "'gru'"), ("hidden", 4, "4")):
        with pytest.raises(InvalidArgument) as caught:
            find_span(ONE, **{field: value})
        assert str(caught.value) == f"{field} must be given in the configuration, and not beside it, got {got}"


def test_a_budget_too_small_for_the_first_round_is_refused_before_anything_is_stored(store):
    for budget, least in (("3", "4, the trainings"), ("399 steps", "400 time steps, the most that")):
        with pytest.raises(InvalidArgument, match=rf"^budget must be at least {least}"):
            run(SEARCH.with_(budget=budget), store)
    assert not store.exists()


@pytest.mark.parametrize("make", [lambda pool: pool, lambda pool: lambda: pool], ids=["one", "what makes one"])
def test_any_executor_will_do(alone, make):
    with ThreadPoolExecutor(1) as pool:
        assert_same(run(SEARCH, executor=make(pool))[0], alone)


@pytest.mark.slow
def test_two_processes_find_the_same(alone, store):
    found, heard = run(SEARCH, store, workers=2)
    assert_same(found, alone)
    assert {trial.worker for trial in found.trials}.isdisjoint({trial.worker for trial in alone.trials})
    assert multiprocessing.active_children() == []
    assert heard[-1].complete


@pytest.mark.slow
def test_a_dask_cluster_finds_the_same(alone, store, dask):
    found, heard = run(SEARCH, store, scheduler=dask.address)
    assert_same(found, alone)
    assert {trial.worker for trial in found.trials}.isdisjoint({trial.worker for trial in alone.trials})
    assert heard[-1].complete


def test_a_listener_hears_each_round_and_then_its_trials(alone):
    result, heard = run(SEARCH)
    assert len(result.path.rounds) == sum(isinstance(event, Searching) for event in heard)
    assert isinstance(heard[0], Searching)
    assert heard[-1].complete
    assert not any(isinstance(event, Planned | Elsewhere | WorkerLost | Stopping) for event in heard)
    asked = None
    for event in heard:
        if isinstance(event, Searching):
            assert asked in (None, set())  # all of the round before have ended
            assert (event.searches, event.names) == ((SEARCH,), (default_name(SEARCH),))
            asked = set(event.keys)
        elif isinstance(event, Finished):
            asked -= {trial.key for trial in event.trials}
    assert asked == set()


# --- the store ------------------------------------------------------------------------------------------


def test_a_search_is_a_kind_in_the_store(alone, store):
    result, _ = run(SEARCH.with_(name="mine"), store)
    run_study(Study(**EASY, lengths=2, repetitions=1, name="study"), store, progress=False)
    assert_same(result, alone)
    loaded = load_study(store, "mine")
    assert isinstance(loaded, SearchResult)
    assert loaded == result
    with Store(store) as opened:
        search, study = opened.overviews()
        assert (search.study, search.trials, search.done) == (SEARCH.with_(name="mine"), None, len(result.trials))
        assert repr(search) == f"<Overview 'mine': {len(result.trials)} trials>"
        assert (study.study.what, study.trials, study.done) == ("study", 1, 1)
        entry = opened.find("mine")
        assert entry.search == SEARCH.with_(name="mine")
        assert entry.summary().sentence == result.sentence
        assert entry.of_configuration(0).search == entry.search
        assert {key.repetition == 0 for key in entry.done() if entry.weights(key)} == {True}


def test_what_is_stored_is_not_trained_again(store, monkeypatch):
    first, _ = run(SEARCH, store)
    before = store.read_bytes()
    monkeypatch.setattr(module, "Coordinator", None)  # nothing may be trained
    again, heard = run(SEARCH, store)
    assert again == first
    assert [trial.seconds for trial in again.trials] == [trial.seconds for trial in first.trials]
    (begun, ended) = heard
    assert (begun.keys, begun.names) == ((), (default_name(SEARCH),))
    assert ended == Ended(True, spans=(SpanFound(default_name(SEARCH), first.estimate, first.ended),))
    assert bool(begun.paths[0].ended)
    assert store.read_bytes() == before


MORE = [
    *({"budget": "32"}, {"width": 0.02, "budget": "28"}, {"budget": "20k steps"}),
    {"level": 0.99, "budget": "28"},
]


@pytest.mark.parametrize("fields", MORE)
def test_a_search_that_is_to_be_more_precise_goes_on(store, alone, fields):
    run(SEARCH, store)
    more = SEARCH.with_(**fields)
    found, heard = run(more, store)
    assert_same(found, run(more)[0])
    trained = [(one.groups, one.answers) for one in found.path.rounds]
    assert trained[: len(alone.path.rounds)] == [(one.groups, one.answers) for one in alone.path.rounds]
    assert sorted([*ran(heard), *everything(alone.trials)]) == sorted(everything(found.trials))
    assert ran(heard)
    with Store(store) as opened:
        assert opened.names() == [default_name(SEARCH)]
        stored = opened.find(default_name(SEARCH)).search
        assert {name: getattr(stored, name) for name in fields} == fields


def test_less_than_there_is_may_be_asked_for(store, alone):
    """What is stored never decides what a search does: only the trials of its own path count."""
    run(SEARCH, store)
    less = SEARCH.with_(budget="8")
    found, heard = run(less, store)
    assert ran(heard) == []
    assert_same(found, run(less)[0])
    assert len(found.trials) == 8


def test_trials_that_no_search_asked_for_change_nothing(store, alone, make_trial):
    """Whatever stands in the store beside the path."""
    with Store(store, create=True) as opened:
        entry = opened.enter(SEARCH)
        entry.keep([make_trial(39, k) for k in range(3)] + [make_trial(2, 77, "unsolved")])
    found, heard = run(SEARCH, store)
    assert_same(found, alone)
    assert Key(0, 39, 0) not in ran(heard)


@pytest.mark.parametrize("field", ["share", "groups", "repetitions", "first_length", "longest"])
def test_another_path_is_another_search(store, field):
    run(SEARCH.with_(name="mine", budget="8"), store)
    other = {"share": 0.9, "groups": 3, "repetitions": 3, "first_length": 3, "longest": 41}[field]
    with pytest.raises(AnotherStudy, match=rf"^Search 'mine' exists with other settings \({field}: .*, now "):
        run(SEARCH.with_(name="mine", **{field: other}), store)


def test_a_study_and_a_search_do_not_share_a_name(store):
    run(SEARCH.with_(name="mine", budget="8"), store)
    with pytest.raises(AnotherStudy, match=r"^'mine' is the name of a search, not of a study\."):
        run_study(Study(name="mine"), store, progress=False)
    run_study(Study(**EASY, lengths=2, repetitions=1, name="study"), store, progress=False)
    with pytest.raises(AnotherStudy, match=r"^'study' is the name of a study, not of a search\."):
        run(SEARCH.with_(name="study"), store)


def test_trials_of_older_rules_are_not_gone_on_with(store, monkeypatch):
    named = SEARCH.with_(name="mine", budget="8")
    run(named, store)
    run(SEARCH.with_(budget="8"), store)
    monkeypatch.setattr("memspan.study.fingerprint.VERSION", 3)
    with pytest.raises(AnotherStudy) as caught:
        run(named, store)
    assert str(caught.value) == (
        "The code of the training loop has changed since search 'mine' was run. Choose another --name, or delete "
        "the search with `memspan store rm mine`."
    )
    found, heard = run(SEARCH.with_(budget="8"), store)
    assert len(ran(heard)) == 8
    assert found.complete
    with Store(store) as opened:
        assert len(opened.names()) == 3


@pytest.mark.parametrize("first", [1, 3])
def test_weights_are_those_that_the_search_of_the_store_keeps(store, first):
    """Once more weights have been asked for, every run keeps them."""
    run(SEARCH.with_(keep_weights=first, budget="12"), store)
    assert run(SEARCH.with_(keep_weights=4 - first, budget="24"), store)[0].complete
    with Store(store) as opened:
        entry = opened.find(default_name(SEARCH))
        kept = {key for key in entry.done() if entry.weights(key) is not None}
        assert kept == {key for key in entry.done() if key.repetition < 3}
        assert entry.search.keep_weights == 3
    assert run(SEARCH.with_(keep_weights=1, budget="24"), store)[1][0].keys == ()


# --- interruptions --------------------------------------------------------------------------------------


@pytest.mark.parametrize("rounds", [1, 2, 4])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_keeps_what_was_finished_and_the_next_run_goes_on(store, alone, number, rounds):
    heard = []

    def listen(event):
        heard.append(event)
        if isinstance(event, Finished) and sum(isinstance(one, Searching) for one in heard) == rounds:
            os.kill(os.getpid(), number)

    with pytest.raises(KeyboardInterrupt):
        run_search(SEARCH, store, progress=False, listen=listen)
    assert heard[-2:] == [Stopping(), Ended(False, "interrupted")]
    done = ran(heard)
    assert 0 < len(done) < len(alone.trials)
    with Store(store) as opened:
        assert opened.find(default_name(SEARCH)).done() == set(done)
    found, heard = run(SEARCH, store)
    assert sorted([*done, *ran(heard)]) == sorted(everything(alone.trials))
    assert_same(found, alone)


def test_an_unfinished_search_says_how_far_it_is(store, alone):
    with Store(store, create=True) as opened:
        entry = opened.enter(SEARCH)
        assert entry.summary().sentence == "No round has ended, so there is no answer yet."
        first = [group for one in alone.path.rounds[:1] for group in one.groups]
        keys = {Key(0, group.length, group.first + k) for group in first for k in range(group.count)}
        entry.keep(trial for trial in alone.trials if trial.key in keys)
        found = opened.find(default_name(SEARCH)).summary()
        assert (found.complete, found.sentence) == (False, f"So far: {alone.path.rounds[0].estimate}.")


@pytest.mark.slow
def test_killed_workers_lose_nothing(store, alone):
    heard, killed = [], []

    def listen(event):
        heard.append(event)
        workers = multiprocessing.active_children() if isinstance(event, Searching | Advanced) else []
        if workers and len(killed) < 2:
            killed.append(len(workers))
            for worker in workers:
                worker.kill()
            wait_for(lambda: not any(worker.is_alive() for worker in workers))

    found = run_search(SEARCH, store, workers=2, progress=False, listen=listen)
    assert killed
    assert sorted(ran(heard)) == sorted(everything(alone.trials))
    assert_same(found, alone)
    assert multiprocessing.active_children() == []


LONG = SEARCH.with_(updates=1500, evaluate_every=1500)
"""Long enough to be killed in the middle."""


@pytest.fixture(scope="module")
def long_alone():
    """The result of the long search in this process, without a store."""
    return run(LONG)[0]


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2])
def test_a_killed_coordinator_loses_nothing_that_was_stored(tmp_path, store, long_alone, workers):
    """The command of `memspan span`, killed twice after a few trials, and then run to its end."""
    options = LONG.model_dump(exclude_unset=True, exclude={"task_parameters"})
    options |= {"task-parameters.tolerance": 0.5}
    words = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
    command = [sys.executable, "-m", "memspan", "span", *words, "--store", str(store), "--workers", str(workers)]
    for trials in (3, 9):
        running = subprocess.Popen([*command, "--progress", "none", "--no-figures"], cwd=tmp_path)
        wait_for(lambda trials=trials: rows_in(store) >= trials)
        running.kill()
        assert running.wait() == -signal.SIGKILL
    with Store(store) as opened:
        stored = {trial.key: trial for trial in opened.find(default_name(LONG)).trials()}
    found, heard = run(LONG, store)
    assert ran(heard)
    assert sorted([*ran(heard), *stored]) == sorted(everything(found.trials))
    assert stored.items() <= {trial.key: trial for trial in found.trials}.items()
    assert_same(found, long_alone)


def test_a_failed_trial_is_no_answer_and_may_be_run_again(store, alone, monkeypatch):
    lost = next(trial.key for trial in alone.trials if trial.repetition == 1)

    def no_room(task, length, batch, rng, dtype):
        if rng.spawn_key[:2] == lost[1:]:
            raise MemoryError("no room")
        return Batches(task, length, batch, rng, dtype)

    with monkeypatch.context() as patch:
        patch.setattr(group_module, "Batches", no_room)
        failed, _ = run(SEARCH, store)
    assert failed.failures == ["MemoryError: no room"]
    assert failed.complete
    assert sum(row.failed for row in failed.summaries()) == 1
    again, heard = run(SEARCH, store)
    assert (again, ran(heard)) == (failed, [])
    mended, heard = run(SEARCH, store, retry_failed=True)
    assert ran(heard)[0] == lost
    assert_same(mended, alone)


# --- another coordinator --------------------------------------------------------------------------------


def test_trials_that_another_coordinator_stores_meanwhile_are_taken(store, alone):
    """It stores the whole second round, just before this one begins it."""
    known, heard = {trial.key: trial for trial in alone.trials}, []

    def listen(event):
        heard.append(event)
        if isinstance(event, Searching) and sum(isinstance(one, Searching) for one in heard) == 2:
            with Store(store) as other:
                other.enter(SEARCH).keep(known[key] for key in event.keys)

    found = run_search(SEARCH, store, progress=False, listen=listen)
    elsewhere = {key for event in heard if isinstance(event, Elsewhere) for key in event.keys}
    second = [event for event in heard if isinstance(event, Searching)][1]
    assert elsewhere == set(second.keys)
    assert not set(ran(heard)) & elsewhere
    assert_same(found, alone)


def test_half_a_round_of_another_coordinator_is_taken_too(store, alone):
    known, heard = {trial.key: trial for trial in alone.trials}, []

    def listen(event):
        heard.append(event)
        if isinstance(event, Searching):
            with Store(store) as other:
                other.enter(SEARCH).keep(known[key] for key in event.keys[::2])

    found = run_search(SEARCH, store, progress=False, listen=listen)
    elsewhere = {key for event in heard if isinstance(event, Elsewhere) for key in event.keys}
    assert len(elsewhere) >= len(alone.trials) // 2
    assert sorted([*elsewhere, *ran(heard)]) == sorted(everything(alone.trials))
    assert_same(found, alone)


# --- several searches -----------------------------------------------------------------------------------

SEVERAL = (SEARCH, SEARCH.with_(cell="gru", budget="12"), SEARCH.with_(seed=3, first_length=1, groups=3))


def run_several(store=None, searches=SEVERAL, heard=None):
    tell = (lambda event: None) if heard is None else heard.append
    with SearchRun(searches, store, Alone, tell=tell) as running:
        running.run()
        return running.results()


@pytest.mark.parametrize("stored", [False, True])
def test_searches_that_go_on_together_find_what_each_finds_alone(store, stored):
    heard = []
    together = run_several(store if stored else None, heard=heard)
    for search, found in zip(SEVERAL, together, strict=True):
        assert_same(found, run(search)[0])
        assert {trial.configuration for trial in found.trials} == {0}
    begun = [event for event in heard if isinstance(event, Searching)]
    assert len(begun) == max(len(found.path.rounds) for found in together)  # a round of each at a time
    assert {key.configuration for key in begun[0].keys} == {0, 1, 2}
    if stored:
        with Store(store) as opened:
            assert opened.names() == [default_name(search) for search in SEVERAL]
        heard = []
        assert run_several(store, heard=heard) == together
        assert [type(event) for event in heard] == [Searching, Ended]


def test_one_that_is_in_the_store_already_is_not_trained_again(store, alone):
    run(SEVERAL[1], store)
    heard = []
    found = run_several(store, heard=heard)
    assert {key.configuration for key in ran(heard)} == {0, 2}
    assert_same(found[0], alone)


# --- what can go wrong ----------------------------------------------------------------------------------


def test_what_does_not_fit_into_memory_is_refused_before_anything_is_stored(store, monkeypatch):
    monkeypatch.setattr(Alone, "memory", lambda team: 2**20)
    heard = []
    with pytest.raises(TooLarge, match=r"^Training needs .* of memory, but it may use only 1 MiB"):
        run_search(SEARCH, store, progress=False, listen=heard.append)
    assert [type(event) for event in heard] == [Ended]
    assert not store.exists()


def test_a_round_that_does_not_fit_ends_a_search_that_can_go_on_elsewhere(store, alone, monkeypatch):
    """As a search doubles its lengths, a later round may need too much."""
    room = iter([2**40, 2**20])
    monkeypatch.setattr(Alone, "memory", lambda team: next(room))
    with pytest.raises(TooLarge):
        run(SEARCH, store)
    monkeypatch.undo()
    found, heard = run(SEARCH, store)
    assert 0 < len(ran(heard)) < len(alone.trials)
    assert_same(found, alone)


@pytest.mark.parametrize("search", [None, "search.toml", Study(), ONE])
def test_what_is_run_is_a_search(store, search):
    with pytest.raises(InvalidArgument, match=r"^search must be a Search, got "):
        run_search(search, store)
    assert not store.exists()


@pytest.mark.parametrize("configuration", [None, SEARCH, Study(), {"hidden": 3}])
def test_a_span_is_that_of_a_configuration(configuration):
    with pytest.raises(InvalidArgument, match=r"^configuration must be a Configuration, got "):
        find_span(configuration)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 0}, "width must be above 0, got 0"),
        ({"budget": "much"}, "budget must be a whole number of trainings"),
        ({"retry_failed": "yes"}, "retry_failed must be True or False"),
        ({"lengths": 3}, "Unknown field 'lengths'."),
        ({"workers": -1}, "workers must be a whole number of at least 0"),
        ({"progress": "loud"}, "progress must be one of auto, bar, notebook, lines, json, none, got 'loud'"),
        ({"listen": 3}, "listen must be a callable"),
        ({"store": 3}, "store must be a path, or the URL of a PostgreSQL database, got 3"),
    ],
)
def test_bad_arguments_are_refused(options, message):
    with pytest.raises(InvalidArgument) as caught:
        find_span(ONE, **options)
    assert str(caught.value).startswith(message)


def test_an_unknown_argument_of_a_run_is_named():
    with pytest.raises(InvalidArgument, match=r"^Unknown argument 'retry_fail' of run_search\. Did you mean"):
        run_search(SEARCH, retry_fail=True)


def test_a_store_that_does_not_exist_is_no_search():
    with pytest.raises(NotFound, match="No store at"):
        load_study("nothing.sqlite", "mine")


def test_an_error_of_a_listener_passes_through_and_what_was_finished_is_kept(store, alone):
    def listen(event):
        if isinstance(event, Finished):
            raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        run_search(SEARCH, store, progress=False, listen=listen)
    found, heard = run(SEARCH, store)
    assert 0 < len(ran(heard)) < len(alone.trials)
    assert_same(found, alone)
