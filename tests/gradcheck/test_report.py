"""The report says what was compared, where it is worst, and what the verdict is."""

import math

import numpy as np
import pytest

from memspan import MSELoss, Network, gradient_check
from memspan.gradcheck.mistakes import MistakenNetwork
from memspan.gradcheck.report import Comparison, GradientReport, relative


@pytest.fixture
def case():
    rng = np.random.default_rng(0)
    return Network("lstm", 1, 4, 1, rng=rng), rng.uniform(-1, 1, (8, 3, 1)), rng.uniform(-1, 1, (3, 1))


def test_a_report_that_passes_is_true_and_says_so(case):
    report = gradient_check(*case, MSELoss())
    assert report
    assert report.passed
    assert report.failures == ()
    text = str(report)
    assert "lstm, T=8 B=3 F=1 H=4 O=1 float64" in text
    assert f"All {len(report.comparisons)} comparisons pass" in text
    assert "FAIL" not in text
    for heading in ("weight", "worst at", "backward", "complex step", "central diff.", "error", "tolerance"):
        assert heading in text


def test_a_failure_prints_weight_index_step_gate_values_error_tolerance_and_verdict(case):
    model, x, y = case
    report = gradient_check(MistakenNetwork.like(model, "gate-sign"), x, y, MSELoss())
    assert not report
    row = next(row for row in report.failures if row.weight == "bs" and row.scope == "steps")
    assert row.gate == "f"
    assert row.step == 7
    assert 4 <= row.index[0] < 8
    assert row.analytical == pytest.approx(-row.oracle, rel=1e-12)
    assert row.oracle != 0
    line = next(line for line in str(report).splitlines() if "bs " in line and "steps" in line)
    expected = (
        f"bs[{row.index[0]},0] t=7 gate f",
        f"{row.analytical:+.6e}",
        f"{row.oracle:+.6e}",
        f"{row.error:.1e}",
        f"{row.tolerance:.1e}",
        "FAIL; 8 steps, t=0..7",
    )
    for part in expected:
        assert part in line
    assert "The gradient is WRONG at" in str(report)


def test_central_difference_stands_beside_the_complex_step(case):
    rows = [row for row in gradient_check(*case, MSELoss()).comparisons if row.scope == "sum"]
    assert [row.weight for row in rows] == ["W", "R", "bs", "V", "by"]
    for row in rows:
        assert row.central == pytest.approx(row.oracle, rel=1e-6, abs=1e-9)


def comparison(passed, error, tolerance):
    return Comparison("W", "sum", passed, error, tolerance)


def test_the_worst_is_a_failure_before_it_is_a_wide_pass():
    wide, failed = comparison(True, 9e-13, 1e-12), comparison(False, float("nan"), float("nan"))
    near = comparison(False, 2e-12, 1e-12)
    assert GradientReport("", (wide, failed), {}).worst is failed
    assert GradientReport("", (failed, near, wide), {}).worst is near


def test_a_contract_is_a_comparison_without_numbers():
    contract = Comparison("R", "ownership", False, note="overwritten by a later backward")
    assert contract.is_contract
    assert not comparison(True, 0.0, 1e-12).is_contract
    text = str(GradientReport("", (contract,), {}))
    assert "overwritten by a later backward" in text
    assert "R (ownership)" in text


@pytest.mark.parametrize(
    ("worst", "scale", "expected"),
    [
        (0.0, 0.0, 0.0),
        (1.0, 4.0, 0.25),
        (1.0, 0.0, math.inf),
        (math.nan, 1.0, math.inf),
        (1.0, math.nan, math.inf),
    ],
)
def test_relative_error(worst, scale, expected):
    assert float(relative(worst, scale)) == expected
