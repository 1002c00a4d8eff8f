"""The result of a gradient check, as records and as a table."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, overload

import numpy as np
from jaxtyping import Float
from rich.text import Text

from memspan.runtime.tables import TextTable
from memspan.shapes import PerStep

DROPPED = (
    "Complex numbers lose their imaginary part in the {} (float(), abs, .real or a buffer of floats), so the exact"
    " complex step was not possible. Central differences were used instead; they have half the digits."
)
MOVED = (
    "Where rounding dominates (at a kink, in saturation, where terms cancel), the gradients were compared again"
    " with all weights moved a little."
)

Errors = Float[np.ndarray, "errors"]


@dataclass(frozen=True)
class Comparison:
    """One weight's gradient, compared as a whole or step by step, at its worst element.

    Attributes
    ----------
    weight : str
        `W`, `R`, `bs`, `V` or `by`; `y_hat` for the loss's own derivative.
    scope : str
        `sum` (over time), `steps` (each on its own scale), or the name of a contract.
    index : tuple of int
        The worst element inside the weight; empty where there is no single one.
    step : int or None
        The time step of that element, counted from 0 as in `d_R[t]`. Of several that fail it is the latest, where
        the mistake entered.
    gate : str or None
        The gate of that element's column.
    analytical, oracle, central : float
        The three gradients of that element: back-propagation, complex step, central difference (nan if not
        computed).
    error, tolerance : float
        The largest difference in the weight (at that step) relative to its scale, and the largest allowed.
    passed : bool
        Whether the error is within the tolerance.
    failing : tuple of int
        The time steps that fail.
    checked : bool
        Whether anything was compared. A tolerance above 1 % would pass a mistake of 1 %, so it does not count.
    blind : tuple of int
        The time steps that were not compared.
    reason : str
        Why something was not compared.
    moved : str
        What was changed for this comparison (weights, inputs), because the given point did not allow it.
    dropped : str
        What drops the imaginary part of complex numbers, such as "loss". Then `oracle` is nan, and `central` was
        compared.
    note : str
        A remark on the comparison.
    """

    weight: str
    scope: str
    passed: bool
    error: float = float("nan")
    tolerance: float = float("nan")
    index: tuple[int, ...] = ()
    step: int | None = None
    gate: str | None = None
    analytical: float = float("nan")
    oracle: float = float("nan")
    central: float = float("nan")
    failing: tuple[int, ...] = ()
    checked: bool = True
    blind: tuple[int, ...] = ()
    reason: str = ""
    moved: str = ""
    dropped: str = ""
    note: str = ""

    @property
    def is_contract(self) -> bool:
        """Whether this is a contract, which holds or not, rather than a comparison of numbers."""
        return math.isnan(self.tolerance)

    @property
    def place(self) -> str:
        """The place of the worst element, as `R[3,5] t=7 gate f`."""
        index = f"[{','.join(map(str, self.index))}]" if self.index else ""
        step = "" if self.step is None else f" t={self.step}"
        gate = "" if self.gate is None else f" gate {self.gate}"
        return f"{self.weight}{index}{step}{gate}"


@dataclass(frozen=True)
class GradientReport:
    """The result of `gradient_check`; true if nothing failed and every weight could be compared.

    Attributes
    ----------
    comparisons : tuple of Comparison
        One for each weight and scope.
    step_errors : dict of array [T]
        For `W`, `R` and `bs`, the error of every time step relative to that step's gradient.
    subject : str
        The model and the sizes that were checked.
    """

    subject: str
    comparisons: tuple[Comparison, ...]
    step_errors: dict[str, PerStep] = field(repr=False)

    @property
    def passed(self) -> bool:
        """Whether every comparison passed, and every weight was compared in at least one."""
        return not self.failures and not self.unchecked_weights

    @property
    def failures(self) -> tuple[Comparison, ...]:
        """The comparisons that failed."""
        return tuple(comparison for comparison in self.comparisons if not comparison.passed)

    @property
    def unchecked(self) -> dict[tuple[str, str], tuple[Comparison, ...]]:
        """The comparisons that were possible neither at the given nor at the moved point, by weight and scope."""
        rows: dict[tuple[str, str], tuple[Comparison, ...]] = {}
        for row in self.comparisons:
            if not row.is_contract:
                rows[row.weight, row.scope] = (*rows.get((row.weight, row.scope), ()), row)
        return {key: same for key, same in rows.items() if _never_compared(same) is not None}

    @property
    def unchecked_weights(self) -> tuple[str, ...]:
        """The weights for which no comparison was possible; `y_hat` for the loss."""
        seen = {row.weight for row in self.comparisons if not row.is_contract and row.checked}
        return tuple(dict.fromkeys(row.weight for row in self.comparisons if row.weight not in seen | {"a"}))

    @property
    def notes(self) -> tuple[str, ...]:
        """Remarks on the comparisons as a whole."""
        names = dict.fromkeys(row.dropped for row in self.comparisons if row.dropped)
        dropped = (DROPPED.format(" and in the ".join(names)),) if names else ()
        return (*dropped, MOVED) if any(row.moved for row in self.comparisons) else dropped

    @property
    def worst(self) -> Comparison:
        """The comparison with the largest error in units of its tolerance; a failure, if there is one."""
        return max(
            self.comparisons,
            key=lambda c: (not c.passed, c.checked, np.nan_to_num(c.error / c.tolerance, nan=-1.0)),
        )

    def __bool__(self) -> bool:
        return self.passed

    def _repr_html_(self) -> str:
        """The verdict and the comparisons, for a notebook."""
        from memspan.runtime.html import for_notebook, of_table, paragraphs

        return for_notebook(paragraphs(self.verdict, class_="answer"), of_table(self.table()))

    def table(self, *, wide: bool = True) -> TextTable:
        """Return the comparisons as a table for `rich`; a narrow one leaves out the three gradients."""
        caption = " ".join((self.verdict, *self.notes))
        table = TextTable(title=self.subject, caption=caption, caption_justify="left")
        for heading in ("weight", "compared", "worst at"):
            table.add_column(heading, overflow="fold")
        gradients = ("backward", "complex step", "central diff.") if wide else ()
        for heading in (*gradients, "error", "tolerance"):
            table.add_column(heading, justify="right", no_wrap=True)
        table.add_column("verdict")
        held = [row for row in self.comparisons if row.is_contract and row.passed]
        contracts = ", ".join(dict.fromkeys(row.scope for row in held))
        table.add_row("all", "contracts", contracts, *("" for _ in gradients), "", "", f"{len(held)} pass")
        for row in self.comparisons:
            if row in held:
                continue
            numbers = (row.analytical, row.oracle, row.central)
            table.add_row(
                row.weight,
                ", ".join(filter(None, (row.scope, row.moved))),
                row.place,
                *(_number(value, "+.6e") for value in numbers if wide),
                *(_number(value, ".1e") for value in (row.error, row.tolerance)),
                Text("; ").join([*_verdict(row), *([Text(row.note)] if row.note else [])]),
            )
        return table

    @property
    def verdict(self) -> str:
        """The result in one sentence."""
        if self.failures:
            places = ", ".join(f"{row.place} ({row.scope})" for row in self.failures)
            return f"The gradient is WRONG at {places}."
        left = "; ".join(_left(same) for same in self.unchecked.values())
        if self.unchecked_weights:
            return f"UNDECIDED: every comparison that was possible passes. Not checked: {left}."
        compared = sum(row.checked for row in self.comparisons)
        verdict = f"All {compared} comparisons pass. Nearest to its tolerance: {self.worst.place}."
        return f"{verdict} Not checked: {left}." if left else verdict

    def __str__(self) -> str:
        return str(self.table())

    def __repr__(self) -> str:
        return f"<GradientReport {self.verdict}>"


@overload
def relative(worst: float, scale: float) -> float: ...
@overload
def relative(worst: Errors, scale: Errors | float) -> Errors: ...
def relative(worst: Any, scale: Any) -> Any:
    """`worst / scale`; 0 where `worst` is 0, and infinite where either is NaN."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.nan_to_num(np.where(worst == 0, 0.0, np.divide(worst, scale)), nan=np.inf, posinf=np.inf)


