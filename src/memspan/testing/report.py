"""What a contract is, and what checking it says."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Generic, Self, TypeVar

import numpy as np

from memspan.errors import MemspanError, one_of
from memspan.shapes import Array

T = TypeVar("T")


class ContractBroken(MemspanError, AssertionError):
    """A cell or a task does not keep one of its contracts.

    Attributes
    ----------
    subject : str
        What was checked, such as "The task parity".
    contract : str
        The name of the contract.
    rule : str
        What it demands.
    found : str
        What was found instead.
    """

    def __init__(self, subject: str, contract: str, rule: str, found: str) -> None:
        super().__init__(subject, contract, rule, found)
        self.subject, self.contract, self.rule, self.found = subject, contract, rule, found

    def __str__(self) -> str:
        return f'{self.subject} breaks the contract "{self.contract}". {self.rule} Found: {self.found}.'


class Found(Exception):
    """Something that breaks the contract being checked; `check_contracts` says which one that is."""


@dataclass(frozen=True)
class Contract(Generic[T]):
    """One contract.

    Attributes
    ----------
    rule : str
        What it demands, in one sentence or a few.
    check : callable
        Raises `Found` where the subject breaks the rule. Any other error that it raises breaks it too.
    slow : bool
        Whether it takes seconds.
    """

    rule: str
    check: Callable[[T], None]
    slow: bool = False

    @classmethod
    def of(cls, check: Callable[[T], None], *, slow: bool = False) -> Self:
        """The contract of a function whose docstring is its rule."""
        return cls(" ".join((check.__doc__ or "").split()), check, slow)


@dataclass(frozen=True)
class ContractReport:
    """Which contracts were checked; all of them are kept.

    Attributes
    ----------
    subject : str
        What was checked.
    kept : mapping of str to str
        The rule of each contract, by its name.
    """

    subject: str
    kept: Mapping[str, str]

    def __str__(self) -> str:
        count = f"{len(self.kept)} contract{'s' * (len(self.kept) != 1)}"
        return f"{self.subject} keeps {count}: {', '.join(self.kept)}."


def check_contracts(
    subject: str, thing: T, known: Mapping[str, Contract[T]], contracts: Iterable[str] | None
) -> ContractReport:
    """Check the contracts one by one, in their order.

    Raises
    ------
    ContractBroken
        For the first one that is broken.
    InvalidArgument
        For a name that is not among those known.
    """
    names = list(known if contracts is None else (one_of("contracts", name, known) for name in contracts))
    for name in names:
        contract = known[name]
        try:
            contract.check(thing)
        except Found as found:
            raise ContractBroken(subject, name, contract.rule, str(found)) from None
        except Exception as error:
            raise ContractBroken(subject, name, contract.rule, f"{type(error).__name__}: {error}") from error
    return ContractReport(subject, {name: known[name].rule for name in names})


def demand(holds: object, found: str) -> None:
    """Raise `Found`, unless it holds."""
    if not holds:
        raise Found(found)


def demand_equal(found: object, expected: object, what: str) -> None:
    """Two values, equal."""
    demand(found == expected, f"{what} is {found!r}, and not {expected!r}")


def demand_same(found: Array, expected: Array, what: str) -> None:
    """Two arrays, equal to the last bit; NaN is equal to NaN."""
    demand(
        np.shape(found) == np.shape(expected), f"{what} has the shapes {np.shape(found)} and {np.shape(expected)}"
    )
    demand(np.array_equal(found, expected, equal_nan=True), f"{what} differs")


def demand_near(found: Array, expected: Array, allowed: Array | float, what: str) -> None:
    """Two arrays, equal within what is allowed; NaN is near nothing."""
    difference = np.abs(np.asarray(found) - expected)
    if not (difference <= allowed).all():
        worst = float(np.max(difference))
        raise Found(f"{what} is off by {worst:.3g}, where {float(np.max(allowed)):.3g} is allowed")
