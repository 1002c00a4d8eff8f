import numpy as np
import pytest

from memspan.study.trial import DIGITS, Trial, rounded
from memspan.study.trial import Test as Score  # not collected


def test_the_scores_of_a_trial_are_columns(make_trial):
    trial = make_trial(
        3, tests=[Score(length=5, accuracy=0.5, loss=2.0), Score(length=9, accuracy=0.25, loss=3.0)]
    )
    expected = {"accuracy_at_9": 0.25, "loss_at_9": 3.0, "accuracy_at_5": 0.5, "loss_at_5": 2.0}
    assert trial.scores_at((9, 5)) == expected
    assert all(map(np.isnan, trial.scores_at([7]).values()))


def test_a_rounded_number_has_about_six_digits_and_keeps_what_is_not_one():
    values = np.array([1 / 3, -1e300 / 3, 5e-324, 0.0, 12345678.9, np.finfo(float).max])
    np.testing.assert_allclose(rounded(values), values, rtol=2.0 ** (1 - DIGITS))
    assert rounded(values) != values.tolist()
    assert rounded(np.array([np.inf, -np.inf])) == [np.inf, -np.inf]
    assert np.isnan(rounded(np.array([np.nan]))).all()
    for value in rounded(values[:2]):
        assert value == rounded(np.array([value]))[0]


def test_a_trial_takes_no_unknown_field(make_trial):
    record = make_trial(2).model_dump() | {"colour": 3}
    with pytest.raises(ValueError, match="colour"):
        Trial.model_validate(record)


def test_what_is_not_finite_survives_the_way_to_json_and_back(make_trial, diverged_at_once):
    extreme = make_trial(2, 1, loss=np.inf, curve=[1e-300, 5e-324, -np.inf, np.nan])
    for trial in (diverged_at_once(3), extreme):
        again = Trial.model_validate_json(trial.model_dump_json())
        np.testing.assert_array_equal(again.loss, trial.loss)
        np.testing.assert_array_equal(again.curve, trial.curve)
        for name in ("d_a", "d_R", "d_W"):
            np.testing.assert_array_equal(getattr(again.end, name), getattr(trial.end, name))


def test_a_spread_needs_the_map_whose_norms_it_spreads(make_trial):
    spread = make_trial(3).flow_spread
    with pytest.raises(ValueError, match="flow_spread must have a row for each row of flow_map"):
        make_trial(3, flow_map=[], flow_spread=spread)
