import importlib.util

import numpy as np
import pytest

from memspan.bench import ENGINES, Case
from memspan.bench.measure import core_numbers, difference
from memspan.bench.peers import NoSuchCell, arranged
from memspan.bench.worker import EngineProcesses

OTHERS = [
    pytest.param(
        name,
        marks=[
            pytest.mark.slow,
            pytest.mark.skipif(importlib.util.find_spec(name) is None, reason=f"{name} is not installed"),
        ],
    )
    for name in ("torch", "jax")
]


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm", "cornn"])
@pytest.mark.parametrize("engine", ["readable", pytest.param("compiled", marks=pytest.mark.slow)])
def test_our_engines_find_what_they_should(engine, cell):
    case = Case(cell, 7, 5, 6)
    for each in ENGINES[engine].passes(case).values():
        each.run()
        assert difference(each.result(), case.result(), case)[0] < 1e-5


@pytest.mark.parametrize("engine", OTHERS)
def test_the_others_find_the_same_in_a_process_of_their_own(engine):
    with EngineProcesses(ENGINES[engine].passes, [set(core_numbers(1))]) as processes:
        for cell in ("rnn", "gru", "lstm"):
            case = Case(cell, 7, 5, 6)
            ways = processes.prepare(case)
            assert len(ways) == 2
            for _, result in ways.values():
                assert difference(result, case.result(), case)[0] < 1e-5


def test_a_cell_that_pytorch_has_not():
    pytest.importorskip("torch")
    with pytest.raises(NoSuchCell, match="PyTorch has no cell slstm"):
        ENGINES["torch"].passes(Case("slstm", 2, 2, 2))


def test_gates_are_put_in_another_order():
    columns = np.array([[1.0, 1, 2, 2, 3, 3], [4, 4, 5, 5, 6, 6]])
    np.testing.assert_array_equal(
        arranged(columns, ("n", "r", "z"), ("r", "z", "n"), 2), [[2, 2, 3, 3, 1, 1], [5, 5, 6, 6, 4, 4]]
    )
