import os
from concurrent.futures import BrokenExecutor, ThreadPoolExecutor

import pytest

from memspan.execution.jobs import HERE
from memspan.execution.teams import Alone, ExecutorFailed, Serial, Team, available_cores, deaths


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
    with pytest.raises(ExecutorFailed, match="pass what makes an executor"):
        team.renew()
    team.close()


def test_alone_leaves_nothing_behind():
    before = HERE.watch
    team = Alone()
    assert HERE.watch is not before
    team.close()
    HERE.watch(1, 2, 3)
