"""The fault scripts with fewer trials.

`make test` runs three of them, `make faults` all. Run a script itself for its full size.
"""

import signal

import pytest

pytest.importorskip("resource", reason="the faults are those of POSIX systems")

from disk_full import file_size_limit, small_file_system
from interrupts import interrupt
from kill_coordinator import kill_coordinator
from kill_workers import kill_workers
from poison import poison
from postgres_restarted import postgres_restarted
from same_bits import everywhere
from scheduler_fails import hung, killed, scheduler_fails
from servers import demand
from two_coordinators import two_coordinators

from memspan import Study

pytestmark = pytest.mark.slow
by_hand = pytest.mark.faults
"""Marks the tests that only `make faults` runs."""


def test_killed_workers_lose_nothing(tmp_path):
    killed, found, right = kill_workers(tmp_path, kills=2, trials=32, updates=1500)
    assert right, found
    assert killed == 2


@by_hand
def test_a_killed_coordinator_loses_nothing_and_leaves_no_orphans(tmp_path):
    _, found, right = kill_coordinator(tmp_path, kills=2, trials=40)
    assert right, found


@by_hand
def test_a_trial_that_kills_its_worker_fails_alone(tmp_path):
    found, right = poison(tmp_path, trials=24, dask=False)
    assert right, found


@by_hand
def test_a_trial_that_kills_its_worker_fails_alone_on_dask(tmp_path):
    demand("dask")
    found, right = poison(tmp_path, trials=24, dask=True)
    assert right, found


@by_hand
@pytest.mark.parametrize("fault", [killed, hung], ids=lambda fault: fault.__name__)
def test_without_its_scheduler_a_study_ends_with_a_message_and_is_resumed(tmp_path, fault):
    demand("dask")
    found, right = scheduler_fails(tmp_path, fault, trials=40)
    assert right, found


@by_hand
def test_postgres_may_crash_and_come_back(tmp_path):
    demand("postgres")
    found, right = postgres_restarted(tmp_path)
    assert right, found


@by_hand
@pytest.mark.parametrize("fault", [file_size_limit, small_file_system], ids=lambda fault: fault.__name__)
def test_a_full_disk_is_named_and_spoils_nothing(tmp_path, fault):
    (tmp_path / "disk").mkdir()
    outcome = fault(tmp_path / "disk")
    if outcome is None:
        pytest.skip("needs root and the right to mount")
    found, right = outcome
    assert right, found


@by_hand
def test_two_coordinators_do_not_disturb_each_other(tmp_path):
    found, right = two_coordinators(tmp_path, trials=24)
    assert right, found


ENDS = [
    (number, times, workers)
    for number in (signal.SIGINT, signal.SIGTERM)
    for times in (1, 3)
    for workers in (0, 2)
]
ALWAYS = (signal.SIGINT, 1, 2)


@pytest.mark.parametrize(
    ("number", "times", "workers"),
    [
        pytest.param(*end, marks=[] if end == ALWAYS else by_hand, id=f"{end[0].name}-{end[1]}-{end[2]}")
        for end in ENDS
    ],
)
def test_an_interrupt_ends_a_study_and_tells_how_to_go_on(tmp_path, number, times, workers):
    found, right = interrupt(tmp_path, number, times, workers)
    assert right, found


def test_the_bits_are_the_same_everywhere(tmp_path):
    demand("dask")
    demand("postgres")
    study = Study(cell=("rnn", "gru"), lengths=(4, 7), hidden=9, batch=16, updates=40, repetitions=3, name="bits")
    found = dict(
        everywhere(study, tmp_path, processes=())
    )  # tests/execution/test_run.py compares 1 and 2 processes
    assert len(found) == 6
    assert len(set(found.values())) == 1, found
