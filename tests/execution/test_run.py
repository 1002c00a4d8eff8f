import multiprocessing
import os
import signal
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from processes import wait_for

from memspan import Batches, InvalidArgument, MemspanError, NotFound, Store, Study, load_study, run_study
from memspan.execution import plan as plan_module
from memspan.execution import run as running
from memspan.execution import teams as executors
from memspan.execution.events import (
    Advanced,
    Elsewhere,
    Ended,
    Finished,
    Planned,
    SpanFound,
    Stopping,
    Waiting,
    WorkerLost,
)
from memspan.execution.memory import TooLarge
from memspan.execution.run import StudyRun
from memspan.execution.teams import ExecutorFailed
from memspan.store import sqlite, transactions
from memspan.store.database import StoreFailed
from memspan.study import group as group_module
from memspan.study.identity import AnotherStudy, default_name
from memspan.study.study import Key
from memspan.study.trial import ACCIDENTAL

SMALL = Study(lengths=(2, 3), repetitions=2, hidden=32, batch=64, updates=30)
SEVERAL = SMALL.with_(cell=["rnn", "gru"], hidden=8, final_batches=2)


def everything(trials):
    """All fields of every trial that are functions of its key."""
    return {trial.key: trial.model_dump_json(exclude=set(ACCIDENTAL)) for trial in trials}


def run(study, store=None, **options):
    """The result of a study, and the events of its run."""
    heard = []
    result = run_study(study, store, **{"progress": False, "listen": heard.append, **options})
    return result, heard


def ran(heard):
    """The keys of the trials in the order in which they ended."""
    return [trial.key for event in heard if isinstance(event, Finished) for trial in event.trials]


@pytest.fixture
def store(tmp_path):
    """The path of a store that does not exist yet."""
    return tmp_path / "memspan.sqlite"


# --- a result is a function of its key ------------------------------------------------------------------


def test_the_same_study_twice_is_the_same(store):
    first, second = (run_study(SMALL, progress=False).trials for _ in range(2))
    assert everything(first) == everything(second)
    assert set(everything(first)) == set(SMALL.keys)
    assert everything(run_study(SMALL, store, progress=False).trials) == everything(first)
    other = run_study(SMALL.with_(seed=1), progress=False).trials
    for key, text in everything(other).items():
        assert text != everything(first)[key]
    assert not {trial.loss for trial in first} & {trial.loss for trial in other}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("workers", "fields"),
    [
        (1, {}),
        (2, {}),
        (2, {"task": "copying/urnn", "task_parameters": {"items": 2}, "seed": [0, 1]}),
    ],
)
def test_the_number_of_workers_changes_nothing(workers, fields, store):
    study = SMALL.with_(lengths=(2, 3, 20), **fields)
    alone = run_study(study, progress=False)
    together = run_study(study, store, workers=workers, progress=False)
    assert together.complete
    assert everything(alone.trials) == everything(together.trials)
    assert multiprocessing.active_children() == []
    assert {trial.worker for trial in alone.trials}.isdisjoint({trial.worker for trial in together.trials})


def test_a_configuration_is_what_it_is_alone():
    together = everything(run_study(SEVERAL, progress=False).trials)
    assert len(together) == 8
    for number in range(len(SEVERAL.configurations)):
        for trial in run_study(SEVERAL.only(number), progress=False).trials:
            moved = trial.model_copy(update={"configuration": number})
            assert everything([moved])[moved.key] == together[moved.key]


def test_more_lengths_and_repetitions_leave_the_old_trials_as_they_were():
    few, many = (
        everything(run_study(study, progress=False).trials)
        for study in (SMALL, SMALL.with_(lengths=(1, 2, 3, 4), repetitions=3))
    )
    assert (len(few), len(many)) == (4, 12)
    assert few == {key: many[key] for key in few}


@pytest.mark.parametrize("make", [lambda pool: pool, lambda pool: lambda: pool], ids=["one", "what makes one"])
def test_any_executor_will_do(make):
    with ThreadPoolExecutor(1) as pool:
        result = run_study(SMALL, executor=make(pool), progress=False)
    assert everything(result.trials) == everything(run_study(SMALL, progress=False).trials)


