import numpy as np
import pytest

from memspan.reproduce import Verdict
from memspan.reproduce.hs97 import SPREAD
from memspan.reproduce.means import compare_means


def verdicts(n, m, theirs, spread=0.9, repeats=2000):
    rng = np.random.default_rng(0)
    values = [
        compare_means(rng.normal(9, theirs, m).mean(), m, rng.normal(9, 1, n), spread)[2] for _ in range(repeats)
    ]
    return {verdict: values.count(verdict) / repeats for verdict in Verdict}


@pytest.mark.parametrize(("n", "m"), [(10, 10), (5, 20), (20, 5)])
def test_a_paper_whose_runs_are_all_alike_agrees_in_95_of_100_cases(n, m):
    found = verdicts(n, m, 0)
    assert found[Verdict.AGREES] == pytest.approx(0.95, abs=4 * np.sqrt(0.95 * 0.05 / 2000))
    assert found[Verdict.DIFFERS] == 0


@pytest.mark.parametrize("theirs", [1, 4, 8.1])
def test_runs_of_the_same_mean_are_hardly_ever_said_to_differ_whatever_the_papers_spread(theirs):
    found = verdicts(10, 10, theirs)
    assert found[Verdict.DIFFERS] <= 0.05 + 4 * np.sqrt(0.95 * 0.05 / 2000)
    if theirs > 1:  # a rule that assumed our spread for the paper's runs would call these different
        assert found[Verdict.UNDECIDED] > 0.5


def test_the_bounds_are_those_of_both_ends_of_the_papers_spread():
    values = [98.0, 99.0, 100.0, 101.0, 102.0]
    s = np.std(values, ddof=1)
    narrow = 2.776445 * s / 5**0.5
    wide = 2.776445 * np.sqrt(s**2 / 5 + (0.1 * 110) ** 2 / 5)
    ours, rule, verdict = compare_means(110, 5, values, 0.1, ".1f")
    assert ours == "100.0 ± 1.6 (mean ± standard deviation of 5), 0.91 times the paper's"
    assert rule.startswith(f"the paper's mean lies in {100 - narrow:.1f} to {100 + narrow:.1f}; ")
    assert f"more than {wide:.1f} apart" in rule
    assert verdict is Verdict.UNDECIDED
    assert compare_means(100 + narrow - 0.01, 5, values, 0.1)[2] is Verdict.AGREES
    assert compare_means(100 + narrow + 0.01, 5, values, 0.1)[2] is Verdict.UNDECIDED
    assert compare_means(130, 5, values, 0.1)[2] is Verdict.DIFFERS


def test_twice_as_much_never_agrees_however_much_runs_differ():
    values = [1.0, 1000.0, 3000.0, 2.0]
    assert compare_means(1500, 4, values, 0.9)[2] is Verdict.AGREES
    assert compare_means(2100, 4, values, 0.9)[2] is Verdict.UNDECIDED
    assert compare_means(480, 4, values, 0.9)[2] is Verdict.UNDECIDED


def test_no_ten_runs_as_in_table_7_have_a_larger_spread():
    """Table 7, in thousands of sequences: 370 to 2020, 853 on average, three runs above 700."""
    extreme = np.array([370.0] * 7 + [2020.0, 2020.0, 1900.0])
    assert extreme.mean() == 853
    assert extreme.std(ddof=1) / 853 == pytest.approx(SPREAD, abs=5e-4)
    rng, best = np.random.default_rng(0), 0.0
    for _ in range(20_000):
        low = 370 + 330 * rng.beta(0.2, 0.6, 6)
        high = 700 + 1320 * rng.beta(0.6, 0.2, 2)
        values = np.array([370, 2020, *low, *high])
        if abs(values.mean() - 853) < 10:
            best = max(best, values.std(ddof=1) / values.mean())
    assert 0.7 < best < SPREAD + 0.01
