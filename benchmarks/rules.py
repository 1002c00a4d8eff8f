"""Rules that a measurement has to keep, and their table."""

from typing import NamedTuple


class Rule(NamedTuple):
    """What was measured, and what it has to be."""

    what: str
    value: float
    sign: str
    limit: float

    @property
    def kept(self) -> bool:
        """Whether it is so."""
        return self.value >= self.limit if self.sign == "≥" else self.value <= self.limit

    @property
    def row(self) -> str:
        """A row of the table."""
        verdict = "kept" if self.kept else "**broken**"
        return f"| {self.what} | {self.value:.3f} | {self.sign} {self.limit:g} | {verdict} |"


def table_of(rules: list[Rule]) -> list[str]:
    """The lines of a table."""
    return ["| rule | measured | limit | |", "|---|---:|---:|---|", *(rule.row for rule in rules)]


def numbers_of(rules: list[Rule]) -> list[dict[str, object]]:
    """The rules for a JSON file."""
    return [rule._asdict() | {"kept": rule.kept} for rule in rules]
