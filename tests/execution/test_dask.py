import psutil
import pytest

from memspan import InvalidArgument
from memspan.execution import dask as module
from memspan.execution.dask import Dask
from memspan.execution.jobs import OtherVersion
from memspan.execution.teams import ExecutorFailed


def test_no_scheduler_is_named(monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr(module, "SECONDS_TO_CONNECT", 1)
    with pytest.raises(
        InvalidArgument,
        match=r"scheduler must be the address of a running Dask scheduler, got tcp://127.0.0.1:1",
    ):
        Dask("tcp://127.0.0.1:1")
    with pytest.raises(InvalidArgument, match=r"scheduler must be an address such as tcp://host:8786, or a .json"):
        Dask("nowhere")
    with pytest.raises(
        InvalidArgument, match=r"scheduler must be an existing file, written by a Dask scheduler, got x.json"
    ):
        Dask("x.json")


@pytest.mark.slow
def test_dask_workers_of_another_version_are_refused_by_name(dask, monkeypatch):
    monkeypatch.setattr(module, "__version__", "0.0.0")
    with pytest.raises(
        OtherVersion, match=r"The worker tcp://127.0.0.1:\d+ has memspan .*, the coordinator 0\.0\.0"
    ):
        Dask(dask.address)


@pytest.mark.slow
def test_a_dask_team_knows_its_threads_and_memory(dask):
    team = Dask(dask.address)
    assert team.slots == 2
    assert 2**20 < team.memory() <= psutil.virtual_memory().total
    assert team.submit(pow, 2, 5).result(timeout=60) == 32
    team.check()
    team.close()
    with pytest.raises(ExecutorFailed, match="no longer answers"):
        team.check()
