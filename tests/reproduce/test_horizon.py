import re

import numpy as np
import pytest

from memspan.diagnostics import MeanField
from memspan.figures.horizon import draw_horizon
from memspan.reproduce import Options, Page, Verdict
from memspan.reproduce import horizon as module
from memspan.study.group import run_trial, untrained

AGREES, DIFFERS, UNDECIDED, _ = Verdict
INF = float("inf")


@pytest.mark.parametrize("variance", [0.1, 4.5])
def test_r_has_the_variance_of_its_column(variance):
    one = module.configuration("momentum", variance, seed=3)
    elements = np.concatenate([untrained(one, 5, k)[0].R.ravel() for k in range(8)])
    assert module.HIDDEN * elements.var() == pytest.approx(variance, rel=0.05)
    assert one.seed == 3


def test_the_optimisers_differ_in_nothing_else():
    momentum, adam = (module.configuration(rule, 0.4, 0) for rule in ("momentum", "adam"))
    assert adam == momentum.with_(optimizer="adam", learning_rate=0.01)
    assert (momentum.optimizer, momentum.learning_rate, momentum.clip) == ("momentum", 0.03, 1.0)


def row(solved, left):
    return {"solved": solved, "left": [30] * left}


@pytest.mark.parametrize(
    ("rows", "descent", "adam"),
    [
        ([row(0, 0), row(0, 0), row(0, 0)], True, True),
        ([row(0, 1), row(1, 0), row(0, 0)], True, True),
        ([row(1, 0), row(1, 0), row(0, 0)], False, False),
        ([row(0, 4), row(0, 2), row(0, 1)], False, True),  # where half leave is not yet clear
        ([row(0, 8), row(0, 8), row(0, 7)], True, True),
        ([row(0, 8), row(0, 7), row(0, 7)], False, True),
        ([row(8, 8), row(8, 8), row(8, 8)], False, False),
    ],
)
def test_a_column_ends_where_longer_lengths_say_nothing_new(rows, descent, adam):
    assert module.settled(rows, "momentum") is descent
    assert module.settled(rows, "adam") is adam


def wall(length, networks=8):
    """Rows of networks that all leave and solve up to a length, and none beyond."""
    return [
        {"length": T, "solved": networks * (length > T), "left": [25.0] * (networks * (length > T))}
        for T in module.LENGTHS
    ]


def measurements(left=20, predicted=20, solved=None, adam=30, variances=module.VARIANCES):
    """Walls at the same lengths for all variances, or at those that functions of the variance return."""

    def at(length, variance):
        return length(variance) if callable(length) else length

    descent = []
    for variance in variances:
        rows = wall(at(left, variance))
        if solved is not None:
            rows = [
                one | {"solved": two["solved"]} for one, two in zip(rows, wall(at(solved, variance)), strict=True)
            ]
        column = {"variance": variance, "trained": rows, "predicted": wall(at(predicted, variance))}
        descent.append(column | {"cpu_seconds": 60.0})
    others = [
        {"variance": variance, "trained": wall(at(adam, variance)), "cpu_seconds": 30.0} for variance in variances
    ]
    return {"momentum": descent, "adam": others}


def horizon_of(variance):
    """A wall that is three times 6 ξ away."""
    return min(3 * 6 * MeanField(variance, 1).xi, 50)


def ideal(**changes):
    usual = {"left": horizon_of, "predicted": lambda v: 80 if v >= 0.9 else horizon_of(v), "solved": horizon_of}
    usual["adam"] = lambda v: 50 if v <= 0.5 else 25
    return measurements(**(usual | changes))


def verdicts(measured):
    return [finding.verdict for finding in module.judge(measured)]


def test_all_rules_can_be_kept():
    assert verdicts(ideal()) == [AGREES] * 7


@pytest.mark.parametrize(
    ("changes", "broken"),
    [
        ({"predicted": lambda v: 1.6 * horizon_of(v)}, [0, 1, 2]),
        ({"predicted": lambda v: 80 if v >= 0.9 else horizon_of(v) / (1.6 if v == 0.8 else 1)}, [2]),
        (
            {
                "left": lambda v: horizon_of(v) / 2.5,
                "predicted": lambda v: 80 if v >= 0.9 else horizon_of(v) / 2.5,
            },
            [3],
        ),
        ({"adam": 25}, [4]),
        ({"adam": 70}, [5]),
        ({"predicted": horizon_of}, [6]),
    ],
)
def test_every_rule_can_be_broken(changes, broken):
    found = verdicts(ideal(**changes))
    assert [number for number, verdict in enumerate(found) if verdict is DIFFERS] == broken