# --- what is in the store is not run again --------------------------------------------------------------


def test_what_is_read_is_what_was_run(store):
    result = run_study(SMALL, store, progress=False)
    assert result.complete
    for place in (store, str(store)):
        again = load_study(place, default_name(SMALL))
        assert (again.trials, again.study) == (result.trials, SMALL.with_(name=default_name(SMALL)))


def test_a_name_is_that_of_the_study_in_its_store(store):
    result = run_study(SMALL.with_(name="mine"), store, progress=False)
    assert load_study(store, "mine") == result
    with pytest.raises(NotFound, match=r"No study 'min' in .*\. Did you mean 'mine'\?"):
        load_study(store, "min")


def test_whoever_listens_hears_that_the_store_is_waited_for(tmp_path, monkeypatch):
    """Another program holds the lock until memspan has reported that it waits."""
    monkeypatch.setattr(transactions, "SECONDS_TO_TELL", 0.2)
    monkeypatch.setattr(sqlite, "MILLISECONDS_TO_WAIT", 100)
    path, heard = tmp_path / "store.sqlite", []
    with Store(path, create=True), closing(sqlite3.connect(path, isolation_level=None)) as other:

        def listen(event):
            heard.append(event)
            if isinstance(event, Planned):
                other.execute("BEGIN IMMEDIATE")
            elif isinstance(event, Waiting):
                other.execute("ROLLBACK")

        study = Study(lengths=3, repetitions=1, updates=5, name="a")
        assert run_study(study, path, progress=False, listen=listen).complete
    (waiting,) = [event for event in heard if isinstance(event, Waiting)]
    assert waiting == Waiting("database is locked", 600.0)


def test_a_second_run_of_a_finished_study_runs_nothing(store, monkeypatch):
    first = run_study(SMALL, store, progress=False)

    def make_plan(*arguments):
        raise AssertionError("there is nothing to plan")

    monkeypatch.setattr(running, "make_plan", make_plan)
    again, heard = run(SMALL, store)
    assert again == first
    assert [trial.seconds for trial in again.trials] == [trial.seconds for trial in first.trials]
    begun, ended = heard
    assert isinstance(begun, Planned)
    assert (begun.plan.groups, begun.name) == ((), default_name(SMALL))
    assert {length: sum(counts.values()) for length, counts in begun.done.items()} == {2: 2, 3: 2}
    assert ended == Ended(True, spans=(SpanFound(default_name(SMALL), first.estimate),))


@pytest.mark.parametrize(
    "more", [{"repetitions": 3}, {"lengths": (1, 2, 3)}, {"hidden": [32, 8]}, {"seed": [4, 0]}], ids=str
)
def test_a_study_that_has_grown_runs_only_what_is_new(store, more):
    few = everything(run_study(SMALL.with_(name="mine"), store, progress=False).trials)
    grown = SMALL.with_(name="mine", **more)
    result, heard = run(grown, store)
    old = [number for number, one in enumerate(grown.configurations) if one.seed == 0 and one.hidden == 32]
    there = {key._replace(configuration=old[0]) for key in SMALL.keys}
    assert set(ran(heard)) == set(grown.keys) - there
    assert len(ran(heard)) == len(set(ran(heard))) == len(grown.keys) - 4
    assert heard[0].plan.trials == len(grown.keys) - 4
    assert result.complete
    kept = [trial.model_copy(update={"configuration": 0}) for trial in result.trials if trial.key in there]
    assert everything(kept) == few
    assert everything(result.trials) == everything(run_study(grown, progress=False).trials)


def test_a_study_does_not_change_under_its_name(store):
    result = run_study(SMALL.with_(name="mine"), store, progress=False)
    for other in ({"hidden": 7}, {"cell": "gru"}, {"seed": 1}):
        with pytest.raises(AnotherStudy, match=r"Study 'mine' exists with other settings \(\w+: .*, now .*\)\."):
            run_study(SMALL.with_(name="mine", **other), store, progress=False)
    assert load_study(store, "mine") == result


