"""The order of spans, of which some are known as a bound only."""

from memspan.span.estimate import SpanEstimate


def rank(estimate: SpanEstimate | None) -> tuple[float, float]:
    """Return a key to sort spans by; that of a longer span is larger.

    A span whose median lies beyond its tried lengths comes after all spans that end within these. One whose median
    lies below its tried lengths, or of which nothing is known, comes before all others.

    Parameters
    ----------
    estimate : SpanEstimate or None
        None if no training counts.

    Examples
    --------
    >>> from memspan import estimate_span
    >>> known, beyond, below = (estimate_span([50, 100], solved, 8) for solved in ([8, 1], [8, 7], [0, 0]))
    >>> rank(below) < rank(known) < rank(beyond)
    True
    """
    if estimate is None:
        return 0.0, 0.0
    if estimate.span is not None:
        return estimate.span, 0.0
    if estimate.low is not None:
        return estimate.lengths[-1], 1.0
    return 0.0, estimate.high or 0.0
