import numpy as np
import pytest

from memspan.span.lattice import MARGIN, STEP, Lattice


def test_it_reaches_beyond_the_lengths_by_the_margin():
    for every in (1, 8):
        tau = Lattice.around(5, 40, every).tau
        assert tau[0] <= np.log(5) - MARGIN
        assert tau[-1] >= np.log(40) + MARGIN
        np.testing.assert_allclose(np.diff(tau), every * STEP)


@pytest.mark.parametrize("deviation", [0.01, 0.1, 0.5])
def test_the_window_has_the_weight_and_is_as_fine_as_it_is_narrow(deviation):
    coarse = Lattice.around(2, 200, 8)
    fine = coarse.window(np.exp(-0.5 * ((coarse.tau - 3) / deviation) ** 2), 1e-4, 24)
    assert fine.tau[0] <= 3 - 3.5 * deviation
    assert fine.tau[-1] >= 3 + 3.5 * deviation
    assert fine.every == 1 or fine.every * STEP <= 4.7 * deviation / 20
    assert fine.count < 400
    assert fine.first % fine.every == coarse.first % fine.every  # a part of the same points
    refined = fine.refined()
    assert (refined.tau[0], refined.every) == (fine.tau[0], 1)
    assert refined.tau[-1] == pytest.approx(fine.tau[-1])


def test_a_density_is_averaged_over_cells():
    lattice = Lattice(100, 5, 2)  # cells from 0.99 to 1.01, ..., 1.07 to 1.09
    found = lattice.means(np.array([1.0, 1.05]), np.array([1.0, 3.0, 0.0]))
    np.testing.assert_allclose(found, [2.0, 3.0, 3.0, 0.0, 0.0], atol=1e-9)