def test_less_than_there_is_may_be_asked_for(store):
    whole = run_study(SMALL, store, progress=False)
    part, heard = run(SMALL.with_(lengths=3, repetitions=1), store)
    assert ran(heard) == []
    assert [trial.key for trial in part.trials] == [Key(0, 3, 0)]
    assert part.complete
    other, heard = run(SMALL.with_(lengths=(3, 4)), store)
    assert {key.length for key in ran(heard)} == {4}
    assert other.complete
    both = load_study(store, default_name(SMALL))
    assert both.study.lengths == (2, 3, 4)
    assert everything(both.trials) == everything(whole.trials) | everything(other.trials)


def test_a_study_that_is_refused_does_not_take_a_name(store):
    with pytest.raises(TooLarge):
        run_study(SMALL.with_(lengths=10**9, name="mine"), store, progress=False)
    with pytest.raises(NotFound, match="No store at"):  # and nothing is made for it
        Store(store)
    assert run_study(SMALL.with_(name="mine"), store, progress=False).complete


@pytest.mark.parametrize("moment", [1, 3, 8])
def test_an_interrupt_while_it_is_measured_ends_it_before_anything_is_run(moment, monkeypatch):
    """In this process, with twelve kinds of configurations, during the first, third and eighth measurement."""
    study = SMALL.with_(hidden=range(3, 15), lengths=(3, 4), batch=2, updates=3)
    sound, measured = plan_module._moment, []

    def interrupted(configuration, length, engine):
        measured.append(length)
        if len(measured) == moment:
            signal.raise_signal(signal.SIGINT)
        return sound(configuration, length, engine)

    monkeypatch.setattr(plan_module, "_moment", interrupted)
    heard = []
    with pytest.raises(KeyboardInterrupt):
        run_study(study, progress=False, listen=heard.append)
    assert heard == [Ended(False, "interrupted")]
    assert moment <= len(measured) < 36


def test_weights_that_are_asked_for_later_are_kept(store):
    run_study(SMALL.with_(keep_weights=0), store, progress=False)
    result, heard = run(SMALL.with_(keep_weights=1), store)
    assert {key.repetition for key in ran(heard)} == {0}
    assert len(result.trials) == 4
    with Store(store) as opened:
        entry = opened.find(default_name(SMALL))
        assert [entry.weights(key) is not None for key in SMALL.keys] == [k == 0 for _, _, k in SMALL.keys]


def test_many_trials_come_without_their_curves(store, monkeypatch):
    whole = run_study(SMALL, store, progress=False)
    monkeypatch.setattr(running, "MOST_WITH_CURVES", 3)
    brief = run_study(SMALL, store, progress=False)
    assert all(trial.curve and trial.start for trial in whole.trials)
    assert not any(trial.curve or trial.start for trial in brief.trials)
    assert [trial.digest for trial in brief.trials] == [trial.digest for trial in whole.trials]


def test_weights_are_kept_in_the_store(store):
    study = SMALL.with_(name="mine", keep_weights=1)
    run_study(study, store, progress=False)
    kept = {trial.key: trial.weights for trial in run_study(study, progress=False).trials}
    with Store(store) as opened:
        entry = opened.find("mine")
        assert {key: entry.weights(key) for key in study.keys} == kept
    assert {key.repetition: weights is not None for key, weights in kept.items()} == {0: True, 1: False}


def planned(study, store):
    with StudyRun(study, store) as running:
        return running.plan()


def test_a_plan_says_what_a_run_would_do_and_makes_nothing(store):
    plan = planned(SMALL, store)
    assert (plan.trials, plan.slots) == (4, 1)
    assert sorted(key for group in plan.groups for key in group) == sorted(SMALL.keys)
    assert plan.sentence.startswith("4 trials in 1 process, at most ")
    assert not store.exists()
    run_study(SMALL, store, progress=False)
    before = store.read_bytes()
    plan = planned(SMALL.with_(repetitions=3), store)  # whose name is the same
    assert sorted(key for group in plan.groups for key in group) == [Key(0, 2, 2), Key(0, 3, 2)]
    plan = planned(SMALL, store)
    assert (plan.trials, plan.sentence) == (0, "nothing to do")
    assert store.read_bytes() == before


# --- what can go wrong ----------------------------------------------------------------------------------


