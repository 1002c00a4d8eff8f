import numpy as np
import pytest

from memspan.span.steps import RATE, gap_evidence


def drawn_curve(rng, share, logs, span):
    """A curve of the prior at rising log lengths: steps from both ends towards the share, to a log span."""
    p, before = np.empty(len(logs)), np.searchsorted(logs, span)
    for value, side in ((1.0, range(before)), (0.0, range(len(logs) - 1, before - 1, -1))):
        at = None
        for place in side:
            gap = 1.0 if at is None else abs(logs[place] - logs[at])
            if rng.uniform() > np.exp(-RATE * gap):
                value = rng.uniform(*sorted((value, share)))
            p[place], at = value, place
    return p


@pytest.mark.parametrize("share", [0.5, 0.9])
def test_the_evidence_is_the_mean_likelihood_of_drawn_curves(share):
    rng = np.random.default_rng(0)
    lengths, solved, trials = np.array([5.0, 9.0, 14.0]), np.array([3.0, 2.0, 0.0]), np.array([3.0, 4.0, 2.0])
    logs, spans = np.log(lengths), np.log([4, 7, 11, 20])
    evidence = np.exp(gap_evidence(share, lengths, solved, trials))
    for gap, span in enumerate(spans):
        p = np.array([drawn_curve(rng, share, logs, span) for _ in range(10_000)])
        likelihood = np.prod(p**solved * (1 - p) ** (trials - solved), axis=1)
        error = likelihood.std() / np.sqrt(len(likelihood))
        assert evidence[gap] == pytest.approx(likelihood.mean(), abs=4 * error + 0.002 * likelihood.mean())


def test_without_failures_above_and_successes_below_all_curves_agree_best():
    evidence = gap_evidence(0.5, np.array([10.0, 20.0, 40.0]), np.array([50.0, 50.0, 0.0]), np.full(3, 50.0))
    assert np.argmax(evidence) == 2
    assert evidence[2] > np.log(0.05)  # of curves that have not fallen yet, or have fallen to 0
    assert np.all(evidence[[0, 1, 3]] < -20)


def test_failures_are_successes_seen_from_the_other_end():
    lengths, solved, trials = np.array([3.0, 5.0, 11.0]), np.array([4.0, 1.0, 2.0]), np.array([5.0, 6.0, 7.0])
    evidence = gap_evidence(0.3, lengths, solved, trials)
    mirrored = gap_evidence(0.7, 1 / lengths[::-1], (trials - solved)[::-1], trials[::-1])
    np.testing.assert_allclose(evidence, mirrored[::-1], rtol=1e-12)


def test_the_cells_of_p_are_narrow_enough(monkeypatch):
    lengths, solved, trials = np.array([3.0, 5.0, 8.0, 11.0]), np.array([98, 72, 55, 3.0]), np.full(4, 100.0)
    evidence = gap_evidence(0.5, lengths, solved, trials)
    monkeypatch.setattr("memspan.span.steps.CELLS", 2000)
    exact = gap_evidence(0.5, lengths, solved, trials)
    np.testing.assert_allclose(np.exp(evidence - exact.max()), np.exp(exact - exact.max()), atol=0.04)
