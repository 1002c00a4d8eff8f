"""The reproductions that are studies: their verdicts, on trials made by hand."""

import math

import pytest

from memspan import StudyResult
from memspan.reproduce import Options, assignment, bai2018, base
from memspan.study.trial import Trial


@pytest.fixture
def trained(monkeypatch):
    """Make `run_study` return trials with these (loss, accuracy) by length; give the studies it was asked for."""

    def prepare(score):
        asked = []

        def run_study(study, **options):
            asked.append(study)
            trials = []
            for key in study.keys:
                loss, accuracy = score(study, key.length, key.repetition)
                trials.append(Trial(**key._asdict(), outcome="unsolved", loss=loss, accuracy=accuracy))
            return StudyResult.of(study, trials)

        monkeypatch.setattr(base, "run_study", run_study)
        return asked

    return prepare


def verdicts(findings):
    return [finding.agrees for finding in findings]


def test_the_baseline_agrees_at_the_baseline_and_nowhere_else(trained):
    trivial = 10 * math.log(8) / 1020
    for loss, accuracy, expected in (
        (trivial, 0.125, [True, None]),
        (1.01 * trivial, 0.14, [True, None]),
        (0.9 * trivial, 0.2, [False, None]),
        (1.1 * trivial, 0.125, [False, None]),
    ):
        asked = trained(lambda study, length, k, found=(loss, accuracy): found)
        assert verdicts(bai2018.baseline(Options())) == expected
        assert (asked[0].updates, asked[0].repetitions, asked[0].lengths) == (1500, 2, (1000,))
    bai2018.baseline(Options(full=True, seed=7))
    assert (asked[-1].updates, asked[-1].repetitions, asked[-1].seed) == (15_650, 3, 7)


def test_the_curve_agrees_where_it_falls_below_a_fifth_at_50(trained):
    for curve, expected in (
        ({5: 0.5, 10: 0.4, 20: 0.3, 50: 0.15, 100: 0.125}, [True, True, None]),
        ({5: 0.5, 10: 0.4, 20: 0.3, 50: 0.25, 100: 0.125}, [True, False, None]),
        ({5: 0.2, 10: 0.4, 20: 0.3, 50: 0.15, 100: 0.125}, [False, True, None]),
    ):
        trained(lambda study, length, k, curve=curve: (1.0, curve[length]))
        assert verdicts(bai2018.figure_5(Options())) == expected


@pytest.mark.parametrize(("study", "weights"), [(bai2018.BASELINE, 16_000), (bai2018.FIGURE_5, 10_000)])
def test_networks_have_the_size_of_the_papers(study, weights):
    assert study.configuration.make_network(20, 0).parameters.size == pytest.approx(weights, rel=0.02)


PUBLISHED = {2: 0.01, 5: 0.03, 10: 0.04, 15: 0.09, 20: 0.15}


def test_the_assignments_curve_agrees_with_itself_and_not_with_four_times_as_much(trained):
    for factor, expected in ((1.0, True), (4.0, False), (0.25, False)):

        def score(study, length, k, factor=factor):
            if study.learning_rate == 4e-2:
                return 0.011 * factor * (1 + 0.05 * k), 0.5
            return PUBLISHED[length] * factor * (1 + 0.05 * k), 0.5

        trained(score)
        findings = assignment.run(Options())
        assert verdicts(findings[:6]) == [expected] * 6
        assert len(findings) == 10
        assert findings[6].agrees is None


def test_what_was_seen_by_eye_is_a_share_with_an_interval(trained):
    def score(study, length, k):
        solved = {10: 7, 15: 2, 20: 0}.get(length, 10)
        return (0.01 if k < solved else 0.1), 0.5

    trained(score)
    good, begins, fails = assignment.run(Options())[7:]
    assert verdicts([good, begins, fails]) == [True] * 3
    assert good.ours.startswith("7 of 10 (")
    for shares, expected in (
        ({10: 10, 15: 10, 20: 10}, [True, False, False]),
        ({10: 4, 15: 3, 20: 2}, [False, True, False]),
        ({10: 5, 15: 4, 20: 1}, [True, True, True]),
    ):
        trained(lambda study, length, k, shares=shares: (0.01 if k < shares.get(length, 10) else 0.1, 0.5))
        assert verdicts(assignment.run(Options())[7:]) == expected
