"""The coordinator with executors that fail on purpose. In tests/faults, real workers are killed."""

from collections import Counter
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future

import pytest

from memspan import Study
from memspan.execution import coordinator
from memspan.execution.coordinator import Coordinator
from memspan.execution.events import Elsewhere, Finished, Stopping, WorkerLost
from memspan.execution.jobs import Assignment, OtherVersion, groups_of
from memspan.execution.teams import ExecutorFailed, Team
from memspan.runtime.interrupts import Interrupts
from memspan.study import Key
from memspan.study.trial import Trial

STUDY = Study(cell=("rnn", "lstm"), lengths=(3, 5), repetitions=4, keep_weights=2, test_lengths=(7,))
ASSIGNMENT = Assignment.of_study(STUDY)


def solved(job):
    return [
        Trial(configuration=job.place, length=job.length, repetition=k, outcome="solved") for k in job.repetitions
    ]


class Script(Executor):
    """Runs `answer` on each job. If it raises BrokenExecutor, all pending futures break."""

    def __init__(self, answer, delay=0):
        self.answer, self.delay = answer, delay
        self.pending, self.broken, self.seen = [], False, []

    def submit(self, function, job):
        if self.broken:
            raise BrokenExecutor("it is broken")
        future = Future()
        self.seen.append(job)
        self.pending.append((future, job))
        if len(self.pending) > self.delay:
            self.work()
        return future

    def work(self):
        future, job = self.pending.pop(0)
        try:
            future.set_result(self.answer(job))
        except BrokenExecutor as error:
            self.broken = True
            for each in [future, *(pending for pending, _ in self.pending)]:
                each.set_exception(error)
            self.pending.clear()
        except BaseException as error:
            future.set_exception(error)

    def shutdown(self, wait=True, *, cancel_futures=False):
        pass


class Run:
    """A coordinator with a scripted team, and the trials and events of its run."""

    def __init__(self, answer, *, exact, slots=2, delay=0, renewable=True, done=()):
        self.kept, self.told, self.done, self.made = [], [], set(done), []
        self.interrupts = Interrupts()

        def make():
            self.made.append(Script(answer, delay))
            return self.made[-1]

        self.team = Team(make, slots, renewable=renewable)
        self.team.exact = exact
        self.coordinator = Coordinator(
            ASSIGNMENT, self.team, self.kept.extend, self.missing, self.told.append, self.interrupts
        )

    def missing(self, keys):
        return [key for key in keys if key not in self.done]

    def __call__(self, width=2):
        self.coordinator.run(groups_of(STUDY.keys, lambda key: width))
        return self

    @property
    def jobs(self):
        return [job for executor in self.made for job in executor.seen]


exactly = pytest.mark.parametrize("exact", [True, False])


@exactly
def test_everything_is_kept_once(exact):
    run = Run(solved, exact=exact)()
    assert sorted(trial.key for trial in run.kept) == sorted(STUDY.keys)
    assert sum(len(event.trials) for event in run.told if isinstance(event, Finished)) == 16
    assert [len(job.repetitions) for job in run.jobs] == [2] * 8
    assert all(job.configuration == STUDY.configurations[job.place] for job in run.jobs)
    assert {(job.keep_weights, job.test_lengths) for job in run.jobs} == {(2, (7,))}


def kills(poison, error=BrokenExecutor):
    def answer(job):
        if (job.place, job.length) == poison[:2] and poison.repetition in job.repetitions:
            raise error("it died")
        return solved(job)

    return answer


@exactly
def test_a_trial_that_kills_fails_alone_after_three_attempts(exact):
    poison = Key(1, 5, 2)
    run = Run(kills(poison), exact=exact, delay=0)(width=4)
    failed = [trial for trial in run.kept if trial.outcome == "failed"]
    assert [(trial.key, trial.attempts, trial.reason) for trial in failed] == [(poison, 3, "it killed 3 workers")]
    assert sorted(trial.key for trial in run.kept) == sorted(STUDY.keys)
    alone = [o for o in run.jobs if (o.place, o.length, o.repetitions) == (1, 5, (2,))]
    assert len(alone) == 3
    assert all(trial.attempts == 1 for trial in run.kept if trial.outcome == "solved")
    assert sum(isinstance(event, WorkerLost) for event in run.told) == 3


def test_where_a_death_breaks_all_futures_nobody_is_blamed_for_another(monkeypatch):
    """Of eight submitted jobs two kill their worker; each suspected trial is run alone."""
    poisons = {Key(1, 5, 2), Key(0, 3, 0)}
    sizes = []

    def answer(job):
        keys = {Key(job.place, job.length, k) for k in job.repetitions}
        sizes.append(len(job.repetitions))
        if keys & poisons:
            raise BrokenExecutor("it died")
        return solved(job)

    run = Run(answer, exact=False, slots=4, delay=5)
    monkeypatch.setattr(coordinator, "wait", patient(run))
    run(width=2)
    assert {trial.key for trial in run.kept if trial.outcome == "failed"} == poisons
    assert sorted(trial.key for trial in run.kept) == sorted(STUDY.keys)
    assert len(run.made) > 3


