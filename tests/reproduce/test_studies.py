"""The verdicts of the reproductions that run studies, on artificial trials."""

import math

import pytest

from memspan import StudyResult
from memspan.reproduce import Options, Verdict, assignment, bai2018, base
from memspan.study.trial import Trial


@pytest.fixture
def trained(monkeypatch):
    """Replace `run_study` by a function that returns artificial trials, and return the list of its studies.

    `score(study, length, repetition)` returns the loss and the accuracy of a trial.
    """

    def prepare(score):
        studies = []

        def run_study(study, **options):
            studies.append(study)
            trials = []
            for key in study.keys:
                loss, accuracy = score(study, key.length, key.repetition)
                trials.append(
                    Trial(**key._asdict(), outcome="unsolved", updates=study.updates, loss=loss, accuracy=accuracy)
                )
            return StudyResult.of(study, trials)

        monkeypatch.setattr(base, "run_study", run_study)
        return studies

    return prepare


def verdicts(findings):
    return [finding.verdict for finding in findings]


AGREES, DIFFERS, UNDECIDED, NOT_COMPARED = Verdict


def baseline(trained, loss, accuracy, **options):
    studies = trained(lambda study, length, k: (loss, accuracy))
    found = bai2018.judge_baseline(bai2018.measure_baseline(Options(**options)))
    return studies[-1], verdicts(found)


def test_the_baseline_agrees_at_the_baseline_and_nowhere_else(trained):
    trivial = 10 * math.log(8) / 1020
    for loss, expected in ((trivial, AGREES), (1.01 * trivial, AGREES), (0.9 * trivial, DIFFERS)):
        study, found = baseline(trained, loss, 0.125, full=True, seed=7)
        assert found == [expected, NOT_COMPARED]
        assert (study.updates, study.lengths, study.seed) == (15_650, (1000,), 7)


def test_a_tenth_of_the_updates_cannot_tell_that_the_baseline_is_never_left(trained):
    trivial = 10 * math.log(8) / 1020
    study, found = baseline(trained, trivial, 0.125)
    assert found == [UNDECIDED, NOT_COMPARED]
    assert study.updates == 1500
    assert baseline(trained, 0.9 * trivial, 0.125)[1] == [DIFFERS, NOT_COMPARED]


def test_the_curve_agrees_where_it_falls_below_a_fifth_at_50(trained):
    for curve, expected in (
        ({5: 0.5, 10: 0.4, 20: 0.3, 50: 0.15, 100: 0.125}, [AGREES, AGREES, NOT_COMPARED]),
        ({5: 0.5, 10: 0.4, 20: 0.3, 50: 0.25, 100: 0.125}, [AGREES, DIFFERS, NOT_COMPARED]),
        ({5: 0.2, 10: 0.4, 20: 0.3, 50: 0.15, 100: 0.125}, [DIFFERS, AGREES, NOT_COMPARED]),
    ):
        trained(lambda study, length, k, curve=curve: (1.0, curve[length]))
        assert verdicts(bai2018.judge_figure_5(bai2018.measure_figure_5(Options()))) == expected


@pytest.mark.parametrize("study", [bai2018.BASELINE, bai2018.FIGURE_5])
def test_networks_are_those_of_table_3(study):
    configuration = study.configuration
    assert (configuration.hidden, configuration.clip) == (50, 1.0)
    assert configuration.make_network(20, 0).parameters.size == pytest.approx(11_000, rel=0.02)


PUBLISHED = {2: 0.01, 5: 0.03, 10: 0.04, 15: 0.09, 20: 0.15}


def assignment_findings(trained, loss, seed=0):
    studies = trained(lambda study, length, k: (loss(study, length, k), 0.5))
    return studies, assignment.judge(assignment.measure(Options(seed=seed)))


def test_the_assignments_curve_agrees_with_itself_and_with_no_neighbouring_length(trained):
    lengths = list(PUBLISHED)
    for shift, expected in ((0, AGREES), (1, DIFFERS), (-1, DIFFERS)):

        def score(study, length, k, shift=shift):
            place = lengths.index(length) + shift
            return PUBLISHED[lengths[place]] * (1 + 0.01 * k) if 0 <= place < 5 else 1e-4 if shift < 0 else 10.0

        _, findings = assignment_findings(trained, score)
        means = verdicts(findings)[1:6]
        assert means == [AGREES] * 5 if not shift else AGREES not in means[1:4]
        assert all(verdict is expected for verdict in means[1:4])
        assert findings[6].verdict is NOT_COMPARED


def test_runs_that_differ_much_cannot_be_told(trained):
    _, findings = assignment_findings(trained, lambda study, length, k: PUBLISHED[length] * (0.1, 3.5)[k % 2])
    assert verdicts(findings)[1:5] == [UNDECIDED] * 4


def test_one_published_run_agrees_only_where_ours_are_alike(trained):
    for factors, expected in (((0.9, 1.1), AGREES), ((0.5, 2.0), UNDECIDED), ((1.5, 1.6), DIFFERS)):
        _, findings = assignment_findings(trained, lambda study, length, k, f=factors: 0.011 * f[k % 2])
        assert findings[0].verdict is expected


def test_verdicts_are_those_of_five_seeds(trained):
    studies, findings = assignment_findings(trained, lambda study, length, k: 0.01, seed=3)
    assert [study.seed for study in studies] == [3, 4, 5, 6, 7] * 3
    assert findings[-1].ours.startswith("50 of 50 (")


def test_what_was_seen_by_eye_is_a_share_whose_interval_lies_where_no_neighbours_does(trained):
    def claims(*shares):
        solved = dict(zip((10, 15, 20), shares, strict=True))
        _, findings = assignment_findings(
            trained, lambda study, length, k: 0.01 if k < solved.get(length, 10) else 0.1
        )
        return verdicts(findings[7:])

    assert claims(8, 4, 0) == [AGREES, UNDECIDED, AGREES]  # 20 of 50: 0.28 to 0.54
    assert claims(10, 10, 10) == [AGREES, DIFFERS, DIFFERS]
    assert claims(0, 0, 0) == [DIFFERS, DIFFERS, AGREES]
    assert claims(5, 1, 2) == [UNDECIDED, DIFFERS, UNDECIDED]
