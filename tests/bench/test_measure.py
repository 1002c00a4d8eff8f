import numpy as np
import pytest

import memspan
from memspan import InvalidArgument
from memspan.bench import Case, core_numbers, measure, work
from memspan.bench.case import Pass, Result
from memspan.bench.measure import difference, hopeless, machine, spreads
from memspan.bench.peers import Peer, readable

CASE = Case("rnn", 3, 2, 4)


def wrong(case):
    """Its gradient of R is off by a thousandth."""
    loss, gradient = case.result()
    case.layout.by_name(gradient)["R"][:] *= 1.001
    return {"wrong": Pass(lambda: None, lambda: Result(loss, gradient))}


def missing(case):
    import no_such_package

    return no_such_package.passes(case)


def exhausted(case):
    """It is ready, and then it is not."""

    def run():
        raise MemoryError("no more")

    return {"it": Pass(run, lambda: Result(*case.result()))}


def result(loss=1.0, **scaled):
    """Ones, but for the weights that are named."""
    gradient = np.ones(CASE.layout.size)
    for name, factor in scaled.items():
        CASE.layout.by_name(gradient)[name][:] *= factor
    return Result(loss, gradient)


@pytest.mark.slow
def test_a_wrong_engine_is_refused_and_a_missing_one_skipped_by_name():
    engines = {"readable": Peer(readable), "bad": Peer(wrong), "absent": Peer(missing)}
    engines["tired"] = Peer(exhausted)
    told = []
    found = measure(
        [CASE], engines, cores=core_numbers(1), rounds=2, seconds=0, tell=lambda *report: told.append(report)
    )
    assert [(t.engine, t.way, len(t.seconds)) for t in found.timings] == [
        ("readable", "NumPy", 2),
        ("roofline", "tanh", 2),
        ("roofline", "products", 2),
    ]
    assert min(min(timing.seconds) for timing in found.timings) > 0
    assert found.wrong == ("bad (wrong) is not timed at rnn T=3 B=2 H=4: its gradient of R is off by 0.001",)
    assert found.remarks == (
        "absent is skipped: no_such_package is not installed",
        "tired (it) gave up at rnn T=3 B=2 H=4: MemoryError('no more')",
    )
    assert told[-1] == (work([CASE], core_numbers(1), 2), str(CASE))
    assert found.machine["numpy"] == np.__version__


@pytest.mark.parametrize(
    ("found", "error", "what"),
    [
        (result(), 0.0, "loss"),
        (result(loss=1.01), 0.01, "loss"),
        (result(V=0.5, R=1.2), 0.5, "gradient of V"),
        (result(loss=1.1, by=1.2), 0.2, "gradient of by"),
    ],
)
def test_the_largest_difference(found, error, what):
    share, where = difference(found, result(), CASE)
    assert share == pytest.approx(error)
    assert where == what


def test_a_gradient_that_is_not_a_number_is_the_largest_difference():
    share, where = difference(result(loss=3.0, W=np.nan), result(), CASE)
    assert not share <= 1e-4
    assert where == "gradient of W"


def test_engines_with_threads_are_spread_in_both_ways():
    assert spreads(Peer(readable), [3]) == spreads(Peer(readable, threaded=True), [3]) == {"": [{3}]}
    assert spreads(Peer(readable), [2, 5]) == {"2 processes": [{2}, {5}]}
    assert spreads(Peer(readable, threaded=True), [2, 5]) == {"2 processes": [{2}, {5}], "2 threads": [{2, 5}]}


def test_what_is_much_slower_than_another_way_of_the_same_engine_is_hopeless():
    found = {("a", "x"): [1.0], ("a", "y"): [3.9], ("a", "z"): [4.1], ("b", "x"): [9.0], ("roofline", "x"): [9.0]}
    found["roofline", "y"] = [1.0]
    assert [key for key in found if hopeless(found, *key)] == [("a", "z")]


def test_cores_and_work():
    everything = core_numbers()
    assert core_numbers(1) == everything[-1:]
    assert core_numbers(len(everything)) == everything
    for wrong_number in (0, len(everything) + 1):
        with pytest.raises(InvalidArgument, match=r"^cores must be"):
            core_numbers(wrong_number)
    assert work([CASE] * 3, [0], 5) == 15
    assert work([CASE] * 3, [0, 1, 2], 5) == 30
    with pytest.raises(InvalidArgument, match=r"^rounds must be"):
        work([CASE], [0], 0)


def test_the_version_is_that_of_the_code_that_runs(monkeypatch):
    """And not that of the package that is installed, which may be an older one."""
    monkeypatch.setitem(machine.__globals__, "version", lambda name: "0.0.1")
    assert machine([])["memspan"] == memspan.__version__
