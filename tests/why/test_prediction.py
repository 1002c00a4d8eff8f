from types import MappingProxyType

import numpy as np
import pytest

from memspan import Configuration, estimate_span
from memspan.why.prediction import FAR, SEEN, Needed, PlateauPrediction, needed_record

INF = np.inf
GIVEN = 100
CONFIGURATION = Configuration(optimizer="momentum", learning_rate=0.03, updates=GIVEN)


def needed(length, updates, without=None, z=50.0):
    updates = np.array(updates, float)
    without = updates if without is None else np.array(without, float)
    one = np.ones(len(updates))
    return Needed(length, updates, without, 1e-6 * one, z * one, 1e-3 * one)


def prediction(*parts, fields=None):
    left = [int((part.updates <= GIVEN).sum()) for part in parts]
    estimate = estimate_span([part.length for part in parts], left, [len(part.updates) for part in parts])
    configuration = CONFIGURATION.model_copy(update=fields or {})
    return PlateauPrediction(
        configuration, estimate, MappingProxyType({part.length: part for part in parts}), -0.1
    )


FAST = needed(5, [20, 30, 40, 50] * 4)
SLOW = needed(20, [500, 600, 700, INF] * 4)


def test_quartiles_are_values_of_networks():
    assert needed(3, [4, 1, 3, 2]).quartiles == (1, 2, 3)
    assert needed(3, [4, 1, INF, INF]).quartiles == (1, 4, INF)
    assert repr(needed(3, [4, 1, INF, INF])) == "<Needed at T = 3: 4 updates, quartiles 1 and inf>"


@pytest.mark.parametrize(
    ("updates", "without", "z", "reason"),
    [
        (GIVEN + 1, GIVEN + 1, 50, "budget"),
        (FAR * GIVEN, GIVEN + 1, 50, "budget"),
        (GIVEN + 1, GIVEN, 50, "noise"),
        (INF, GIVEN, 50, "noise"),
        (INF, FAR * GIVEN, 50, "noise"),
        (INF, INF, 50, "vanishing"),
        (INF, INF, 0.9 * SEEN, "no signal"),
    ],
)
def test_reasons(updates, without, z, reason):
    assert needed(5, [updates], [without], z).reasons(GIVEN) == [reason]


def test_who_leaves_in_time_has_no_reason():
    assert FAST.reasons(GIVEN) == []
    assert needed(5, [GIVEN, GIVEN + 1]).reasons(GIVEN) == ["budget"]


def test_the_limit_is_the_most_frequent_reason_near_the_predicted_length():
    far = needed(500, [INF] * 64)
    assert prediction(FAST, SLOW, far).limit == "budget"
    assert prediction(FAST, needed(20, [INF] * 16, [GIVEN] * 16), far).limit == "noise"
    assert prediction(FAST, far).limit == "vanishing"


def test_a_few_networks_that_stay_are_no_limit_if_most_leave_at_every_length():
    most = needed(8, [20] * 15 + [INF])
    assert prediction(FAST, most).limit == "none"
    assert prediction(FAST, most).estimate.span is None


def test_the_sentence_has_the_length_its_interval_and_what_it_means():
    found = prediction(FAST, SLOW)
    estimate = found.estimate
    assert str(found) == (
        "The length at which half of the networks leave the plateau within 100 updates: "
        f"T = {estimate.span:.3g} [{estimate.low:.3g}, {estimate.high:.3g}] (95 %). "
        "Beyond it networks need more updates."
    )
    assert repr(found) == f"<Prediction: {found.estimate.short} steps, limit budget>"


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ([FAST], "at least 5 (95 %)."),
        ([SLOW], "below 20 (95 %). Beyond"),
        ([needed(5, [20, 30, 200, 300]), needed(6, [20, 30, 200, 300])], "(95 %)."),
        ([needed(5, [20] * 16), needed(6, [20, 200] * 2)], "(95 %)."),
    ],
)
def test_open_ends_have_a_sentence_and_numbers(parts, words):
    found = prediction(*parts)
    assert None in (found.estimate.low, found.estimate.high)
    assert words in str(found)
    assert "None" not in str(found)
    assert None in (found.numbers()["low"], found.numbers()["high"])


def test_what_is_infinite_is_null_and_the_table_says_more_than():
    found = prediction(FAST, needed(20, [500, INF, INF, INF]))
    assert found.numbers()["needed_by_length"] == {5: [20, 30, 40], 20: [500, None, None]}
    row = [str(cell) for column in found.table().columns for cell in column.cells][1::2]
    assert row == ["20", "4", "0", "1e-06", "> 1000", "500 to > 1000", "> 1000", "1000"]


def test_the_record_has_a_line_for_each_configuration():
    one = needed_record([prediction(FAST, SLOW)])
    assert [line.label for line in one.configurations] == ["rnn"]
    assert "16 networks at each length" in one.title
    cells = [prediction(FAST, SLOW), prediction(FAST, needed(9, [INF] * 4), fields={"cell": "lstm"})]
    record = needed_record(cells)
    assert [line.label for line in record.configurations] == ["rnn", "lstm"]
    assert "4 to 16 networks" in record.title
    assert record.rows()[0] == ("rnn", 5, 20, 30, 40, GIVEN)
    assert record.rows()[-1] == ("lstm", 9, INF, INF, INF, GIVEN)
