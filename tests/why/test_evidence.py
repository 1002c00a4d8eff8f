from dataclasses import replace

import numpy as np
import pytest

from memspan import Configuration, Outcome, Study, run_study
from memspan.diagnostics import Saturation, recurrent_spectra
from memspan.span import Group
from memspan.study.group import fit, prepared, untrained
from memspan.why.evidence import NUMBERS, SEQUENCES, SLOPE_SEQUENCES, evidence_of, probe_of, window_of
from memspan.why.noise_jump import noise_jump_of
from memspan.why.plateau import LEFT, WINDOW
from memspan.why.predict import updates_needed

MOMENTUM = {"optimizer": "momentum", "learning_rate": 0.03}
SMALL = {"hidden": 8, "updates": 120, "evaluation_samples": 50, "final_batches": 2}


def evidence(repetitions=(0,), length=4, **fields):
    return evidence_of(Configuration(**(SMALL | fields)), length, repetitions)


def test_the_networks_are_those_of_the_study():
    study = Study(**SMALL, **MOMENTUM, lengths=6, repetitions=3)
    trials = run_study(study, progress=False).trials
    found = evidence([0, 1, 2], 6, **MOMENTUM)
    assert [one.digest for one in found] == [trial.digest for trial in trials]
    assert [one.outcome for one in found] == [trial.outcome for trial in trials]
    assert [len(one.norm) for one in found] == [trial.updates for trial in trials]
    (alone,) = evidence([2], 6, **MOMENTUM)
    assert alone.digest == found[2].digest
    np.testing.assert_equal(alone.numbers, found[2].numbers)


def test_the_plateau_is_left_when_the_mean_loss_falls_below_nine_tenths_of_the_trivial_risk():
    configuration = Configuration(**SMALL, **MOMENTUM, recurrent_gain=2)
    ensemble = prepared(configuration, 4, [0])
    fit(ensemble, configuration, [0])
    losses = np.array(ensemble.members[0].history.loss) / (1 / 3)  # the variance of U(-1, 1)
    means = [losses[n - WINDOW : n].mean() for n in range(WINDOW, len(losses) + 1)]
    (found,) = evidence_of(configuration, 4, [0])
    assert found.has_left
    assert found.left == WINDOW + next(k for k, mean in enumerate(means) if mean < LEFT)
    assert np.allclose(found.share, means)
    assert (found.late, found.best) == (found.share[-1], found.share.min())


def test_small_batches_are_averaged_over_more_updates():
    assert window_of(Configuration()) == WINDOW
    assert window_of(Configuration(batch=2)) == SEQUENCES // 2
    assert window_of(Configuration(batch=2, updates=301)) == 301
    assert window_of(Configuration(updates=30)) == 15
    assert window_of(Configuration(updates=20)) == 13


def test_without_a_whole_window_the_loss_is_unknown():
    (found,) = evidence(batch=2, **MOMENTUM)
    found = replace(found, share=np.empty(0), left=np.inf, end=0.95)
    assert not found.has_left
    assert (found.late, found.best, found.fall) == (0.95, np.inf, 1.0)


def test_the_growth_of_linear_units_is_that_of_the_spectral_radius():
    (found,) = evidence(length=7, cell="rnn-linear", init="orthogonal", recurrent_gain=1.2, **MOMENTUM)
    assert found.growth == pytest.approx(7 * np.log(1.2), rel=1e-5)
    assert found.radius == pytest.approx(1.2, rel=1e-5)
    assert found.slope == pytest.approx(1)


def test_slopes_and_radii_are_those_of_the_networks_before_and_after():
    configuration = Configuration(**SMALL, **MOMENTUM, gain=3)
    ensemble = prepared(configuration, 4, [1])
    fit(ensemble, configuration, [1])
    network, _, _ = untrained(configuration, 4, 1)
    x = probe_of(configuration, 4).x[:, :SLOPE_SEQUENCES]
    (found,) = evidence_of(configuration, 4, [1])
    assert found.slope == pytest.approx(Saturation.of(network, x).slope.mean(), rel=1e-3)
    assert found.slope_after == pytest.approx(Saturation.of(ensemble.members[0].model, x).slope.mean(), rel=1e-3)
    assert found.radius == recurrent_spectra(network)["a"].radius
    assert found.radius_after == recurrent_spectra(ensemble.members[0].model)["a"].radius


def test_the_largest_radius_of_all_gates_counts_and_none_without_r():
    network, _, _ = untrained(Configuration(**SMALL, cell="gru"), 4, 0)
    (found,) = evidence(cell="gru")
    assert found.radius == max(one.radius for one in recurrent_spectra(network).values())
    (without,) = evidence(cell="lru")
    assert np.isnan(without.radius)


def test_the_updates_needed_are_those_of_the_prediction():
    (found,) = evidence(length=5, **MOMENTUM)
    needed = updates_needed(Configuration(**SMALL, **MOMENTUM), Group(5, 0, 1))
    assert (found.needed, found.without_noise) == (needed.updates[0], needed.without_noise[0])
    assert (found.theta, found.z, found.decay) == (needed.theta[0], needed.z[0], needed.decay[0])
    assert np.isnan(found.noise_jump)


def test_adam_has_its_noise_jump_where_that_was_measured():
    (found,) = evidence(length=5)
    assert found.noise_jump == noise_jump_of(Configuration(**SMALL), 5).quantile(0.5)
    assert np.isnan([found.needed, found.without_noise, found.decay]).all()
    (other,) = evidence(cell="gru")
    assert np.isnan(other.noise_jump)


def test_a_network_that_diverges_at_once_has_evidence_too():
    fields = {"cell": "rnn-relu", "recurrent_gain": 1e6, "clip": 0, "optimizer": "sgd", "length": 12}
    (found,) = evidence(**fields)
    assert found.outcome is Outcome.DIVERGED
    assert not found.has_left
    assert set(found.numbers) == set(NUMBERS)


def test_fall_and_jump_of_known_curves():
    (found,) = evidence(**MOMENTUM)
    steady = replace(found, share=np.repeat([1.0, 0.8, 0.4, 0.2], 10))
    assert steady.fall == pytest.approx(0.5)
    jumped = replace(found, norm=np.array([1.0] * 9 + [2.0, 50.0, 1.0]))
    assert jumped.jump == 50


def test_with_tiny_batches_the_end_is_that_of_new_sequences():
    (found,) = evidence(batch=1, **MOMENTUM)
    x, y = probe_of(Configuration(**SMALL, **MOMENTUM, batch=1), 4)
    loss = np.mean((found.trained.predict(x) - y) ** 2) / (1 / 3)
    assert found.end == pytest.approx(loss, rel=1e-4)
    assert found.late == found.end
    assert replace(found, left=np.inf, end=0.85).has_left
    assert replace(found, outcome=Outcome.DIVERGED).late == np.inf


def test_a_network_that_overflows_ends_with_an_infinite_loss():
    (found,) = evidence(cell="rnn-linear", recurrent_gain=1e30, gain=1.0, clip=0, optimizer="sgd", length=12)
    assert found.start == np.inf == found.end


def test_linear_units_are_never_saturated_and_tell_inputs_apart_by_lag():
    (linear,) = evidence(length=5, cell="rnn-linear", gain=50, **MOMENTUM)
    assert (linear.slope, linear.slope_after, linear.lags) == (1, 1, 5)
    (other,) = evidence(length=5, **MOMENTUM)
    assert other.lags == 0
