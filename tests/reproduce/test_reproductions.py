import multiprocessing
import operator
import os
import signal
import time

import numpy as np
import pytest
from processes import wait_for

from memspan import InvalidArgument, MemspanError
from memspan.execution.teams import ExecutorFailed
from memspan.reproduce import REPRODUCTIONS, Finding, Options, Page, reproduce
from memspan.reproduce.base import mean_agrees, run_each

QUIET = Options(progress="none")


def test_every_reproduction_says_what_it_is():
    assert {"assignment", "adding-1997", "order-1997", "copying-baseline", "copying-by-length"} < set(
        REPRODUCTIONS
    )
    for name, reproduction in REPRODUCTIONS.items():
        assert reproduction.name == name
        assert reproduction.title
        assert any(character.isdigit() for character in reproduction.source)
        assert reproduction.setting.endswith(".")
        assert all(difference.endswith((".", ".)")) for difference in reproduction.differences)


def test_an_unknown_name_is_refused_with_those_that_exist():
    with pytest.raises(InvalidArgument, match=r"name must be one of assignment, adding-1997, .*, got 'mine'"):
        reproduce("mine")


@pytest.mark.parametrize(("n", "m"), [(10, 10), (5, 20), (20, 5)])
def test_a_mean_of_the_same_kind_agrees_in_95_of_100_cases(n, m):
    rng, agree = np.random.default_rng(0), 0
    for _ in range(4000):
        ours, theirs = rng.normal(9, 1, n), rng.normal(9, 1, m)
        agree += mean_agrees(theirs.mean(), m, ours)[2]
    assert agree / 4000 == pytest.approx(0.95, abs=4 * np.sqrt(0.95 * 0.05 / 4000))


def test_a_mean_of_another_kind_does_not_agree_and_the_rule_says_why():
    values = [98.0, 99.0, 100.0, 101.0, 102.0]
    ours, rule, agrees = mean_agrees(110, 5, values, ".1f")
    assert ours == "100.0, 0.91 of that (mean of 5, s = 1.6)"
    half = 2.776445 * np.std(values, ddof=1) * np.sqrt(2 / 5)
    assert rule.startswith(f"{100 - half:.1f} to {100 + half:.1f}: ")
    assert not agrees
    assert mean_agrees(100 + half - 0.01, 5, values)[2]
    assert not mean_agrees(100 + half + 0.01, 5, values)[2]


def test_twice_as_much_never_agrees_however_much_runs_differ():
    values = [1.0, 1000.0, 3000.0, 2.0]
    assert mean_agrees(1500, 4, values)[2]
    assert not mean_agrees(2100, 4, values)[2]
    assert not mean_agrees(480, 4, values)[2]
    assert mean_agrees(1500, 4, values)[1].endswith(", but never more than a factor of 2")


def page(*verdicts, full=False):
    reproduction = REPRODUCTIONS["copying-baseline"]
    findings = tuple(Finding(f"a|{k}", "1", "2", "like", agrees) for k, agrees in enumerate(verdicts))
    return Page(reproduction, Options(full=full), findings, 12.0)


def test_a_page_says_how_many_findings_agree():
    assert page(True, True).sentence == "Reproduced: all 2 findings agree."
    assert page(True, False).sentence == "Not reproduced in full: 1 of 2 findings agree."
    assert [row[-1] for row in page(True, False, None).rows()] == ["agrees", "differs", "–"]
    assert page(True, None).sentence == "Reproduced: the one finding agrees."


def test_a_page_says_when_it_is_short_and_where_it_is_not_the_paper():
    short, whole = page(True), page(True, full=True)
    assert any(line.startswith("Shortened: 1500 updates") and "--full" in line for line in short.how)
    assert not any(line.startswith("Shortened") for line in whole.how)
    assert sum(line.startswith("Not as in the paper") for line in whole.how) == len(whole.of.differences)
    text = short.markdown()
    assert text.startswith(f"# {short.of.title}\n")
    assert "| a\\|0 | 1 | 2 | like | agrees |" in text
    assert short.sentence in text
    assert "seed 0" in text


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_the_order_of_the_arguments(workers):
    options = Options(workers=workers, progress="none")
    assert run_each(operator.neg, [3, 1, 2], options, "negating") == [-3, -1, -2]


def test_an_error_in_a_process_is_not_lost():
    with pytest.raises(TypeError):
        run_each(operator.neg, [1, "two", 3], Options(workers=2, progress="none"), "negating")
    wait_for(lambda: not multiprocessing.active_children(), 10)


def kill_yourself(number):
    if number == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.01)
    return number


def test_a_killed_process_ends_it_and_is_named():
    with pytest.raises(ExecutorFailed, match=r"a worker process was killed \(out of memory\?\); nothing is kept"):
        run_each(kill_yourself, [1, 2, 3, 4], Options(workers=2, progress="none"), "dying")
    assert issubclass(ExecutorFailed, MemspanError)
    wait_for(lambda: not multiprocessing.active_children(), 10)


def press_ctrl_c(number):
    os.kill(os.getpid(), signal.SIGINT)
    return number


def test_ctrl_c_ends_it():
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        run_each(press_ctrl_c, [1, 2], QUIET, "interrupting")
    assert signal.getsignal(signal.SIGINT) is handler