def patient(run):
    """Replace `wait` by one during which the executor works."""
    sound = coordinator.wait

    def wait(futures, **options):
        while run.made[-1].pending and not any(future.done() for future in futures):
            run.made[-1].work()
        return sound(futures, **options)

    return wait


def test_workers_that_die_whatever_they_are_given_blame_no_trial():
    def answer(job):
        raise BrokenExecutor("no such library")

    run = Run(answer, exact=False)
    with pytest.raises(ExecutorFailed, match=r"Every worker ended before it finished a trial \(no such library\)"):
        run(width=1)
    assert run.kept == []


def test_a_study_of_nothing_but_poison_is_told_at_its_end():
    run = Run(kills(Key(0, 3, 1)), exact=False)
    run.coordinator.run([[Key(0, 3, 1)]])
    assert [(trial.key, trial.outcome) for trial in run.kept] == [(Key(0, 3, 1), "failed")]


def test_dask_tells_how_often_it_tried(monkeypatch):
    class KilledWorker(Exception):
        allowed_failures = 3

    run = Run(kills(Key(0, 3, 1), KilledWorker), exact=False)(width=4)
    (failed,) = (trial for trial in run.kept if trial.outcome == "failed")
    assert (failed.key, failed.attempts) == (Key(0, 3, 1), 4)
    assert len(run.made) == 1  # nothing was broken


def test_a_trial_that_survives_in_the_end_counts_its_attempts():
    tries = Counter()

    def answer(job):
        tries[job.repetitions] += 1
        if job.repetitions == (1,) and tries[job.repetitions] < 3:
            raise BrokenExecutor("it died")
        return solved(job)

    run = Run(answer, exact=True)
    run.coordinator.run([[Key(0, 3, 1)], [Key(0, 3, 2)]])
    assert {trial.key: (trial.outcome, trial.attempts) for trial in run.kept} == {
        Key(0, 3, 1): ("solved", 3),
        Key(0, 3, 2): ("solved", 1),
    }


def test_an_executor_that_was_given_cannot_be_replaced():
    run = Run(kills(Key(0, 3, 1)), exact=False, renewable=False)
    with pytest.raises(ExecutorFailed, match="A worker was killed, which broke the executor"):
        run()


@pytest.mark.parametrize(
    ("error", "expected", "message"),
    [
        (OtherVersion("the worker x has memspan 0"), OtherVersion, "the worker x has memspan 0"),
        (ModuleNotFoundError("No module named 'memspan'"), ExecutorFailed, "ModuleNotFoundError: No module named"),
        (CancelledError(), ExecutorFailed, "it cancelled its futures"),
    ],
)
def test_what_no_other_worker_would_do_better_ends_the_study(error, expected, message):
    def answer(job):
        raise error

    with pytest.raises(expected, match=message):
        Run(answer, exact=True)()


def test_what_somebody_else_has_done_is_not_handed_out():
    done = {Key(0, 5, 0), Key(0, 5, 1), Key(1, 5, 0)}
    run = Run(solved, exact=True, done=done)()
    assert sorted(trial.key for trial in run.kept) == sorted(set(STUDY.keys) - done)
    assert {key for event in run.told if isinstance(event, Elsewhere) for key in event.keys} == done
    assert [job.repetitions for job in run.jobs].count((1,)) == 1


def test_no_more_is_handed_out_than_can_be_worked_on_soon(monkeypatch):
    most = []
    run = Run(solved, exact=False, slots=2, delay=100)

    def wait(futures, **options):
        most.append(len(futures))
        run.made[-1].work()
        return sound(futures, **options)

    sound = coordinator.wait
    monkeypatch.setattr(coordinator, "wait", wait)
    run(width=1)
    assert max(most) == 4
    assert len(run.kept) == 16


def test_an_interrupt_ends_it_and_what_ended_is_kept():
    def answer(job):
        if len(run.jobs) == 3:
            run.interrupts.count = 1
        return solved(job)

    run = Run(answer, exact=True)
    with pytest.raises(KeyboardInterrupt):
        run()
    assert len(run.kept) == 2 * len(run.jobs) < 16
    assert any(isinstance(event, Stopping) for event in run.told)


def test_groups_are_of_one_configuration_and_length():
    keys = [Key(0, 5, 0), Key(0, 5, 1), Key(0, 5, 2), Key(1, 5, 0), Key(1, 3, 0), Key(1, 3, 7)]
    assert [*groups_of(keys, lambda key: 2)] == [keys[:2], keys[2:3], keys[3:4], keys[4:]]
    assert [*groups_of([], lambda key: 2)] == []
