import pytest

from memspan import estimate_span
from memspan.span.ranking import rank

KNOWN = estimate_span([80, 90, 100, 110], [8, 7, 2, 0], 8)
BEYOND_100 = estimate_span([40, 70, 100], [8, 7, 5], 8)
BEYOND_50 = estimate_span([30, 50], [8, 8], 8)
SHORT = estimate_span([4, 5, 6], [20, 6, 0], 20)
BELOW_5 = estimate_span([5, 10], [1, 0], 8)
BELOW_9 = estimate_span([9, 10], [1, 0], 8)


def test_the_examples_are_what_their_names_say():
    assert (BEYOND_100.span, BEYOND_50.span, BELOW_5.span, BELOW_9.span) == (None,) * 4
    assert BEYOND_100.low < KNOWN.span < 100
    assert SHORT.span < BELOW_5.high


@pytest.mark.parametrize(
    ("shorter", "longer"),
    [
        (KNOWN, BEYOND_100),  # although its bound is below the known span
        (BEYOND_50, KNOWN),
        (SHORT, KNOWN),
        (BELOW_5, SHORT),  # although its bound is above the known span
        (BELOW_5, BELOW_9),
        (None, BELOW_5),
        (BELOW_9, SHORT),
    ],
)
def test_a_longer_span_has_a_larger_rank(shorter, longer):
    assert rank(shorter) < rank(longer)