def by_central_difference(row: Comparison, dropped: str) -> Comparison:
    """Record that the oracle is a central difference, because `dropped` drops the imaginary part."""
    return replace(row, oracle=math.nan, central=row.oracle, dropped=dropped)


def _never_compared(same: tuple[Comparison, ...]) -> tuple[int, ...] | None:
    """The steps that no row of this weight and scope compared; None if all steps were compared."""
    if any(row.checked and not row.blind for row in same):
        return None
    steps = set.intersection(*(set(row.blind) for row in same))
    return tuple(sorted(steps)) if steps or not any(row.checked for row in same) else None


def _left(same: tuple[Comparison, ...]) -> str:
    """What was not compared and why, as text."""
    steps = _never_compared(same) or ()
    return f"{same[0].weight} ({', '.join(filter(None, (same[0].scope, _range(steps), same[-1].reason)))})"


def _verdict(row: Comparison) -> Iterator[Text]:
    """The parts of the verdict column: pass or FAIL, or the reason why the row does not count."""
    if not row.passed:
        yield Text("FAIL", style="bold red")
        if row.failing:
            yield Text(f"{len(row.failing)} steps, {_range(row.failing)}")
    elif row.checked:
        yield Text("pass")
    if row.reason and row.checked:
        yield Text(f"{len(row.blind)} steps not checked, {_range(row.blind)}: {row.reason}")
    elif row.reason:
        yield Text.assemble(("not checked", "bold"), f": {row.reason}")


def _range(steps: tuple[int, ...]) -> str:
    """Format steps as `t=3` or `t=3..9`."""
    return f"t={steps[0]}" + (f"..{steps[-1]}" if len(steps) > 1 else "") if steps else ""


def _number(value: float, form: str) -> str:
    return "" if np.isnan(value) else format(value, form)
