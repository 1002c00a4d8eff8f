"""The studies and configurations in a store: their rows, checked and read, within a transaction of the caller."""

import re
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Column, Connection, Select, Table, exists, func, insert, select

from memspan.errors import InvalidArgument, NotFound, UnreadableFile, did_you_mean, shown
from memspan.store.checksums import sealed, verify
from memspan.store.database import Database
from memspan.store.schema import UNREADABLE, columns, configurations, studies, trials
from memspan.study.experiment import Experiment
from memspan.study.fingerprint import changed
from memspan.study.identity import (
    canonical,
    code_of,
    default_name,
    demand_contained,
    demand_same_code,
    engines_of,
    name_beside,
    restored,
)
from memspan.study.search import Search
from memspan.study.study import Study


class Catalogue:
    """Reads the rows of studies and configurations, and adds configurations."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def columns(self, connection: Connection, table: Table) -> list[Column[Any]]:
        """The columns that a table has in this store."""
        return columns(table, self.database.version(connection))

    def query(self, connection: Connection, name: str) -> Select[Any]:
        """The query for the row of a study."""
        return select(*self.columns(connection, studies)).where(studies.c.name == escaped(name))

    def count(self, connection: Connection, name: str) -> int:
        """Return how many trials a study has, even if the study cannot be read."""
        study = connection.execute(select(studies.c.id).where(studies.c.name == escaped(name))).scalar()
        if study is None:
            raise self.unknown(connection, name)
        number = select(func.count()).select_from(trials).where(trials.c.study == study)
        return int(connection.execute(number).scalar_one())

    def unknown(self, connection: Connection, name: str) -> NotFound:
        """The error for a name that no study has."""
        near = did_you_mean(name, names(connection)).removeprefix("; d")
        more = f"D{near}" if near else "`memspan store ls` lists its studies."
        return NotFound(f"No study {shown(name)} in {self.database.place}. {more}")

    def trained(self, connection: Connection, identity: int) -> tuple[set[int], int]:
        """Return the lengths of the trials of a search, and the least number of repetitions that has them all."""
        mine = trials.c.study == identity
        lengths = connection.execute(select(trials.c.length).where(mine).distinct()).scalars()
        last = connection.execute(select(func.max(trials.c.repetition)).where(mine)).scalar()
        return set(lengths), 1 if last is None else last + 1

    def name_of(self, connection: Connection, study: Experiment, code: Mapping[str, str]) -> str:
        """Return the name of `study`, or a default name that no study with other code has."""
        if study.name is not None:
            return study.name
        usual = default_name(study)
        row = connection.execute(self.query(connection, usual)).mappings().first()
        other = row is not None and self.changed(connection, row, code, usual)
        return name_beside(usual, code) if other else usual

    def same(
        self, connection: Connection, row: Any, study: Experiment, code: Mapping[str, str], name: str
    ) -> Study | Search:
        """Return the study of a row. Raise `AnotherStudy` if `study` has other settings, or other code."""
        old = self.study(row, name)
        demand_contained(old, study, name)
        demand_same_code(self.changed(connection, row, code, name), old, name)
        return old

    def changed(self, connection: Connection, row: Any, code: Mapping[str, str], name: str) -> list[str]:
        """Return the parts whose code has changed since the study was run; none while it has no results."""
        differing = changed(self.code(row["specification"], name), code)
        return differing if has_results(connection, row["id"]) else []

    def study(self, row: Any, name: str) -> Study | Search:
        """Return the study or search of a row, after its checksum has been verified."""
        try:
            verify(studies, row)
            return restored(row["specification"], name)
        except UNREADABLE as error:
            raise self.damaged(name, error) from None

    def code(self, specification: str, name: str) -> dict[str, str]:
        """Return the code fingerprints in a specification."""
        try:
            return code_of(specification)
        except (*UNREADABLE, AttributeError) as error:
            raise self.damaged(name, error) from None

    def engines(self, row: Any, name: str, code: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return the record of engines in the row of a study; empty if `code` differs from the study's.

        A study without results may continue with other code, for which the engines have to be chosen again.
        """
        if code is not None and changed(self.code(row["specification"], name), code):
            return {}
        try:
            return engines_of(row["specification"])
        except (*UNREADABLE, AttributeError) as error:
            raise self.damaged(name, error) from None

    def damaged(self, name: str, why: object) -> UnreadableFile:
        """The error for a study whose rows are damaged."""
        said = str(why) or type(why).__name__
        place, advice = self.database.place, self.database.rescue
        return UnreadableFile(f"Study {name!r} in {place} cannot be read ({said}). {advice}")

    def numbers(self, connection: Connection, identity: int, name: str) -> dict[str, int]:
        """Return the number of each configuration of a study, by its canonical form."""
        query = select(*self.columns(connection, configurations)).where(configurations.c.study == identity)
        rows = connection.execute(query).mappings().all()
        try:
            for row in rows:
                verify(configurations, row)
        except ValueError as error:
            raise self.damaged(name, f"a configuration: {error}") from None
        return {row["specification"]: row["configuration"] for row in rows}

    def add_configurations(self, connection: Connection, identity: int, study: Experiment, name: str) -> None:
        """Insert the configurations that the study does not have yet, with the next free numbers."""
        numbers = self.numbers(connection, identity, name)
        new = [text for text in map(canonical, study.configurations) if text not in numbers]
        first = max(numbers.values(), default=-1) + 1
        rows = [
            sealed(configurations, {"study": identity, "configuration": first + k, "specification": text})
            for k, text in enumerate(new)
        ]
        if rows:
            connection.execute(insert(configurations), rows)


def names(connection: Connection) -> list[str]:
    """The names of all studies, the oldest first."""
    return [
        unescaped(text) for text in connection.execute(select(studies.c.name).order_by(studies.c.id)).scalars()
    ]


def has_results(connection: Connection, identity: int) -> bool:
    """Whether a study has trials that did not fail."""
    query = exists().where(trials.c.study == identity, trials.c.outcome != "failed")
    return bool(connection.execute(select(query)).scalar())


def escaped(name: str) -> str:
    r"""Return a name as the store has it, with NUL as `\0` and a backslash doubled: PostgreSQL stores no NUL."""
    if not isinstance(name, str):
        raise InvalidArgument("name", "a text, the name of a study", shown(name))
    return name.replace("\\", "\\\\").replace("\0", "\\0")


def unescaped(text: str) -> str:
    """Return the name that `escaped` made `text` of."""
    return re.sub(r"\\(.)", lambda found: "\0" if found[1] == "0" else found[1], text)
