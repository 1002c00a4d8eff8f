"""Handwritten digits: the data, and where they are from."""

import numpy as np
import pytest

from memspan import TASKS, Configuration, Digits
from memspan.errors import UnreadableFile
from memspan.study.group import untrained
from memspan.tasks import digits as module

TASK = TASKS["digits/rows"]
FIRST_HELD_OUT = [0, 8, 15, 17, 18, 29]


def test_the_images_are_those_of_scikit_learn():
    datasets = pytest.importorskip("sklearn.datasets", reason="scikit-learn is not installed")
    images = datasets.load_digits()
    np.testing.assert_array_equal(TASK.data.x, images.images / 16)
    np.testing.assert_array_equal(TASK.data.y.argmax(axis=1), images.target)


def test_the_split_is_fixed_and_stratified():
    data = TASK.data
    assert {part: len(where) for part, where in data.parts.items()} == {"training": 1300, "held-out": 497}
    digits = data.y.argmax(axis=1)
    every = np.bincount(digits)
    for where in data.parts.values():
        assert np.abs(np.bincount(digits[where]) - every * len(where) / len(digits)).max() < 1
    np.testing.assert_array_equal(data.parts["held-out"][:6], FIRST_HELD_OUT)  # another split is another task


def test_pixels_are_scaled_to_one():
    assert (TASK.data.x.min(), TASK.data.x.max()) == (0, 1)
    assert TASK.least_length == 8
    assert TASK.trivial_risk(30) == pytest.approx(np.log(10), abs=1e-3)


def test_studies_score_networks_on_images_that_training_never_draws():
    _, training, evaluation = untrained(Configuration(task="digits/rows", batch=800), 9, 0)
    drawn = [{x[:8, b].tobytes() for b in range(x.shape[1])} for x, _ in (next(training), next(evaluation))]
    assert len(drawn[0]) > 550
    assert len(drawn[1]) > 280
    assert not drawn[0] & drawn[1]


def test_a_damaged_file_is_refused(monkeypatch):
    monkeypatch.setattr(module, "DIGEST", "0" * 64)
    with pytest.raises(UnreadableFile, match=r"memspan's file digits\.npy is damaged: install memspan again"):
        module._digits.__wrapped__()


def test_a_linear_readout_of_the_image_generalises():
    """A readout fitted to the training images names most held-out ones, so images and labels belong together."""
    x, y, parts = TASK.data.x.reshape(1797, -1), TASK.data.y, TASK.data.parts
    x = np.column_stack([x, np.ones(len(x))])
    fitted = np.linalg.lstsq(x[parts["training"]], y[parts["training"]], rcond=1e-6)[0]
    assert Digits().for_evaluation.accuracy(x[parts["held-out"]] @ fitted, y[parts["held-out"]]) > 0.9
