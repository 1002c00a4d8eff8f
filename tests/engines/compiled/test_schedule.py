"""The order of segments."""

import pytest

from memspan.engines.compiled.schedule import (
    AGAIN,
    BACK,
    FORWARD,
    LOSS,
    backward_schedule,
    forward_schedule,
    whole_schedule,
)


def test_three_segments():
    expected = [
        *((FORWARD, 0), (FORWARD, 1), (FORWARD, 2), (LOSS, 2)),
        *((BACK, 2), (AGAIN, 1), (BACK, 1), (AGAIN, 0), (BACK, 0)),
    ]
    assert [tuple(entry) for entry in whole_schedule(3).tolist()] == expected


@pytest.mark.parametrize("segments", [1, 2, 5])
def test_the_halves_are_the_whole_without_the_loss(segments):
    halves = [*forward_schedule(segments).tolist(), *backward_schedule(segments).tolist()]
    assert halves == [entry for entry in whole_schedule(segments).tolist() if entry[0] != LOSS]
    assert forward_schedule(1).tolist() == [[FORWARD, 0]]
    assert backward_schedule(1).tolist() == [[BACK, 0]]
