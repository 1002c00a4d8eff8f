"""Hypothesis draws the same examples on every run, and watches no clock. Servers are real, and started here."""

import math
import signal
import sys

import array_checker
import numpy as np
import pytest
import servers
from hypothesis import settings
from processes import without_compiling

from memspan import Store
from memspan.cli import main
from memspan.diagnostics import FlowSpread
from memspan.study.trial import Flow, FlowSpreads, Trial

settings.register_profile("memspan", derandomize=True, deadline=None)
settings.load_profile("memspan")

# A shell starts work in the background with some signals ignored, and processes inherit that. The tests send them.
signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP"):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(autouse=True)
def axes_checked():
    """Arrays must have the axes that the annotations say, in every test anew."""
    array_checker.begin()


@pytest.fixture(autouse=True)
def measured_briefly(monkeypatch):
    """One update is enough to measure a workload: a study of a test is too small for its plan to matter."""
    monkeypatch.setattr("memspan.execution.plan.SECONDS_TO_MEASURE", 0)


@pytest.fixture
def memspan_(monkeypatch, capsys, tmp_path):
    """Run a command line in an empty folder; give exit code, standard output and standard error.

    That a kernel is compiled is said when it takes a second, and so depends on the machine: it is left out.
    """
    monkeypatch.chdir(tmp_path)

    monkeypatch.delenv("COLUMNS", raising=False)  # pytest-xdist sets it, and tables have this width
    monkeypatch.setattr("memspan.cli.app.ignore_interrupts", lambda: None)  # this process does not end with it

    def run(line):
        monkeypatch.setattr(sys, "argv", ["memspan", *(line.split() if isinstance(line, str) else line)])
        code = 0
        try:
            main()
        except SystemExit as end:
            code = end.code
        out, err = capsys.readouterr()
        return code, out, without_compiling(err)

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


@pytest.fixture(scope="session")
def make_trial():
    """A trial made by hand; its gradient grows by ten from each time step to the next."""

    def make(length, repetition=0, outcome="solved", scale=1.0, **fields):
        identity = {"length": length, "repetition": repetition}
        if outcome == "failed":
            return Trial(**identity, outcome=outcome, **({"reason": "MemoryError: no room"} | fields))
        norms = scale * 10.0 ** np.arange(1 - length, 1)
        flow = Flow(d_a=list(norms), d_R=[0.0, *(2 * norms[1:])], d_W=list(3 * norms))
        samples = norms[:, np.newaxis] * [0.0, 0.25, 0.5, 1.0]
        spread = FlowSpread.of(samples, np.float32)
        ran = {
            "updates": 4,
            "accuracy": 0.95 if outcome == "solved" else 0.1,
            "loss": 0.01 if outcome == "solved" else 0.33,
            "accuracies": [0.9, 1.0] if outcome == "solved" else [0.0, 0.2],
            "losses": [0.005, 0.015] if outcome == "solved" else [0.3, 0.36],
            "curve": [0.3, 0.2, 0.1, 0.05],
            "start": flow,
            "end": flow,
            "flow_map": [list(norms)] * 4 if repetition == 0 else [],
            "flow_spread": FlowSpreads.of([spread] * 4) if repetition == 0 and "flow_map" not in fields else None,
        }
        return Trial(**identity, outcome=outcome, **(ran | fields))

    return make


@pytest.fixture(scope="session")
def diverged_at_once(make_trial):
    """A trial whose first gradient was not finite: nothing was updated, and there is no first flow."""

    def make(length, repetition=0):
        flow = Flow(d_a=[math.nan] * length, d_R=[math.inf] * length, d_W=[math.nan] * length)
        nothing = {"updates": 0, "accuracy": 0.0, "loss": math.nan, "curve": [], "start": None, "flow_map": []}
        return make_trial(length, repetition, "diverged", reason="loss", end=flow, **nothing)

    return make


@pytest.fixture(params=["sqlite", "postgres"])
def place(request, tmp_path):
    """An empty store, of each kind."""
    if request.param == "sqlite":
        return tmp_path / "store.sqlite"
    server = request.getfixturevalue("postgres")
    server.clear()
    return server.url


@pytest.fixture
def opened(place):
    """That store."""
    with Store(place, create=True) as found:
        yield found
