import os

import pytest

from memspan.bench import Case
from memspan.bench.case import Pass
from memspan.bench.measure import core_numbers
from memspan.bench.worker import EngineFailed, EngineProcesses, Way, environment, median_seconds

CASE = Case("rnn", 2, 2, 2)


def missing(case):
    import no_such_package

    return no_such_package.passes(case)


def broken(case):
    raise ValueError(f"no luck with {case}")


def doomed(case):
    os._exit(1)


def telling(case):
    """Finds the environment that it runs in."""
    names = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "XLA_FLAGS")
    cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else {0}
    return {"only": Pass(lambda: None, lambda: ([os.environ.get(name) for name in names], cores), models=3)}


class Clock:
    """Stands still unless it is moved on."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now

    def pass_of(self, *seconds):
        """A pass that takes so long, call by call, and the last time for ever after."""
        left = list(seconds)

        def run():
            self.now += left.pop(0) if len(left) > 1 else left[0]

        return run


@pytest.mark.parametrize(
    ("seconds", "duration", "median", "spent"),
    [
        ((1.0, 9.0, 2.0, 3.0, 4.0), 18.5, 3.0, 19.0),
        ((4.0, 2.0, 3.0), 1.0, 3.0, 9.0),  # three calls at least,
        ((50.0,), 1.0, 50.0, 50.0),  # unless they are very slow,
        ((5.0,), 0.0, 5.0, 5.0),  # and one at any rate
    ],
)
def test_the_median_of_the_calls_that_fit_in(seconds, duration, median, spent):
    clock = Clock()
    assert median_seconds(clock.pass_of(*seconds), duration, clock) == median
    assert clock.now == 100 + spent


def test_the_rates_of_processes_add_up(monkeypatch):
    processes = EngineProcesses(telling, [])
    processes.ways = {"way": Way(2, None)}
    monkeypatch.setattr(processes, "_ask", lambda request: [0.5, 0.25])
    assert processes.seconds("way", 0.1) == pytest.approx(1 / (2 / 0.5 + 2 / 0.25))


def test_the_environment_is_as_before_afterwards(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("XLA_FLAGS", raising=False)
    before = dict(os.environ)
    with environment(2):
        assert os.environ["OMP_NUM_THREADS"] == "2"
        assert "XLA_FLAGS" not in os.environ
    with environment(1):
        assert "intra_op_parallelism_threads=1" in os.environ["XLA_FLAGS"]
    assert dict(os.environ) == before


def test_a_process_has_its_threads_and_its_core():
    core = core_numbers(1)[0]
    with EngineProcesses(telling, [{core}]) as processes:
        ((models, ((blas, openmp, xla), cores)),) = processes.prepare(CASE).values()
    assert (models, blas, openmp) == (3, "1", "1")
    assert "intra_op_parallelism_threads=1" in xla
    if hasattr(os, "sched_setaffinity"):
        assert cores == {core}


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (missing, "no_such_package is not installed"),
        (broken, "no luck with rnn T=2 B=2 H=2"),
        (doomed, "a worker process was killed"),
    ],
)
def test_what_goes_wrong_in_a_process_is_told(make, reason):
    with EngineProcesses(make, [set(core_numbers(1))]) as processes, pytest.raises(EngineFailed, match=reason):
        processes.prepare(CASE)
