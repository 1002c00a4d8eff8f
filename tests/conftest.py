"""Hypothesis draws the same examples on every run, and watches no clock. Servers are real, and started here."""

import sys

import pytest
import servers
from hypothesis import settings

from memspan.cli import main

settings.register_profile("memspan", derandomize=True, deadline=None)
settings.load_profile("memspan")


@pytest.fixture
def memspan_(monkeypatch, capsys, tmp_path):
    """Run a command line in an empty folder; give exit code, standard output and standard error."""
    monkeypatch.chdir(tmp_path)

    def run(line):
        monkeypatch.setattr(sys, "argv", ["memspan", *(line.split() if isinstance(line, str) else line)])
        code = 0
        try:
            main()
        except SystemExit as end:
            code = end.code
        return code, *capsys.readouterr()

    return run


@pytest.fixture(scope="session")
def postgres(tmp_path_factory):
    """A PostgreSQL server, for all tests of a process."""
    servers.demand("postgres")
    with servers.postgres_server(tmp_path_factory.mktemp("postgres")) as server:
        yield server


@pytest.fixture(scope="session")
def dask(tmp_path_factory):
    """A Dask scheduler with two workers."""
    servers.demand("dask")
    with servers.dask_cluster(tmp_path_factory.mktemp("dask")) as cluster:
        yield cluster
