"""What a gradient check found, as records and as a table."""

import math
from dataclasses import dataclass, field
from typing import Any, overload

import numpy as np
from jaxtyping import Float

from memspan.runtime.tables import TextTable
from memspan.shapes import PerStep

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
        Its time step, counted from 0 as in `d_R[t]`: the latest that fails, where the mistake entered.
    gate : str or None
        The gate that its column belongs to.
    analytical, oracle, central : float
        The three values there: back-propagation, complex step, central difference (nan where not taken).
    error, tolerance : float
        The largest difference over the tensor (of that step), relative to the tensor's own scale.
    passed : bool
        Whether the error is within the tolerance.
    failing : tuple of int
        The time steps that fail.
    note : str
        What else to know.
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
    note: str = ""

    @property
    def is_contract(self) -> bool:
        """Whether this is a rule that holds or not, rather than a comparison of numbers."""
        return math.isnan(self.tolerance)

    @property
    def place(self) -> str:
        """Where the worst element is, as `R[3,5] t=7 gate f`."""
        index = f"[{','.join(map(str, self.index))}]" if self.index else ""
        step = "" if self.step is None else f" t={self.step}"
        gate = "" if self.gate is None else f" gate {self.gate}"
        return f"{self.weight}{index}{step}{gate}"


@dataclass(frozen=True)
class GradientReport:
    """The verdict of `gradient_check`; true when everything passed.

    Attributes
    ----------
    comparisons : tuple of Comparison
        One for each weight and scope.
    step_errors : dict of array [T]
        For `W`, `R` and `bs`, the error of every time step relative to that step's own gradient.
    subject : str
        What was checked.
    """

    subject: str
    comparisons: tuple[Comparison, ...]
    step_errors: dict[str, PerStep] = field(repr=False)

    @property
    def passed(self) -> bool:
        """Whether every comparison passed."""
        return all(comparison.passed for comparison in self.comparisons)

    @property
    def failures(self) -> tuple[Comparison, ...]:
        """The comparisons that failed."""
        return tuple(comparison for comparison in self.comparisons if not comparison.passed)

    @property
    def worst(self) -> Comparison:
        """The failure, or the pass, that is farthest out in units of its tolerance."""
        return max(
            self.comparisons,
            key=lambda c: (not c.passed, np.nan_to_num(c.error / c.tolerance, nan=-1.0)),
        )

    def __bool__(self) -> bool:
        return self.passed

    def table(self, *, wide: bool = True) -> TextTable:
        """The comparisons as a table for `rich` or `print`; in a narrow window without the three gradients."""
        table = TextTable(title=self.subject, caption=self.verdict, caption_justify="left")
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
            verdict = "pass" if row.passed else "[bold red]FAIL[/]"
            table.add_row(
                row.weight,
                row.scope,
                row.place,
                *(_number(value, "+.6e") for value in numbers if wide),
                *(_number(value, ".1e") for value in (row.error, row.tolerance)),
                "; ".join(filter(None, (verdict, _steps(row.failing), row.note))),
            )
        return table

    @property
    def verdict(self) -> str:
        """The result in one sentence."""
        if self.passed:
            return f"All {len(self.comparisons)} comparisons pass; the widest: {self.worst.place}."
        places = ", ".join(f"{row.place} ({row.scope})" for row in self.failures)
        return f"The gradient is WRONG at {places}."

    def __str__(self) -> str:
        return str(self.table())

    def __repr__(self) -> str:
        return f"<GradientReport {self.verdict}>"


@overload
def relative(worst: float, scale: float) -> float: ...
@overload
def relative(worst: Errors, scale: Errors | float) -> Errors: ...
def relative(worst: Any, scale: Any) -> Any:
    """`worst / scale`; 0 where they agree exactly, infinite where either is not a number."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.nan_to_num(np.where(worst == 0, 0.0, np.divide(worst, scale)), nan=np.inf, posinf=np.inf)


def _steps(failing: tuple[int, ...]) -> str:
    return f"{len(failing)} steps, t={failing[0]}..{failing[-1]}" if failing else ""


def _number(value: float, form: str) -> str:
    return "" if np.isnan(value) else format(value, form)
