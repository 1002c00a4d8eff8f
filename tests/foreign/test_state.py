from typing import NamedTuple

import numpy as np

from memspan.foreign.state import parts_of, with_parts


class Pair(NamedTuple):
    h: object
    c: object


def test_the_parts_of_a_state_are_its_arrays_of_floats_in_their_order():
    h, c, m = (np.full((2, width), float(width)) for width in (1, 2, 3))
    state = {"first": (h, [c]), "count": 7, "mask": np.zeros(2, int), "pair": Pair(m, None)}
    assert [part.shape[1] for part in parts_of(state)] == [1, 2, 3]
    filled = with_parts(state, [-part for part in parts_of(state)])
    assert list(filled) == list(state)
    assert [part[0, 0] for part in parts_of(filled)] == [-1, -2, -3]
    assert (filled["count"], filled["pair"].c, type(filled["pair"])) == (7, None, Pair)
    assert filled["mask"] is state["mask"]
    assert isinstance(filled["first"], tuple) and isinstance(filled["first"][1], list)  # noqa: PT018
    assert state["first"][0][0, 0] == 1


def test_an_array_alone_is_a_state_and_none_has_no_parts():
    assert with_parts(np.ones((2, 1)), [np.zeros((2, 1))]).tolist() == [[0], [0]]
    assert parts_of(None) == []
    assert with_parts(None, []) is None