def test_a_length_that_is_not_known_leaves_a_rule_open():
    beyond = ideal(adam=lambda v: 200 if v <= 0.5 else 25)
    (finding,) = [one for one in module.judge(beyond) if "Adam : gradient descent" in one.quantity]
    assert finding.verdict is UNDECIDED
    assert "not known" in finding.ours


def test_the_critical_variance_is_where_6_xi_ends():
    critical = module.critical_variance()
    assert MeanField(critical, 1, 32).chi_1 == pytest.approx(1)
    assert 1.2 < critical < 1.5
    record = module.picture(ideal())
    assert max(record.xi.at) < critical
    assert np.isfinite(record.xi.lengths).all()


def test_the_picture_has_every_length_and_says_where_prediction_and_success_part():
    record = module.picture(ideal())
    assert list(record.descent.shares) == list(module.VARIANCES)
    assert record.descent.shares[0.25][3] == 1.0
    assert list(record.by_updates) == list(module.GAINS)
    found = re.search(r"of 1, half .* to leave up to T = (\d+), leave .* solve up to T = (\d+)", record.notes[1])
    predicted, solved = map(int, found.groups())
    assert 77 <= predicted <= 88  # the lengths beside the walls
    assert 47 <= solved <= 53
    draw_horizon(record).canvas.draw()


def test_a_remark_points_to_where_prediction_and_training_part_and_else_there_is_none():
    assert module.picture(ideal()).remarks == []  # all lengths that half leave are solved
    (near,) = module.picture(ideal(left=lambda v: 80 if v == 1 else horizon_of(v))).remarks
    assert near.at[0] == 1
    assert horizon_of(1) < near.at[1] < 80
    (above,) = module.picture(ideal(predicted=lambda v: 20 if v == 4.5 else horizon_of(v))).remarks
    assert above.at[0] == 4.5
    assert 18 <= above.at[1] <= 20


def test_the_page_has_the_lengths_of_every_variance_and_their_cost():
    page = Page.made(module.REPRODUCTION, Options(), ideal(), 1.0)
    text = page.markdown()
    assert Page.read(module.REPRODUCTION, page.json()).markdown() == text
    rows = [line for line in text.splitlines() if line.startswith("| 0.25 | 4.3 |")]
    assert len(rows) == 1
    minutes = len(module.VARIANCES) * 90 / 60
    assert f"Processor time of all trainings and predictions: {minutes:.0f} minutes." in text
    assert "![" in text


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(module, "VARIANCES", (0.25, 0.4, 0.6, 0.8, 0.9, 1.0, 1.6))
    monkeypatch.setattr(module, "LENGTHS", (3, 5, 8, 40))
    monkeypatch.setattr(module, "NETWORKS", 2)
    monkeypatch.setattr(module, "UPDATES", 60)
    monkeypatch.setattr(module, "GIVEN", (30, 60))


@pytest.mark.slow
def test_what_is_measured_can_be_judged_written_and_drawn(small):
    measured = module.measure(Options(seed=2, progress="none"))
    assert [column["variance"] for column in measured["momentum"]] == list(module.VARIANCES)
    assert len(module.judge(measured)) == 7
    page = Page.made(module.REPRODUCTION, Options(), measured, 1.0)
    assert Page.read(module.REPRODUCTION, page.json()).markdown() == page.markdown()
    draw_horizon(module.picture(measured)).canvas.draw()
    for column in measured["momentum"]:
        assert [row["length"] for row in column["trained"]] == [row["length"] for row in column["predicted"]]
        assert all(row["left"] == sorted(row["left"]) for row in column["trained"])


def test_a_column_has_the_trials_of_a_study_and_a_prediction_near_what_they_do(small):
    column = module.measure_column(("momentum", 0.4, 2))
    one = module.configuration("momentum", 0.4, 2)
    for found in column["trained"]:
        outcomes = [run_trial(one, found["length"], k).outcome for k in range(2)]
        assert found["solved"] == sum(outcome == "solved" for outcome in outcomes)
    easy, *_, hard = zip(column["trained"], column["predicted"], strict=True)
    assert [len(row["left"]) for row in easy] == [2, 2]
    assert [len(row["left"]) for row in hard] == [0, 0]
    assert "predicted" not in module.measure_column(("adam", 0.4, 2))
