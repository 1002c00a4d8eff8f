import multiprocessing
import os

import pytest

from memspan.execution.jobs import HERE, Board, Job, OtherVersion, work
from memspan.study.configuration import Configuration
from memspan.study.fingerprint import fingerprints
from memspan.study.group import Stopped


def test_a_board_tells_of_each_worker_apart(monkeypatch):
    for name in ("watch", "begin"):
        monkeypatch.setattr(HERE, name, getattr(HERE, name))
    board = Board(3, multiprocessing.get_context("spawn"))
    assert (board.process(1), board.begun(1)) == (0, False)
    board.join(1)
    assert board.process(1) == os.getpid()
    HERE.begin()
    assert board.begun(1)
    HERE.watch(7, 0, 5)
    HERE.watch(7, 2, 9)
    ticket, updates = board.read(1)
    assert (ticket, updates[:4]) == (7, [5, 0, 9, 0])
    assert board.read(0)[0] == board.read(2)[0] == 0
    HERE.watch(8, 1, 3)
    assert (board.read(1)[0], board.read(1)[1][:3]) == (8, [0, 3, 0])
    board.stop()
    with pytest.raises(Stopped):
        HERE.watch(8, 1, 4)
    board.clear(1)
    assert not board.begun(1)


def test_a_worker_of_another_version_refuses(tmp_path):
    configuration = Configuration(updates=1)
    with pytest.raises(OtherVersion, match=r"The worker .* has memspan .*, the coordinator 0\.0\.0"):
        work(Job(1, 0, configuration, 3, (0,), version="0.0.0"))


def test_a_worker_with_other_code_of_a_cell_refuses():
    """The file of the cell was edited between the starts of the worker and of the coordinator."""
    configuration = Configuration(updates=1, hidden=2, batch=2, evaluation_samples=2, final_batches=1)
    code = tuple(sorted(fingerprints(configuration).items()))
    assert len(work(Job(1, 0, configuration, 3, (0,), code=code))) == 1
    other = tuple((name, "0" if name == "cell rnn" else digest) for name, digest in code)
    message = r"The worker .* and the coordinator have different code of cell rnn\. Restart the workers"
    with pytest.raises(OtherVersion, match=message):
        work(Job(1, 0, configuration, 3, (0,), code=other))
