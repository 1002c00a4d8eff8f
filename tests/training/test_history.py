import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memspan import Evaluation, FitResult, History, Outcome

LOSSES, ACCURACIES = np.array([0.0123455, 0.0123457]), np.array([0.9, 0.92502])
SCORE = Evaluation(loss=0.0123456, accuracy=0.91251, losses=LOSSES, accuracies=ACCURACIES)


@pytest.mark.parametrize(
    ("result", "sentence"),
    [
        (
            FitResult(Outcome.SOLVED, 250, SCORE),
            "solved after 250 updates: accuracy 0.913, loss 0.01235 on held-out batches",
        ),
        (
            FitResult(Outcome.UNSOLVED, 3000, SCORE),
            "unsolved after 3000 updates: accuracy 0.913, loss 0.01235 on held-out batches",
        ),
        (
            FitResult(Outcome.DIVERGED, 6, tensor="d_R"),
            "diverged at update 7: d_R is not finite; the weights before it are kept",
        ),
        (FitResult(Outcome.INTERRUPTED, 37), "interrupted after 37 updates"),
    ],
)
def test_an_outcome_says_how_training_ended(result, sentence):
    assert str(result) == sentence


@given(st.lists(st.floats(0, 1), min_size=2, max_size=30))
def test_the_standard_error_is_that_of_a_mean_over_batches(accuracies):
    values = np.array(accuracies)
    found = Evaluation(loss=0.0, accuracy=values.mean(), losses=values, accuracies=values).standard_error
    squares = sum((one - sum(accuracies) / len(accuracies)) ** 2 for one in accuracies)
    assert found == pytest.approx((squares / (len(accuracies) - 1) / len(accuracies)) ** 0.5, abs=1e-12)
    assert isinstance(found, float)


def test_the_standard_error_of_one_batch_is_nothing():
    one = Evaluation(loss=0.0, accuracy=0.5, losses=LOSSES[:1], accuracies=ACCURACIES[:1])
    assert one.standard_error == 0.0
    assert Evaluation(0.0, 0.75, LOSSES, np.array([0.5, 1.0])).standard_error == pytest.approx(0.25)


def test_an_outcome_is_a_word_in_files():
    assert [str(outcome) for outcome in Outcome] == ["solved", "unsolved", "diverged", "failed", "interrupted"]
    assert Outcome("diverged") is Outcome.DIVERGED


def test_history_gives_every_series_as_an_array():
    history = History([0.5, 0.25], [2.0, 1.0], [1.0, 1.0], [2], [0.3], [0.4])
    arrays = history.arrays()
    assert list(arrays) == ["loss", "norm", "clipped_norm", "evaluated_at", "evaluation_loss", "accuracy"]
    assert [array.tolist() for array in arrays.values()] == [[0.5, 0.25], [2, 1], [1, 1], [2], [0.3], [0.4]]
    assert {array.dtype for array in (*arrays.values(), *History().arrays().values())} == {np.dtype("float64")}


def test_two_histories_share_nothing():
    one, other = History(), History()
    one.loss.append(1.0)
    assert other.loss == []


def test_outcomes_can_be_compared():
    one, same, other = (
        FitResult(Outcome.SOLVED, 3, Evaluation(loss, 0.95, np.array([loss, loss]), np.array([0.9, 1.0])))
        for loss in (0.1, 0.1, 0.2)
    )
    assert one == same != other
