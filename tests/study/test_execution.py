import multiprocessing
import os
import signal
import threading
import time

import pytest

from memspan import Batches, MemspanError, Study, StudyResult, run_study
from memspan.study import execution
from memspan.study import trial as trial_module
from memspan.study.execution import WorkerDied, available_cores, run_trials

SMALL = Study(lengths=(2, 3), repetitions=2, hidden=32, batch=64, updates=30)


def everything(trials):
    """All that a trial says but how long it took, by key."""
    return {(trial.length, trial.repetition): trial.model_dump_json(exclude={"seconds"}) for trial in trials}


def test_the_same_study_twice_is_the_same():
    first, second = (run_study(SMALL, progress=False).trials for _ in range(2))
    assert everything(first) == everything(second)
    other = run_study(SMALL.with_(seed=1), progress=False).trials
    for key, text in everything(other).items():
        assert text != everything(first)[key]
    assert not {trial.loss for trial in first} & {trial.loss for trial in other}


@pytest.mark.slow
@pytest.mark.parametrize("task", [{}, {"task": "copying/urnn", "parameters": {"items": 2}}], ids=str)
def test_the_number_of_workers_changes_nothing(task):
    study = SMALL.with_(lengths=(2, 3, 20), **task)
    alone, together = (run_study(study, workers=workers, progress=False).trials for workers in (1, 2))
    assert len(alone) == 6
    assert everything(alone) == everything(together)
    assert multiprocessing.active_children() == []


def test_more_lengths_and_repetitions_leave_the_old_trials_as_they_were():
    few, many = (
        everything(run_study(study, progress=False).trials)
        for study in (SMALL, SMALL.with_(lengths=(1, 2, 3, 4), repetitions=3))
    )
    assert (len(few), len(many)) == (4, 12)
    assert few == {key: many[key] for key in few}


def test_a_failed_trial_is_recorded_and_the_others_go_on(monkeypatch, tmp_path):
    whole = everything(run_study(SMALL, progress=False).trials)

    def batches(task, length, batch, rng, dtype):
        if rng.spawn_key[:2] == (3, 1):
            raise MemoryError("no room")
        return Batches(task, length, batch, rng, dtype)

    monkeypatch.setattr(trial_module, "Batches", batches)
    result = run_study(SMALL, tmp_path / "study", progress=False)
    failed = [trial for trial in result.trials if trial.status == "failed"]
    assert [(trial.length, trial.repetition, trial.reason) for trial in failed] == [(3, 1, "MemoryError: no room")]
    kept = everything(trial for trial in result.trials if trial.status != "failed")
    assert kept == {key: whole[key] for key in ((2, 0), (2, 1), (3, 0))}
    short, long = result.summaries()
    assert (short.share.trials, short.failed) == (2, 0)
    assert (long.share.trials, long.failed, len(long.accuracies)) == (1, 1, 1)
    assert everything(StudyResult.load(tmp_path / "study").trials) == everything(result.trials)


def test_a_diverging_study_solves_nothing_and_is_counted_apart():
    study = SMALL.with_(optimizer="sgd", learning_rate=1e9, clip=0)
    result = run_study(study, progress=False)
    assert [trial.status for trial in result.trials] == ["diverged"] * 4
    for row in result.summaries():
        assert (row.share.solved, row.share.trials, row.diverged, row.failed) == (0, 2, 2, 0)
    assert result.longest is None


def test_progress_is_told_from_the_trials_that_are_running(monkeypatch, provenance):
    monkeypatch.setattr(execution, "SECONDS_BETWEEN_MESSAGES", 0)
    told = []
    study = SMALL.with_(updates=4)
    list(run_trials(study, study.keys, provenance, 1, lambda key, updates: told.append((key, updates))))
    assert told == [((length, k), updates) for length in (3, 2) for updates in (1, 2, 3, 4) for k in (0, 1)]


def test_repetitions_are_trained_a_few_together(monkeypatch, provenance):
    groups = []

    def run_group(study, length, repetitions, provenance, observe):
        groups.append((length, repetitions))
        return []

    monkeypatch.setattr(execution, "run_group", run_group)
    keys = [(9, 0), *((7, k) for k in range(12)), (5, 3), (5, 8)]
    assert list(run_trials(SMALL, keys, provenance, 1, lambda key, updates: None)) == []
    assert groups == [(9, [0]), (7, [0, 1, 2, 3, 4]), (7, [5, 6, 7, 8, 9]), (7, [10, 11]), (5, [3, 8])]


@pytest.mark.slow
def test_a_killed_worker_ends_the_study_and_what_was_finished_is_kept(tmp_path):
    study = SMALL.with_(lengths=(3,), repetitions=1000, hidden=8)

    def kill():
        path = tmp_path / "trials.jsonl"
        while not (path.exists() and path.stat().st_size):
            time.sleep(0.02)
        os.kill(multiprocessing.active_children()[0].pid, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    with pytest.raises(WorkerDied, match=r"a worker process was killed .*; what was finished is kept"):
        run_study(study, tmp_path, workers=2, progress=False)
    killer.join()
    result = StudyResult.load(tmp_path)
    assert 0 < len(result.trials) < 1000
    assert not result.complete
    assert not [trial for trial in result.trials if trial.status == "failed"]
    assert multiprocessing.active_children() == []
    assert issubclass(WorkerDied, MemspanError)


def test_a_machine_has_cores():
    assert 1 <= available_cores() <= os.cpu_count()
