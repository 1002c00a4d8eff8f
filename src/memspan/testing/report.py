"""Contracts, and the results of checking them."""

import sysconfig
import traceback
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, Self, TypeVar

import numpy as np

from memspan.errors import FaultyPart, MemspanError, one_of
from memspan.shapes import Array

T = TypeVar("T")

LONGEST = 300
"""The number of characters of another library's message that is shown."""


class ContractBroken(MemspanError, AssertionError):
    """A cell, a task or a model does not keep one of its contracts.

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
    cause : str
        The usual cause; empty if there is none.
    """

    def __init__(self, subject: str, contract: str, rule: str, found: str, cause: str = "") -> None:
        super().__init__(subject, contract, rule, found, cause)
        self.subject, self.contract, self.rule, self.found, self.cause = subject, contract, rule, found, cause

    def __str__(self) -> str:
        return (
            f'{self.subject} breaks the contract "{self.contract}". {self.rule} Found: {self.found}.{self.advice}'
        )

    @property
    def advice(self) -> str:
        """The usual cause as a sentence that follows another."""
        return self.cause and f" Usual cause: {self.cause}."


class Found(Exception):
    """A violation of the contract that is being checked; `check_contracts` adds the contract's name.

    Parameters
    ----------
    found : str
        What was found, where, and how large.
    cause : str
        The usual cause.
    """

    def __init__(self, found: str, cause: str = "") -> None:
        super().__init__(found, cause)
        self.found, self.cause = found, cause

    def __str__(self) -> str:
        return self.found


@dataclass(frozen=True)
class Contract(Generic[T]):
    """A rule that every cell, task or model must keep, and its check.

    Attributes
    ----------
    rule : str
        The rule, in one or a few sentences.
    check : callable
        Raises `Found` if the subject breaks the rule. Any other error it raises also counts as a broken contract.
        It may return a remark for the report.
    slow : bool
        Whether the check takes seconds.
    essential : bool
        Whether the contracts after this one cannot be checked if it is broken.
    """

    rule: str
    check: Callable[[T], str | None]
    slow: bool = False
    essential: bool = False

    @classmethod
    def of(cls, check: Callable[[T], str | None], *, slow: bool = False, essential: bool = False) -> Self:
        """Make a contract of a check whose docstring is the rule."""
        return cls(" ".join((check.__doc__ or "").split()), check, slow, essential)


@dataclass(frozen=True)
class ContractReport:
    """The contracts that were checked; true if all are kept.

    Attributes
    ----------
    subject : str
        The checked object, such as "The task parity".
    kept : mapping of str to str
        The rule of each contract that is kept, by its name.
    broken : tuple of ContractBroken
        The contracts that are broken.
    unchecked : tuple of str
        The contracts that could not be checked, because an earlier one is broken.
    notes : mapping of str to str
        Remarks on contracts that are kept, by their names.
    """

    subject: str
    kept: Mapping[str, str]
    broken: tuple[ContractBroken, ...] = ()
    unchecked: tuple[str, ...] = ()
    notes: Mapping[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return not self.broken

    def __str__(self) -> str:
        lines = [f"{self.subject} keeps {_counted(self.kept)}." if self.kept or not self.broken else ""]
        lines += [f"{name}: {note}" for name, note in self.notes.items()]
        lines += map(str, self.broken)
        lines.append(f"Not checked, because of that: {', '.join(self.unchecked)}." if self.unchecked else "")
        return "\n".join(filter(None, lines))

    def __repr__(self) -> str:
        broken = "; ".join(f"{one.contract}: {one.found}.{one.advice}" for one in self.broken)
        return (
            f"<ContractReport {self.subject} {f'breaks {broken}' if broken else f'keeps {_counted(self.kept)}.'}>"
        )


def _counted(names: Collection[str]) -> str:
    """Names with their number, as `2 contracts: names, derivative`."""
    return f"{len(names)} contract{'s' * (len(names) != 1)}" + (f": {', '.join(names)}" if names else "")


def check_contracts(
    subject: str,
    thing: T,
    known: Mapping[str, Contract[T]],
    contracts: Iterable[str] | None,
    *,
    raises: bool = True,
) -> ContractReport:
    """Check the contracts one by one, in their order.

    Raises
    ------
    ContractBroken
        For the first broken contract, if `raises`.
    InvalidArgument
        For an unknown name.
    """
    names = list(known if contracts is None else (one_of("contracts", name, known) for name in contracts))
    kept: dict[str, str] = {}
    notes: dict[str, str] = {}
    broken, unchecked = [], list(names)
    while unchecked:
        contract = known[name := unchecked.pop(0)]
        try:
            note = contract.check(thing)
        except (Exception, SystemExit) as error:
            found = error.found if isinstance(error, Found) else described(error)
            cause = error.cause if isinstance(error, Found | FaultyPart) else ""
            broken.append(ContractBroken(subject, name, contract.rule, found, cause))
            if raises:
                raise broken[0] from (None if isinstance(error, Found) else error)
            if contract.essential:
                break
        else:
            kept[name] = contract.rule
            notes |= {name: note} if note else {}
    return ContractReport(subject, kept, tuple(broken), tuple(unchecked), notes)


def described(error: BaseException) -> str:
    """The type, the message on one line, and the line of the user's code that raised an error."""
    text = " ".join(str(error).split()).rstrip(".")
    text = text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
    text = text if isinstance(error, MemspanError) else f"{type(error).__name__}: {text}"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not _of_a_library(frame.filename)]
    return f"{text} ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else text


def _of_a_library(file: str) -> bool:
    """Whether a file belongs to memspan, to an installed package or to Python itself."""
    folders = (Path(__file__).parents[1], *map(Path, sysconfig.get_paths().values()))
    return file.startswith("<") or any(Path(file).is_relative_to(folder) for folder in folders)


def demand(holds: object, found: str, cause: str = "") -> None:
    """Raise `Found` unless the condition holds."""
    if not holds:
        raise Found(found, cause)


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
        demand(np.isfinite(found).all(), f"{what} has values that are not finite")
        demand(np.isfinite(worst), f"{what} is finite, where NaN or infinity is expected")
        raise Found(f"{what} is off by {worst:.3g}, but at most {float(np.max(allowed)):.3g} is allowed")
