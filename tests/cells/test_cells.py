"""Every cell in CELLS keeps the contracts of a cell, and what is none is refused."""

from dataclasses import replace

import numpy as np
import pytest

from memspan import CELLS, Network
from memspan.cells.base import Reset
from memspan.testing import CELL_CONTRACTS, check_cell

every_cell = pytest.mark.parametrize("cell", CELLS)


@every_cell
@pytest.mark.parametrize("contract", [name for name in CELL_CONTRACTS if name != "engines"])
def test_contract(cell, contract):
    """That of the engines is `tests/engines/compiled/test_engine.py`, at more sizes."""
    check_cell(CELLS[cell], contracts=[contract])


@every_cell
def test_names(cell):
    assert CELLS[cell].name == cell


RELATIVE = {"i", "f"}
"""The gates of the sLSTM that are saved relative to the larger of the two."""


@every_cell
def test_every_gate_between_0_and_1_is_declared(cell):
    """Found by trying: for large pre-activations of either sign, the gate is all but closed and all but open."""
    cell, rng = CELLS[cell], np.random.default_rng(0)
    s, previous, weights = (
        scale * rng.standard_normal((len(group), 50, 20))
        for scale, group in ((20, cell.gates), (1, cell.states), (1, cell.unit_weights))
    )
    _, residuals = cell.forward(tuple(s), tuple(previous), (*weights, *cell.constants.values()))
    bounded = {
        name
        for name, value in zip(cell.residuals, residuals, strict=True)
        if name in cell.gates and 0 <= value.min() < 1e-6 and 1 - 1e-6 < value.max() <= 1
    }
    assert set(cell.sigmoid_gates) == bounded - (RELATIVE if cell.name == "slstm" else set())


@every_cell
def test_own_weights_are_drawn_one_by_one(cell):
    U = Network(cell, 1, 7, 1, rng=5).U
    assert np.unique(U).size == U.size


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"input_gates": ("f", "i")}, "input_gates must be the first gates"),
        ({"recurrent_gates": ("i", "f")}, "input_gates must be the first gates and recurrent_gates the last"),
        ({"reads": ("c",)}, "reads must be the first of the states"),
        ({"reset": Reset(("i",), None, None), "residuals": ("q",)}, "reset.gates must be the last gates"),
        ({"reset": Reset(("o",), None, None)}, "reset.gates must be the last gates, and residuals must"),
        ({"bias": {"F": 1.0}}, "bias must name only the gates"),
        ({"sigmoid_gates": ("i", "c")}, "sigmoid_gates must be gates that residuals contain"),
        ({"residuals": ("i", "f", "g", "x")}, "sigmoid_gates must be gates that residuals contain"),
    ],
)
def test_a_cell_whose_names_are_out_of_order_is_refused(change, complaint):
    with pytest.raises(ValueError, match=f"lstm: {complaint}"):
        replace(CELLS["lstm"], **change)


def test_a_cell_whose_start_is_unknown_is_refused():
    with pytest.raises(ValueError, match="init must be"):
        replace(CELLS["lstm"], init="nowhere")


def choosing(s, previous, unit):
    return ((s[0] if s[0] > 0 else 0 * s[0]),), ()


def lacking(s, previous, unit):
    return (unit[0] * s[0],), ()


@pytest.mark.parametrize(("forward", "error"), [(choosing, "truth value"), (lacking, "index out of range")])
def test_a_cell_that_does_not_take_arrays_is_refused(forward, error):
    with pytest.raises(ValueError, match=f"rnn: forward failed with .*{error}"):
        replace(CELLS["rnn"], forward=forward)


def returns(found):
    return lambda *arguments: found


@pytest.mark.parametrize(
    ("cell", "change", "got"),
    [
        ("lstm", {"forward": returns(((0, 0), (0, 0, 0)))}, r"forward must return .*, got \[2, 3\]"),
        ("rnn", {"forward": returns(np.zeros((1, 1)))}, r"forward must return .*, got ndarray"),
        ("rnn", {"forward": returns((0, 0))}, r"forward must return .*, got tuple"),
        ("lstm", {"backward": returns(((0,) * 4, (0, 0)))}, r"backward must return .*, got \[4, 2\]"),
        ("lstm", {"backward": returns(((0,) * 4, (0, 0), (0,)))}, r"backward must return .*, got \[4, 2, 1\]"),
        ("lru", {"backward": returns(((0, 0), (0, 0), ()))}, r"backward must return .*'nu'.*, got \[2, 2, 0\]"),
        (
            "mgu",
            {"reset": replace(CELLS["mgu"].reset, backward=returns(((0, 0), (0,))))},
            r"the reset's backward must return .*, got \[2, 1\]",
        ),
    ],
)
def test_a_cell_that_returns_more_or_fewer_values_than_it_names_is_refused(cell, change, got):
    with pytest.raises(ValueError, match=f"{cell}: {got}"):
        replace(CELLS[cell], **change)
