"""The errors of the numerical derivatives have the slopes of theory, and a mistake takes them away."""

import numpy as np
import pytest

from memspan import Conflict, MSELoss, Network, step_size_sweep
from memspan.gradcheck.mistakes import MistakenNetwork


@pytest.fixture
def rng():
    return np.random.default_rng(3)


@pytest.fixture(params=["rnn", "lstm"])
def model(request, rng):
    return Network(request.param, 1, 6, 2, init="glorot", gain=1.5, rng=rng)


def test_slopes_of_a_right_gradient(model, rng):
    x, y = rng.uniform(-1, 1, (12, 3, 1)), rng.uniform(-1, 1, (3, 2))
    sweep = step_size_sweep(model, x, y, MSELoss(), rng=0)
    assert sweep.truncation_slope == pytest.approx(2, abs=0.1)
    assert sweep.rounding_slope == pytest.approx(-1, abs=0.2)
    assert sweep.complex_slope == pytest.approx(2, abs=0.1)


def test_complex_step_is_exact_below_1e_minus_8_where_the_difference_is_lost(model, rng):
    sweep = step_size_sweep(model, rng.uniform(-1, 1, (12, 3, 1)), rng=0)
    tiny = sweep.steps < 1e-9
    assert sweep.complex_step[tiny].max() < 1e-13
    assert sweep.central[sweep.steps < 1e-15].min() > 1e-3
    assert sweep.steps[0] == pytest.approx(1e-1)
    assert sweep.steps[-1] == pytest.approx(1e-20)


def test_a_wrong_gradient_has_a_plateau_in_place_of_the_slope(model, rng):
    x = rng.uniform(-1, 1, (12, 3, 1))
    sweep = step_size_sweep(MistakenNetwork.like(model, "not-transposed"), x, rng=0)
    assert sweep.truncation_slope == pytest.approx(0, abs=0.1)
    plateau = sweep.complex_step[sweep.steps < 1e-3]
    np.testing.assert_allclose(plateau, plateau[-1], rtol=1e-2)
    assert plateau[-1] > 1e-3


def test_the_same_generator_gives_the_same_direction(model, rng):
    x = rng.uniform(-1, 1, (4, 2, 1))
    one, same, other = (step_size_sweep(model, x, rng=seed) for seed in (7, 7, 8))
    np.testing.assert_array_equal(one.central, same.central)
    assert (one.central != other.central).any()


def test_the_model_is_not_changed(model, rng):
    weights = model.get_weights()
    step_size_sweep(model, rng.uniform(-1, 1, (4, 2, 1)))
    for name, weight in model.get_weights().items():
        np.testing.assert_array_equal(weight, weights[name])
    assert model.trace is None


def test_where_nothing_depends_on_the_weights_there_is_no_slope():
    """The sum of the outputs of a network that reads zeros and whose units are off: only by counts, linearly."""
    model = Network("rnn-relu", 1, 2, 1, rng=0)
    model.bs = np.full((2, 1), -5.0)
    sweep = step_size_sweep(model, np.zeros((3, 2, 1)))
    assert np.isnan(sweep.complex_slope)
    assert sweep.complex_step.max() < 1e-15


def test_labels_and_loss_come_together():
    network, x = Network("rnn", 1, 2, 1, rng=0), np.ones((3, 2, 1))
    with pytest.raises(Conflict, match=r"^Pass loss together with y\.$"):
        step_size_sweep(network, x, y=np.ones((2, 1)))
    with pytest.raises(Conflict, match=r"^Pass y together with loss\.$"):
        step_size_sweep(network, x, loss=MSELoss())
