import operator
import os
import threading
import time
from concurrent.futures import BrokenExecutor, Executor, ThreadPoolExecutor

import pytest
from threadpoolctl import threadpool_info

from memspan.execution.jobs import HERE
from memspan.execution.teams import Alone, ExecutorFailed, Serial, Team, available_cores, deaths
from memspan.runtime.interrupts import Interrupts


def test_a_machine_has_cores():
    assert 1 <= available_cores() <= os.cpu_count()


def test_serial_works_while_it_is_asked():
    executor = Serial()
    assert executor.submit(divmod, 7, 2).result(timeout=0) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        executor.submit(divmod, 7, 0).result(timeout=0)


def test_deaths_are_told_from_other_errors():
    killed = type("KilledWorker", (Exception,), {})()
    killed.allowed_failures = 2
    assert deaths(killed) == 3
    assert deaths(BrokenExecutor()) == 1
    assert deaths(ValueError()) == 0


def test_a_team_that_cannot_be_renewed_says_so():
    team = Team(lambda: ThreadPoolExecutor(1), 1, renewable=False)
    with pytest.raises(ExecutorFailed, match="Pass a function that makes an executor"):
        team.renew()
    team.close()


def test_alone_leaves_nothing_behind():
    before = HERE.watch
    team = Alone()
    assert HERE.watch is not before
    team.close()
    HERE.watch(1, 2, 3)


def test_each_call_is_handed_out_with_its_arguments_and_found_by_its_number():
    with Team(lambda: ThreadPoolExecutor(2), 2) as team:
        found = dict(team.call_each(operator.sub, [(9, 1), (7, 2), (5, 5)], Interrupts()))
    assert {number: future.result() for number, future in found.items()} == {0: 8, 1: 5, 2: 0}


def test_no_more_calls_run_at_once_than_there_are_slots():
    running, most, lock = 0, 0, threading.Lock()

    def count(number):
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.01)
        with lock:
            running -= 1

    with Team(lambda: ThreadPoolExecutor(8), 3) as team:
        assert len(list(team.call_each(count, [(k,) for k in range(12)], Interrupts()))) == 12
    assert 1 < most <= 3


def test_an_error_ends_its_own_call_only():
    with Alone() as team:
        found = dict(team.call_each(divmod, [(7, 2), (7, 0), (9, 2)], Interrupts()))
    assert isinstance(found[1].exception(), ZeroDivisionError)
    assert (found[0].result(), found[2].result()) == ((3, 1), (4, 1))


def test_calls_have_one_blas_thread():
    def threads():
        return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}

    with Alone() as team:
        ((_, future),) = team.call_each(threads, [()], Interrupts())
    assert future.result() == {1}


def test_an_interrupt_stops_the_team_and_hands_out_nothing_more():
    interrupts, stopped, called = Interrupts(), [], []
    team = Team(Serial, 1)
    team.stop = lambda: stopped.append(True)
    calls = team.call_each(called.append, [(1,), (2,), (3,)], interrupts)
    next(calls)
    interrupts.count = 1
    with pytest.raises(KeyboardInterrupt):
        next(calls)
    assert (called, stopped) == ([1], [True])


def test_an_executor_that_breaks_fails_its_calls():
    class Broken(Executor):
        def submit(self, function, /, *arguments):
            raise BrokenExecutor("gone")

    found = list(Team(Broken, 2).call_each(divmod, [(1, 2), (3, 4)], Interrupts()))
    assert sorted(number for number, _ in found) == [0, 1]
    assert all(isinstance(future.exception(), BrokenExecutor) for _, future in found)


def test_nobody_left_to_work_ends_it():
    class Deserted(Team):
        def check(self):
            raise ExecutorFailed("nobody is left")

    with pytest.raises(ExecutorFailed, match="nobody is left"):
        list(Deserted(Serial, 1).call_each(divmod, [(1, 2)], Interrupts()))


def test_whoever_waits_for_a_team_looks_now_and_then():
    looks = []
    with Alone() as team:
        team.look = lambda: looks.append(True)
        list(team.call_each(divmod, [(1, 2), (3, 4)], Interrupts()))
    assert len(looks) == 2


@pytest.mark.parametrize("fails", [False, True])
def test_a_team_is_closed_at_once_after_an_error(fails):
    team, closed = Team(Serial, 1), []
    team.close = lambda *, at_once: closed.append(at_once)
    try:
        with team:
            if fails:
                raise ValueError
    except ValueError:
        pass
    assert closed == [fails]
