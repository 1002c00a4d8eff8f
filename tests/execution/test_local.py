import os
import re
import signal
import time
from concurrent.futures import BrokenExecutor, CancelledError, wait

import psutil
import pytest
from processes import wait_for

from memspan import Configuration, InvalidArgument
from memspan.execution import local as module
from memspan.execution.jobs import Job, work
from memspan.execution.local import Local, Processes
from memspan.execution.teams import ExecutorFailed


@pytest.fixture
def processes():
    executor = Processes(2)
    yield executor
    executor.kill()
    executor.shutdown()


@pytest.mark.slow
def test_processes_give_results_in_whatever_number(processes):
    futures = [processes.submit(pow, 2, k) for k in range(20)]
    assert [future.result(timeout=60) for future in futures] == [2**k for k in range(20)]
    with pytest.raises(ZeroDivisionError):
        processes.submit(divmod, 1, 0).result(timeout=60)


@pytest.mark.slow
def test_a_process_that_dies_takes_only_its_own_work_with_it(processes):
    slow = processes.submit(time.sleep, 1.5)
    died = processes.submit(os._exit, 1)
    after = [processes.submit(pow, 2, k) for k in range(4)]
    with pytest.raises(BrokenExecutor):
        died.result(timeout=60)
    assert [future.result(timeout=60) for future in after] == [1, 2, 4, 8]
    assert slow.result(timeout=60) is None
    assert processes.submit(pow, 3, 2).result(timeout=60) == 9


@pytest.mark.slow
def test_a_process_that_is_killed_while_it_has_nothing_to_do_is_replaced(processes):
    assert processes.submit(pow, 2, 2).result(timeout=60) == 4
    for worker in range(2):
        if process := processes.board.process(worker):
            os.kill(process, signal.SIGKILL)
    time.sleep(0.3)
    assert [processes.submit(pow, 2, k).result(timeout=60) for k in range(3)] == [1, 2, 4]


def die_at_the_start(*arguments):
    os._exit(1)


@pytest.mark.slow
def test_processes_that_cannot_begin_are_not_the_fault_of_the_work(monkeypatch):
    monkeypatch.setattr(module, "_begin_worker", die_at_the_start)
    executor = Processes(1)
    guard = (
        "6 worker processes ended before they began a job. "
        "A script must start a study under `if __name__ == '__main__':`"
    )
    with pytest.raises(ExecutorFailed, match=re.escape(guard)):
        executor.submit(pow, 2, 2).result(timeout=60)
    executor.shutdown()


@pytest.mark.slow
def test_a_process_that_cannot_be_replaced_ends_its_work_and_nobody_waits_for_ever(processes, monkeypatch):
    def no_pool(worker):
        raise OSError(24, "Too many open files")

    assert processes.submit(pow, 2, 2).result(timeout=60) == 4
    monkeypatch.setattr(processes, "_new_pool", no_pool)
    future = processes.submit(os._exit, 1)
    with pytest.raises(ExecutorFailed, match=r"A worker process ended and could not be replaced: .*Too many open"):
        future.result(timeout=60)


def test_room_is_made_for_the_files_of_many_pools(monkeypatch):
    resource = pytest.importorskip("resource", reason="Windows has no such limit")
    limits = [100, 5000]
    monkeypatch.setattr(resource, "getrlimit", lambda kind: tuple(limits))
    monkeypatch.setattr(resource, "setrlimit", lambda kind, new: limits.__setitem__(slice(None), new))
    module._make_room_for_files(2)
    assert 100 < limits[0] < 300
    module._make_room_for_files(300)
    assert 300 * 9 < limits[0] < limits[1] == 5000
    with pytest.raises(
        InvalidArgument, match=r"workers must be at most 400, because the system allows 5000 open .*got 1000"
    ):
        module._make_room_for_files(1000)


@pytest.mark.slow
def test_workers_ignore_what_the_coordinator_decides(processes):
    assert processes.submit(signal.getsignal, signal.SIGINT).result(timeout=60) == signal.SIG_IGN
    assert processes.submit(signal.getsignal, signal.SIGTERM).result(timeout=60) == signal.SIG_IGN


@pytest.mark.slow
def test_killed_processes_are_gone(processes):
    waiting = [processes.submit(time.sleep, 60) for _ in range(4)]
    until = time.monotonic() + 30
    while not all(map(processes.board.process, range(2))) and time.monotonic() < until:
        time.sleep(0.05)
    workers = [processes.board.process(k) for k in range(2)]
    processes.kill()
    wait_for(
        lambda: not any(map(psutil.pid_exists, workers)), 10
    )  # the pools join their processes; the test must not
    wait(waiting[:2], timeout=10)
    assert all(isinstance(future.exception(), BrokenExecutor) for future in waiting[:2])
    with pytest.raises(RuntimeError, match="after shutdown"):
        processes.submit(pow, 2, 2)


@pytest.mark.slow
def test_what_waits_can_be_cancelled(processes):
    running = [processes.submit(time.sleep, 1) for _ in range(2)]
    waiting = processes.submit(pow, 2, 2)
    assert waiting.cancel()
    with pytest.raises(CancelledError):
        waiting.result()
    assert [future.result(timeout=60) for future in running] == [None, None]
    assert processes.submit(pow, 2, 3).result(timeout=60) == 8


@pytest.mark.slow
def test_a_local_team_tells_how_far_its_jobs_are():
    team = Local(1)
    job = Job(5, 2, Configuration(updates=100_000, threshold=1.0, hidden=2, batch=2), 3, (0, 4))
    future = team.submit(work, job)
    seen = []
    until = time.monotonic() + 60
    while len(seen) < 3 and time.monotonic() < until:
        ((ticket, updates),) = team.progress()
        if ticket == 5 and updates[1] > (seen[-1] if seen else 0):
            seen.append(updates[1])
        time.sleep(0.01)
    team.stop()
    assert future.result(timeout=30) == []
    team.close()
    assert len(seen) == 3
    assert seen == sorted(seen)
