import numpy as np
import pytest
from scipy import stats

from memspan import InvalidArgument
from memspan.span.likelihood import Likelihood
from memspan.span.slope import fit_slope

QUANTITY = (8, 16, 32, 64)


def spans(exponent, trials=40, slope=8.0, rng=None):
    """What is known of spans 5 q^exponent, each from six lengths around it."""
    found = []
    for quantity in QUANTITY:
        span = 5 * quantity**exponent
        lengths = np.round(span * np.array([0.4, 0.6, 0.85, 1.15, 1.6, 2.4]))
        p = 1 / (1 + (lengths / span) ** slope)
        solved = np.round(trials * p) if rng is None else rng.binomial(trials, p)
        found.append(Likelihood.of(lengths, solved, trials))
    return found


@pytest.mark.parametrize("exponent", [0.0, 0.5, 1.0])
def test_a_power_law_is_found(exponent):
    found = fit_slope(QUANTITY, spans(exponent))
    assert found.slope == pytest.approx(exponent, abs=0.05)
    assert found.low < exponent < found.high
    assert found.misfit < 1


def test_the_line_is_that_of_weighted_least_squares():
    statsmodels = pytest.importorskip("statsmodels.api")
    bent = [*spans(0.0)[:2], *spans(1.0)[2:]]
    for known in (spans(0.5, trials=10), bent):
        found = fit_slope(QUANTITY, known)
        means = np.array([span.posterior @ span.tau for span in known])
        variances = np.array([span.posterior @ (span.tau - m) ** 2 for span, m in zip(known, means, strict=True)])
        design = statsmodels.add_constant(np.log(QUANTITY))
        fit = statsmodels.WLS(means, design, weights=1 / variances).fit()
        assert found.slope == pytest.approx(fit.params[1], rel=1e-9)
        assert found.misfit == pytest.approx(fit.scale, rel=1e-9)
        by_spans = stats.norm.ppf(0.975) * fit.bse[1] / np.sqrt(fit.scale)
        by_scatter = fit.conf_int()[1, 1] - fit.params[1]
        assert (by_scatter > by_spans) == (known is bent)
        reach = max(by_spans, by_scatter)
        np.testing.assert_allclose((found.low, found.high), fit.params[1] + [-reach, reach], rtol=1e-9)
        middle, _, upper = found.line(np.array(QUANTITY))
        np.testing.assert_allclose(np.log(middle), fit.fittedvalues, rtol=1e-9)
        if known is bent:
            band = fit.get_prediction(design).conf_int()[:, 1]
            np.testing.assert_allclose(np.log(upper), band, rtol=1e-9)


def test_spans_off_a_power_law_widen_the_interval():
    """The exponent halves on the way, so no line fits."""
    known = [*spans(0.0)[:2], *spans(1.0)[2:]]
    straight, bent = fit_slope(QUANTITY, spans(0.5)), fit_slope(QUANTITY, known)
    assert bent.misfit > 5
    assert bent.high - bent.low > 2 * (straight.high - straight.low)


def test_the_interval_covers():
    rng = np.random.default_rng(1)
    found = [fit_slope(QUANTITY, spans(0.5, trials=8, rng=rng)) for _ in range(60)]
    assert np.mean([one.low <= 0.5 <= one.high for one in found]) >= 0.93
    assert np.mean([one.low <= 0.9 <= one.high for one in found]) < 0.2


def test_what_is_no_line_is_refused():
    known = spans(0.5)
    for quantity, given in (((1, 2), known[:2]), ((1, 2, 3), known), ((0, 1, 2, 3), known), ((2, 2, 2, 2), known)):
        with pytest.raises(InvalidArgument):
            fit_slope(quantity, given)
    with pytest.raises(InvalidArgument, match="level"):
        fit_slope(QUANTITY, known, 1.0)