def no_room(task, length, batch, rng, dtype):
    """A replacement of `Batches` that has no batches for one trial."""
    if rng.spawn_key[:2] == (3, 1):
        raise MemoryError("no room")
    return Batches(task, length, batch, rng, dtype)


def test_a_failed_trial_is_recorded_and_the_others_go_on(monkeypatch, store):
    whole = everything(run_study(SMALL, progress=False).trials)
    monkeypatch.setattr(group_module, "Batches", no_room)
    result = run_study(SMALL, store, progress=False)
    failed = [trial for trial in result.trials if trial.outcome == "failed"]
    assert [(trial.key, trial.reason) for trial in failed] == [(Key(0, 3, 1), "MemoryError: no room")]
    kept = everything(trial for trial in result.trials if trial.outcome != "failed")
    assert kept == {key: whole[key] for key in whole if key != (0, 3, 1)}
    short, long = result.summaries()
    assert (short.share.trials, short.failed) == (2, 0)
    assert (long.share.trials, long.failed, len(long.accuracies)) == (1, 1, 1)
    assert everything(load_study(store, default_name(SMALL)).trials) == everything(result.trials)


def test_a_failed_trial_is_run_again_only_if_it_is_wished(monkeypatch, store):
    with monkeypatch.context() as patch:
        patch.setattr(group_module, "Batches", no_room)
        failed = run_study(SMALL, store, progress=False)
    again, heard = run(SMALL, store)
    assert (again, ran(heard)) == (failed, [])
    mended, heard = run(SMALL, store, retry_failed=True)
    assert ran(heard) == [Key(0, 3, 1)]
    assert mended.failures == []
    assert everything(mended.trials) == everything(run_study(SMALL, progress=False).trials)


def test_a_diverging_study_solves_nothing_and_is_counted_apart():
    study = SMALL.with_(optimizer="sgd", learning_rate=1e9, clip=0)
    result = run_study(study, progress=False)
    assert [trial.outcome for trial in result.trials] == ["diverged"] * 4
    for row in result.summaries():
        assert (row.share.solved, row.share.trials, row.diverged, row.failed) == (0, 2, 2, 0)
    assert result.longest is None


@pytest.mark.slow
def test_a_killed_worker_is_replaced_and_nothing_is_lost(store):
    """The trials of a killed worker are run again."""
    study = SMALL.with_(lengths=(3, 6), repetitions=12, hidden=8, updates=800, threshold=1.0)
    heard, killed = [], []

    def listen(event):
        heard.append(event)
        if isinstance(event, Advanced) and len(killed) < 2:  # kill all workers twice, in the middle of their jobs
            workers = multiprocessing.active_children()
            killed.append(len(workers))
            for worker in workers:
                worker.kill()
            wait_for(lambda: not any(worker.is_alive() for worker in workers))

    result = run_study(study, store, workers=2, progress=False, listen=listen)
    assert all(killed)
    lost = [key for event in heard if isinstance(event, WorkerLost) for key in event.keys]
    assert lost
    assert set(lost) <= set(study.keys)
    assert result.complete
    assert result.failures == []
    assert sorted(ran(heard)) == sorted(study.keys)
    assert everything(result.trials) == everything(run_study(study, progress=False).trials)
    assert heard[-1].complete
    assert multiprocessing.active_children() == []
    assert issubclass(ExecutorFailed, MemspanError)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_keeps_what_was_finished_and_the_next_run_goes_on(store, number):
    study = SMALL.with_(repetitions=6)
    heard, handler = [], signal.getsignal(number)

    def listen(event):
        heard.append(event)
        if isinstance(event, Finished):
            os.kill(os.getpid(), number)

    with pytest.raises(KeyboardInterrupt):
        run_study(study, store, progress=False, listen=listen)
    assert signal.getsignal(number) is handler
    done = ran(heard)
    assert 0 < len(done) < 12
    assert heard[-2:] == [Stopping(), Ended(False, "interrupted")]
    assert sorted(done) == [trial.key for trial in load_study(store, default_name(study)).trials]
    result, heard = run(study, store)
    assert sorted([*done, *ran(heard)]) == sorted(study.keys)
    assert everything(result.trials) == everything(run_study(study, progress=False).trials)


