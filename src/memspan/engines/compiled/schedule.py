"""The order in which a kernel goes through the segments of a sequence, forward and back.

The trace of one segment is kept at a time. So on the way back every segment but the last is run again before it is
differentiated: for three segments FORWARD 0, 1, 2; LOSS; BACK 2; AGAIN 1, BACK 1; AGAIN 0, BACK 0.
"""

import numpy as np
from jaxtyping import Int

FORWARD, LOSS, AGAIN, BACK = range(4)
"""What is done with a segment: run it, and read out its answers; compute the loss, of the whole sequence; run it
again from its checkpoint; back-propagate through it."""

Schedule = Int[np.ndarray, "entries 2"]
"""Pairs of what to do, and the segment."""


def forward_schedule(segments: int) -> Schedule:
    """Run every segment."""
    return np.array([(FORWARD, segment) for segment in range(segments)], np.intp)


def backward_schedule(segments: int) -> Schedule:
    """Back-propagate through every segment, after a forward pass in the same buffers."""
    last = segments - 1
    entries = [(BACK, last)]
    for segment in reversed(range(last)):
        entries += [(AGAIN, segment), (BACK, segment)]
    return np.array(entries, np.intp)


def whole_schedule(segments: int) -> Schedule:
    """Forward, the loss, and back."""
    loss = np.array([(LOSS, segments - 1)], np.intp)
    return np.concatenate([forward_schedule(segments), loss, backward_schedule(segments)])
