"""What is measured of JAX models before training: the numbers of the built-in cell of the same weights."""

import numpy as np
import pytest

pytest.importorskip("jax", reason="JAX is not installed")
pytest.importorskip("equinox", reason="equinox is not installed")
pytest.importorskip("flax", reason="flax is not installed")

from jax_twins import FACTORIES, twin_of

from memspan import LyapunovExponents, Network, Recall, Saturation, label_gradient, recurrent_spectra
from memspan.diagnostics import Twins
from memspan.foreign.steps import ForeignSteps

T, B, H = 6, 3, 4


@pytest.mark.parametrize("name", FACTORIES)
def test_the_read_out_and_the_built_in_network_are_known(name):
    library, cell = name.split()
    network = Network(cell, 1, H, 1, gain=3, rng=1)
    twin, x = twin_of(network, library), np.random.default_rng(0).uniform(-1, 1, (T, B, 1))
    read_out = twin.read_out()
    (states,) = read_out.states(twin.parameters[np.newaxis], x)
    np.testing.assert_allclose(states @ twin.parameters[read_out.places], network.predict(x), rtol=0, atol=1e-14)
    np.testing.assert_allclose(twin.built_in().parameters, network.parameters, rtol=0, atol=1e-15)
    slopes = [Saturation.of(one, x).slope for one in (network, twin)]
    np.testing.assert_allclose(slopes[1], slopes[0], rtol=1e-13)
    radii = [[one.radius for one in recurrent_spectra(model).values()] for model in (network, twin)]
    assert radii[1] == pytest.approx(radii[0], rel=1e-13)
    found, expected = (LyapunovExponents.largest(one, x).by_sample for one in (twin, network))
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_the_label_gradient_and_single_steps_are_those_of_the_built_in_cell():
    network = Network("lstm", 1, H, 1, gain=3, rng=1)
    twin, twins = twin_of(network, "equinox"), Twins.of(Recall(), T, 16, 0, parts=8)
    expected, found = (label_gradient(one, twins) for one in (network, twin))
    assert (found.theta, found.z) == pytest.approx((expected.theta, expected.z), rel=1e-12)
    x, rows = (
        np.random.default_rng(0).uniform(-1, 1, (T, B, 1)),
        np.random.default_rng(3).standard_normal((2, B, 2 * H)),
    )
    back, right = ForeignSteps(twin, x), network.steps(x)
    assert (back.first, back.widths) == (0, right.widths)
    np.testing.assert_allclose(back.back(2, rows), right.back(2, rows), rtol=1e-12, atol=1e-15)
