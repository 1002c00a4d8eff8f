"""What a prediction for Adam says: by length, in a sentence, as a table and as JSON."""

import json

import numpy as np
import pytest

from memspan import Configuration
from memspan.why.noise_jump import NoiseJump, noise_jump
from memspan.why.prediction import needed_record
from memspan.why.thrown import JumpPrediction, Thrown

GIVEN = 1500
QUICK = NoiseJump(wait=300.0, fade=50.0, first=6.0)
SLOW = NoiseJump(wait=20_000.0, fade=50.0, first=6.0)


def thrown(length, jump=QUICK):
    return Thrown(length, np.array([1e-6, 1e-5, 1e-4]), jump)


QUICK_QUARTILES = thrown(20).quartiles


def prediction(*parts, thrown_from=None, **fields):
    configuration = Configuration(updates=GIVEN, **fields)
    return JumpPrediction(configuration, {part.length: part for part in parts}, thrown_from, -0.1)


def test_quartiles_are_those_of_the_jump():
    low, median, high = thrown(10).quartiles
    for share, update in ((0.25, low), (0.5, median), (0.75, high)):
        assert QUICK.probability(update) == pytest.approx(share)
    assert repr(thrown(10)) == f"<Thrown at T = 10: at update {median:.4g}, quartiles {low:.4g} and {high:.4g}>"


def test_a_row_has_the_share_thrown_within_the_updates_given():
    found = prediction(thrown(5, SLOW), thrown(20)).table()
    cells = [[str(cell) for cell in column.cells] for column in found.columns]
    low, median, high = QUICK_QUARTILES
    share = 100 * QUICK.probability(GIVEN)
    row = ["20", "3", "1e-05", f"{share:.0f} %", f"{median:.0f}", f"{low:.0f} to {high:.0f}"]
    assert [column[1] for column in cells] == row
    first = [column[0] for column in cells]
    assert first[3] == f"{100 * SLOW.probability(GIVEN):.0f} %"
    assert first[4:] == [f"{SLOW.quantile(0.5):.0f}", f"{SLOW.quantile(0.25):.0f} to > 15000"]


def test_numbers_have_the_keys_of_every_prediction_and_no_length():
    found = prediction(thrown(5, SLOW), thrown(20), thrown_from=12)
    numbers = json.loads(json.dumps(found.numbers(), allow_nan=False))
    names = ["configuration", "length_predicted", "low", "high", "limit", "lambda_1", "needed_by_length"]
    assert list(numbers)[:7] == names
    assert [numbers[name] for name in ("length_predicted", "low", "high")] == [None] * 3
    assert (numbers["limit"], numbers["lambda_1"], numbers["thrown_from"]) == ("noise jump", -0.1, 12)
    assert numbers["needed_by_length"] == {}
    assert numbers["at_once"] is False
    assert numbers["thrown_by_length"]["20"]["updates"] == list(QUICK_QUARTILES)
    assert numbers["thrown_by_length"]["5"]["updates"][2] is None
    assert numbers["thrown_by_length"]["20"]["share"] == pytest.approx(QUICK.probability(GIVEN))


def test_the_sentence_says_from_which_length_on_noise_throws_most_networks():
    found = prediction(thrown(5, SLOW), thrown(20), thrown_from=12)
    assert str(found).startswith(
        "From T = 12 on noise throws R of more than half of the networks within 1,500 updates"
    )
    assert "A third of the learning rate" in str(found)
    assert repr(found) == "<Prediction: limit noise jump, from T = 12>"


def test_where_noise_throws_few_the_limit_is_undetermined():
    found = prediction(thrown(5, SLOW), thrown(20, SLOW))
    assert found.limit == "undetermined"
    assert str(found).startswith(
        "Up to T = 20 noise throws R of at most half of the networks within 1,500 updates."
    )
    assert "third of the learning rate" not in str(found)
    assert repr(found) == "<Prediction: limit undetermined>"


def test_at_once_is_said():
    fast = noise_jump(0.03, hidden=32, batch=64, length=20)
    found = prediction(thrown(20, fast), thrown_from=5)
    assert found.at_once
    assert "The first updates alone throw R" in str(found)
    assert found.numbers()["at_once"] is True


@pytest.mark.parametrize("found", [prediction(thrown(5)), prediction(thrown(5, SLOW), thrown_from=7)])
def test_no_sentence_promises_a_span(found):
    assert "`memspan span` measures it" in str(found)


def test_the_line_of_the_figure_is_marked_and_cut_where_it_is_unknown():
    record = needed_record([prediction(thrown(5, SLOW), thrown(20))])
    (line,) = record.configurations
    assert (line.by_noise, line.estimate, line.lengths) == (True, None, [5, 20])
    assert line.high[0] == np.inf
    assert line.median[1] == QUICK_QUARTILES[1]
    assert "3 networks" in record.title
