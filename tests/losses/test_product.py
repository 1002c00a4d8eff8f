import numpy as np

from memspan.losses import LOSSES, MeanProduct


def test_value_and_derivative_by_hand():
    loss = MeanProduct()
    y_hat, y = np.array([[1.0, 2.0], [3.0, -1.0]]), np.array([[0.0, 4.0], [3.5, -1.0]])
    assert loss.forward(y_hat, y) == (0 + 8 + 10.5 + 1) / 4
    assert loss.backward().tolist() == [[0.0, 1.0], [0.875, -0.25]]


def test_a_masked_label_counts_neither_in_the_sum_nor_in_the_mean():
    loss = MeanProduct(masked=True)
    assert loss.forward(np.array([[1.0], [2.0], [3.0]]), np.array([[5.0], [np.nan], [7.0]])) == (5 + 21) / 2
    assert loss.backward().tolist() == [[2.5], [0.0], [3.5]]


def test_the_derivative_does_not_depend_on_the_predictions():
    loss, y = MeanProduct(), np.array([[1.0], [-2.0]])
    for y_hat in (np.zeros((2, 1)), np.full((2, 1), 1e6)):
        loss.forward(y_hat, y)
        assert loss.backward().tolist() == [[0.5], [-1.0]]


def test_it_is_no_loss_to_train_with():
    assert MeanProduct not in LOSSES.values()
