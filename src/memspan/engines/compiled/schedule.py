"""The order in which a kernel processes the segments of a sequence.

The kernel keeps the trace of one segment at a time. During the backward pass it runs every segment but the last
again before differentiating it: for three segments FORWARD 0, 1, 2; LOSS; BACK 2; AGAIN 1, BACK 1; AGAIN 0, BACK
0. A truncated backward pass ends at the segment `first`, before which no step contributes to the gradient.
"""

import numpy as np
from jaxtyping import Int

FORWARD, LOSS, AGAIN, BACK = range(4)
"""The operations: run a segment and read out its predictions; compute the loss of the whole sequence; run a
segment again from its checkpoint; back-propagate through a segment."""

Schedule = Int[np.ndarray, "entries 2"]
"""Pairs of an operation and a segment."""


def forward_schedule(segments: int) -> Schedule:
    """The schedule of a forward pass: run every segment."""
    return np.array([(FORWARD, segment) for segment in range(segments)], np.intp)


def backward_schedule(segments: int, first: int = 0) -> Schedule:
    """The schedule of a backward pass, after a forward pass in the same buffers."""
    last = segments - 1
    entries = [(BACK, last)]
    for segment in reversed(range(first, last)):
        entries += [(AGAIN, segment), (BACK, segment)]
    return np.array(entries, np.intp)


def whole_schedule(segments: int, first: int = 0) -> Schedule:
    """The schedule of a forward pass, the loss, and a backward pass."""
    loss = np.array([(LOSS, segments - 1)], np.intp)
    return np.concatenate([forward_schedule(segments), loss, backward_schedule(segments, first)])
