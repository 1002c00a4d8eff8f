"""Handwritten digits, read row by row: a bridge from synthetic tasks to real data."""

import functools
import hashlib
import io
from dataclasses import dataclass
from importlib.resources import files

import numpy as np

from memspan.errors import UnreadableFile
from memspan.runtime.renamed import checked_keywords
from memspan.tasks.arrays import DataSet, DataTask

FILE = "digits.npy"
DIGEST = "c45cf27f9e6d1507aa17aa9949fab3d046c8ffa373a108f49991e27f232ad83b"
"""The SHA-256 of the file. A fingerprint of the task covers it, and so the data."""
TRAINED = 1300
"""The number of images in the training part."""
BRIGHTEST = 16


@checked_keywords()
@dataclass(frozen=True)
class Digits(DataTask):
    """Name a handwritten digit, T - 8 steps after its last row.

    An image has 8 x 8 pixels, scaled to [0, 1]. The network reads one row of 8 pixels in each of the first 8
    steps. Then noise follows, with the mean and the standard deviation of each column of the training images.

    Of the 1,797 images 1,300 are for training, and 497 are held out. The split is fixed and stratified: both parts
    have the same share of each digit, up to one image. So the writers of the held-out images are those of the
    training images: the task asks how long a digit is remembered, not how well unknown handwriting is read.
    Because the held-out images repeat, their accuracy has a standard error of about 1.3 % at 0.9, however many
    sequences are drawn.

    The images are those of scikit-learn's `load_digits`, and are part of memspan. They come from the UCI Machine
    Learning Repository (doi:10.24432/C50P49, test part, CC BY 4.0).

    Parameters
    ----------
    noise : float
        The amplitude of the noise, relative to the standard deviation of the pixels; at least 0. At 0 every step
        after the image is the mean row.
    """

    family = "digits"
    variants = ("rows",)
    sentence = "After the 8 rows of a handwritten digit and T - 8 steps of noise, name the digit."
    source = "Alpaydin & Kaynak 1998 (doi:10.24432/C50P49), row by row"

    @property
    def data(self) -> DataSet:
        """The images as sequences of rows."""
        return _digits()


@functools.cache
def _digits() -> DataSet:
    """Read the images, and split them.

    Raises
    ------
    UnreadableFile
        If the file was changed.
    """
    content = files("memspan.tasks").joinpath("data", FILE).read_bytes()
    if hashlib.sha256(content).hexdigest() != DIGEST:
        raise UnreadableFile(f"memspan's file {FILE} is damaged: install memspan again.")
    rows = np.load(io.BytesIO(content), allow_pickle=False)
    images, labels = rows[:, :-1].reshape(-1, 8, 8) / BRIGHTEST, rows[:, -1]
    return DataSet.of(images, labels, 1 - TRAINED / len(rows))