@pytest.mark.parametrize("repetitions", [1, 20])  # the last of all, too, is no trial that has ended
def test_an_interrupt_ends_a_trial_that_is_under_way(store, monkeypatch, repetitions):
    monkeypatch.setattr(executors, "SECONDS_BETWEEN_LOOKS", 0)
    study = Study(lengths=2, repetitions=repetitions, hidden=4, updates=10**6, threshold=1.0)
    heard = []

    def listen(event):
        heard.append(event)
        if isinstance(event, Advanced):
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        run_study(study, store, progress=False, listen=listen)
    assert ran(heard) == []
    assert heard[-2:] == [Stopping(), Ended(False, "interrupted")]
    assert sum(isinstance(event, Advanced) for event in heard) == 1


# --- who listens ----------------------------------------------------------------------------------------


def test_a_listener_hears_the_plan_then_the_trials_then_the_end(store):
    result, heard = run(SEVERAL, store)
    begun, *finished, ended = heard
    assert isinstance(begun, Planned)
    assert (begun.study, begun.name, begun.done) == (SEVERAL, default_name(SEVERAL), {})
    assert sorted(key for group in begun.plan.groups for key in group) == sorted(SEVERAL.keys)
    for group in begun.plan.groups:
        assert len({key[:2] for key in group}) == 1  # a configuration and length
    trials = [trial for event in finished if isinstance(event, Finished) for trial in event.trials]
    assert sorted(trial.key for trial in trials) == sorted(SEVERAL.keys)
    assert everything(trials) == everything(result.trials)
    assert not any(isinstance(event, Elsewhere | WorkerLost | Stopping | Ended) for event in finished)
    assert ended.complete


def test_trials_are_in_the_store_when_they_are_told_of(store):
    def listen(event):
        if isinstance(event, Finished):
            with Store(store) as opened:
                stored = {trial.key for trial in opened.find(default_name(SMALL)).trials()}
            assert {trial.key for trial in event.trials} <= stored
            seen.append(len(stored))

    seen = []
    run_study(SMALL, store, progress=False, listen=listen)
    assert seen == sorted(seen)
    assert seen[-1] == 4


def test_without_a_store_the_same_is_heard():
    result, heard = run(SMALL)
    assert heard[-1].spans == (SpanFound(default_name(SMALL), result.estimate),)
    assert (heard[0].name, heard[0].done, heard[-1].complete) == (default_name(SMALL), {}, True)
    assert sorted(ran(heard)) == [trial.key for trial in result.trials]


def test_progress_is_told_from_the_trials_that_are_running(monkeypatch):
    monkeypatch.setattr(executors, "SECONDS_BETWEEN_LOOKS", 0)
    study = SMALL.with_(updates=4)
    _, heard = run(study)
    latest = {}
    for event in heard:
        if isinstance(event, Advanced):
            for key, updates in event.updates.items():
                assert updates >= latest.get(key, 0)
                latest[key] = updates
    assert latest == dict.fromkeys(study.keys, 4)


def test_an_error_of_a_listener_passes_through_and_what_was_finished_is_kept(store):
    def listen(event):
        if isinstance(event, Finished):
            raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        run_study(SMALL, store, progress=False, listen=listen)
    there = load_study(store, default_name(SMALL))
    assert len(there.trials) > 0
    assert run_study(SMALL, store, progress=False).complete


def test_progress_may_be_named(capsys):
    run_study(SMALL, progress="lines")
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"study: {default_name(SMALL)}: 4 trials in 1 process, at most ")
    run_study(SMALL, progress=False)
    assert capsys.readouterr() == ("", "")


# --- arguments ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [-1, 1.5, "2", None, True])
def test_workers_are_counted(store, workers):
    with pytest.raises(InvalidArgument, match="workers must be a whole number of at least 0"):
        run_study(SMALL, store, workers=workers)
    assert not store.exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"progress": "loud"}, "progress must be one of auto, bar, notebook, lines, json, none, got 'loud'"),
        ({"progress": "notebook"}, "progress must be bar, lines, json or none outside IPython, got 'notebook'"),
        (
            {"scheduler": "tcp://nowhere", "executor": ThreadPoolExecutor},
            "scheduler must be left out if an executor is given",
        ),
    ],
)
def test_bad_arguments_are_refused_before_anything_is_written(store, options, message):
    with pytest.raises(InvalidArgument) as caught:
        run_study(SMALL, store, **options)
    assert str(caught.value).startswith(message)
    assert not store.exists()


