import numpy as np
import pytest

from memspan.cells.initializers import INITIALIZERS, glorot, identity, lecun, orthogonal, uniform

ROWS, COLUMNS = 300, 500  # fan-in and fan-out differ, so that neither can stand in for the other
LIMITS = {
    "uniform": (uniform, 0.2),
    "glorot": (glorot, np.sqrt(6 / (ROWS + COLUMNS))),
    "lecun": (lecun, np.sqrt(3 / ROWS)),
}


@pytest.mark.parametrize(("rule", "limit"), LIMITS.values(), ids=LIMITS)
def test_uniform_rules_have_their_limits_mean_and_variance(rule, limit):
    drawn = rule(np.random.default_rng(1), ROWS, COLUMNS)
    assert drawn.shape == (ROWS, COLUMNS)
    assert 0.999 * limit < drawn.max() < limit
    assert -limit < drawn.min() < -0.999 * limit
    # For U(-l, l): Var x = l²/3 and Var x² = 4 l⁴/45. Four standard errors.
    assert abs(drawn.mean()) < 4 * np.sqrt(limit**2 / 3 / drawn.size)
    assert abs((drawn**2).mean() - limit**2 / 3) < 4 * np.sqrt(4 * limit**4 / 45 / drawn.size)


def test_variances_are_those_of_the_papers():
    # Glorot: 2 / (fan-in + fan-out); LeCun: 1 / fan-in. The standard error is 0.9·variance/√n, here 0.23 %.
    rng = np.random.default_rng(2)
    assert glorot(rng, ROWS, COLUMNS).var() == pytest.approx(2 / (ROWS + COLUMNS), rel=0.01)
    assert lecun(rng, ROWS, COLUMNS).var() == pytest.approx(1 / ROWS, rel=0.01)


@pytest.mark.parametrize("size", [1, 2, 7, 40])
def test_orthogonal_keeps_every_length(size):
    q = orthogonal(np.random.default_rng(3), size, size)
    np.testing.assert_allclose(q.T @ q, np.eye(size), atol=1e-14)


def test_orthogonal_is_uniform_over_the_group():
    """A uniform Q has E tr Q = 0 with Var tr Q = 1, and either determinant with probability 1/2.

    Q as LAPACK gives it has a negative mean trace and always the same determinant.
    """
    draws, size = 4000, 4
    rng = np.random.default_rng(4)
    matrices = np.array([orthogonal(rng, size, size) for _ in range(draws)])
    four_errors = 4 / np.sqrt(draws)
    assert abs(np.trace(matrices, axis1=1, axis2=2).mean()) < four_errors
    assert abs(np.linalg.det(matrices).mean()) < four_errors


def test_identity_draws_nothing():
    rng = np.random.default_rng(5)
    before = rng.bit_generator.state
    np.testing.assert_array_equal(identity(rng, 3, 3), np.eye(3))
    assert rng.bit_generator.state == before


def test_rules_for_the_recurrent_matrix_leave_the_others_at_the_assignments_start():
    assert {name: start.other for name, start in INITIALIZERS.items() if start.other is not start.recurrent} == {
        "orthogonal": uniform,
        "identity": uniform,
        "identity-lecun": lecun,
    }
    assert all(start.recurrent.__name__ == name.partition("-")[0] for name, start in INITIALIZERS.items())
