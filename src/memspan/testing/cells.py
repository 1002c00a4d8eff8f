"""The contracts of every cell, outside and inside a network."""

from collections.abc import Iterable

import numpy as np

from memspan.cells import Cell
from memspan.errors import InvalidArgument, shown
from memspan.testing import cell_functions as alone
from memspan.testing import cell_networks as inside
from memspan.testing.report import Contract, ContractReport, check_contracts


def check_cell(
    cell: Cell, *, contracts: Iterable[str] | None = None, compiled: bool = True, raises: bool = True
) -> ContractReport:
    """Check the contracts of a cell, one by one.

    Parameters
    ----------
    cell : Cell
        Not changed.
    contracts : iterable of str, optional
        Names from `CELL_CONTRACTS`; by default all.
    compiled : bool
        Whether to compare the compiled engine with the readable one, which takes about ten seconds for each dtype.
    raises : bool
        Whether to raise `ContractBroken` for the first broken contract. Otherwise all contracts are checked, and
        the report has those that are broken.

    Returns
    -------
    ContractReport
        The contracts that were checked; true if all are kept.

    Raises
    ------
    ContractBroken
        An `AssertionError` for the first broken contract, with its name, its rule and what was found, if `raises`.
    InvalidArgument
        If `cell` is not a Cell, or a contract is unknown.
    """
    if not isinstance(cell, Cell):
        raise InvalidArgument("cell", "a Cell", shown(cell))
    names = CELL_CONTRACTS if contracts is None else contracts
    chosen = [name for name in names if compiled or name != "engines"]
    with np.errstate(under="ignore"):
        return check_contracts(f"The cell {cell.name}", cell, CELL_CONTRACTS, chosen, raises=raises)


CELL_CONTRACTS: dict[str, Contract[Cell]] = {
    "names": Contract.of(alone.check_names),
    "finite": Contract.of(alone.check_finite, essential=True),
    "derivative": Contract.of(alone.check_derivative),
    "arithmetic": Contract.of(alone.check_arithmetic),
    "inputs kept": Contract.of(alone.check_inputs_kept),
    "precision": Contract.of(alone.check_precision),
    "reset": Contract.of(alone.check_reset),
    "sigmoid gates": Contract.of(alone.check_sigmoid_gates),
    "neighbours": Contract.of(alone.check_neighbours),
    "feeds": Contract.of(inside.check_feeds),
    "unit weights": Contract.of(inside.check_unit_weights),
    "gradient": Contract.of(inside.check_gradient),
    "prefixes": Contract.of(inside.check_prefixes),
    "repeat": Contract.of(inside.check_repeat),
    "batch": Contract.of(inside.check_batch),
    "total": Contract.of(inside.check_total),
    "dtype": Contract.of(inside.check_dtype),
    "complex": Contract.of(inside.check_complex),
    "engines": Contract.of(inside.check_engines, slow=True),
}
"""All contracts of a cell by name, in the order of checking."""