@pytest.mark.parametrize("study", [None, "study.toml", {"hidden": 3}])
def test_what_is_run_is_a_study(store, study):
    with pytest.raises(InvalidArgument, match="study must be a Study, got "):
        run_study(study, store)
    assert not store.exists()


def test_a_study_runs_in_any_thread(store):
    """Python sets signal handlers in the main thread only."""
    found = []
    thread = threading.Thread(target=lambda: found.append(run_study(SMALL, store, progress=False)))
    thread.start()
    thread.join()
    assert everything(found[0].trials) == everything(run_study(SMALL, progress=False).trials)


def test_a_listener_that_fails_ends_the_study_and_no_trial(tmp_path, monkeypatch):
    """In this process, the listener is called while a trial runs."""
    monkeypatch.setattr(executors, "SECONDS_BETWEEN_LOOKS", 0.0)

    def listen(event):
        if type(event).__name__ == "Advanced":
            raise BrokenPipeError("nobody reads")

    with pytest.raises(BrokenPipeError, match="nobody reads"):
        run_study(SMALL, tmp_path / "store.sqlite", progress=False, listen=listen)
    assert run_study(SMALL, tmp_path / "store.sqlite", progress=False).failures == []


@pytest.mark.slow
def test_an_executor_that_was_given_is_given_back(tmp_path):
    with ThreadPoolExecutor(1) as executor:
        for store in ("a.sqlite", "b.sqlite"):
            result = run_study(SMALL, tmp_path / store, executor=executor, workers=1, progress=False)
            assert result.complete
        assert executor.submit(pow, 2, 3).result() == 8


@pytest.mark.parametrize(
    ("argument", "value", "rule"),
    [
        ("listen", 3, "a callable that takes an event"),
        ("executor", 3, "an Executor, or a callable that makes one"),
        ("scheduler", 3, "the address of a Dask scheduler"),
        ("scheduler", "", "the address of a Dask scheduler"),
        ("progress", 3, "True, False or one of auto, bar, "),
        ("progress", "loud", "one of auto, bar, "),
        ("retry_failed", "no", "True or False"),
        ("workers", 10**6, "at most 10,000"),
        ("workers", True, "a whole number of at least 0"),
        ("store", 3, "a path, or the URL of a PostgreSQL database"),
        ("study", 3, "a Study"),
        ("study", Study, "a Study"),
    ],
)
def test_an_argument_of_the_wrong_kind_is_named_before_anything_is_made(tmp_path, argument, value, rule):
    arguments = {"study": SMALL, "store": tmp_path / "x.sqlite", argument: value}
    with pytest.raises(InvalidArgument) as caught:
        run_study(**arguments)
    assert str(caught.value).startswith(f"{argument} must be {rule}")
    assert "got " in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_scheduler_has_workers_of_its_own():
    with pytest.raises(InvalidArgument, match="workers must be left out with a scheduler, which"):
        run_study(Study(), scheduler="tcp://127.0.0.1:1", workers=2)


def test_a_store_that_is_deleted_while_it_is_in_use_is_reported_as_lost(store):
    """The message must not say that the finished trials are in the store."""

    def delete(event):
        if isinstance(event, Planned):
            store.unlink()

    with pytest.raises(StoreFailed, match=r"memspan.sqlite was deleted, moved or replaced while it was in use"):
        run_study(SMALL, store, progress=False, listen=delete)


def test_what_is_finished_is_resumed_without_a_write(store):
    """So the store may be on a read-only disk."""
    run_study(SMALL, store, progress=False)
    before = store.stat().st_mtime_ns, store.read_bytes()
    assert run_study(SMALL, store, progress=False).complete
    assert (store.stat().st_mtime_ns, store.read_bytes()) == before
