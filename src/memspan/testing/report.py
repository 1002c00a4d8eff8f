"""Contracts, and the results of checking them."""

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
        The checked object, such as "The task parity".
    contract : str
        The name of the contract.
    rule : str
        The rule of the contract.
    found : str
        What was found instead.
    """

    def __init__(self, subject: str, contract: str, rule: str, found: str) -> None:
        super().__init__(subject, contract, rule, found)
        self.subject, self.contract, self.rule, self.found = subject, contract, rule, found

    def __str__(self) -> str:
        return f'{self.subject} breaks the contract "{self.contract}". {self.rule} Found: {self.found}.'


class Found(Exception):
    """A violation of the contract that is being checked; `check_contracts` adds the contract's name."""


@dataclass(frozen=True)
class Contract(Generic[T]):
    """A rule that every cell or task must keep, and its check.

    Attributes
    ----------
    rule : str
        The rule, in one or a few sentences.
    check : callable
        Raises `Found` if the subject breaks the rule. Any other error it raises also counts as a broken contract.
    slow : bool
        Whether the check takes seconds.
    """

    rule: str
    check: Callable[[T], None]
    slow: bool = False

    @classmethod
    def of(cls, check: Callable[[T], None], *, slow: bool = False) -> Self:
        """Make a contract of a check whose docstring is the rule."""
        return cls(" ".join((check.__doc__ or "").split()), check, slow)


@dataclass(frozen=True)
class ContractReport:
    """The contracts that were checked, all of which are kept.

    Attributes
    ----------
    subject : str
        The checked object, such as "The task parity".
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
        For the first broken contract.
    InvalidArgument
        For an unknown name.
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
    """Raise `Found` unless the condition holds."""
    if not holds:
        raise Found(found)


def demand_equal(found: object, expected: object, what: str) -> None:
    """Raise `Found` unless two values are equal."""
    demand(found == expected, f"{what} is {found!r} instead of {expected!r}")


def demand_same(found: Array, expected: Array, what: str) -> None:
    """Raise `Found` unless two arrays are equal to the last bit; NaN equals NaN."""
    demand(
        np.shape(found) == np.shape(expected), f"{what} has the shapes {np.shape(found)} and {np.shape(expected)}"
    )
    demand(np.array_equal(found, expected, equal_nan=True), f"{what} differs")


def demand_near(found: Array, expected: Array, allowed: Array | float, what: str) -> None:
    """Raise `Found` unless two arrays differ by at most `allowed`; NaN always differs."""
    difference = np.abs(np.asarray(found) - expected)
    if not (difference <= allowed).all():
        worst = float(np.max(difference))
        raise Found(f"{what} is off by {worst:.3g}, but at most {float(np.max(allowed)):.3g} is allowed")
