"""The store: studies and their trials in a database, written by the coordinator alone.

A trial is a pure function of its key, so inserting one twice is harmless, two coordinators of one study only waste
work, and what a crash took away is computed again. There are no locks, no leases and no half-states.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from sqlalchemy import Column, Connection, Select, Table, delete, func, insert, select, update

from memspan.errors import NotFound, UnreadableFile, did_you_mean
from memspan.runtime.renamed import checked_keywords
from memspan.store.checksums import columns, seal, sealed, verify
from memspan.store.database import DOCTOR
from memspan.store.entry import Entry
from memspan.store.schema import OUTCOMES, UNREADABLE, configurations, studies, trials
from memspan.store.transactions import Transactions, database
from memspan.study.identity import canonical, default_name, demand_contained, grown_by, restored, specified
from memspan.study.provenance import Provenance
from memspan.study.results import StudyResult
from memspan.study.study import Key, Study


@dataclass(frozen=True)
class Overview:
    """What `memspan store ls` says of a study."""

    name: str
    study: Study
    versions: Provenance
    created: str
    hash: str
    counts: dict[str, int]

    @property
    def trials(self) -> int:
        """How many it will have."""
        return self.study.size

    @property
    def done(self) -> int:
        """How many it has."""
        return sum(self.counts.values())


class Store:
    """Studies in a SQLite file or a PostgreSQL database.

    Parameters
    ----------
    place : path or str
        The file, or a URL such as `postgresql://user@host/database`.
    create : bool
        Whether to make a store if there is none.

    Raises
    ------
    NoStore
        When there is none, and none is to be made.
    UnreadableFile
        When it is damaged, not memspan's, or of a newer version; it is left as it was.
    StoreFailed
        When it cannot be reached or written.
    """

    @checked_keywords()
    def __init__(self, place: str | Path, *, create: bool = False) -> None:
        self.transact = Transactions(database(place), create=create)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the database."""
        self.transact.close()

    @property
    def place(self) -> str:
        """Where it is; without a password."""
        return self.transact.database.place

    @property
    def size(self) -> int:
        """Bytes, of all studies together."""
        return self.transact(self.transact.database.size)

    def enter(self, study: Study, provenance: Provenance | None = None) -> Entry:
        """Find a study by its name, or make it; other lengths, more repetitions or values let it grow.

        The entry is of what was asked for, which may be less than there is.

        Raises
        ------
        AnotherStudy
            When the name belongs to a study that this one does not contain; the message has every difference.
        """
        name = study.name or default_name(study)
        versions = provenance or Provenance.here()
        row = {
            "name": _escaped(name),
            **specified(study),
            "versions": versions.model_dump_json(),
            "commit": versions.commit,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
        }

        def work(connection: Connection) -> Entry:
            seal(connection, self.transact.database)
            same = self._of_name(connection, name).with_for_update()
            found: Mapping[Any, Any] | None = connection.execute(same).mappings().first()
            if found is None:
                connection.execute(self.transact.database.insert(studies), row)
                found = connection.execute(same).mappings().one()
                if found["checksum"] is None:  # it is ours, and has a number now
                    found = sealed(studies, found)
            old = self._study(found, name)
            demand_contained(old, study, name)
            grown = grown_by(old, study)
            whole = sealed(studies, {**found, **specified(grown)})
            connection.execute(update(studies).where(studies.c.id == found["id"]).values(**whole))
            self._number(connection, found["id"], grown, name)
            return self._entry(
                connection, found["id"], study.model_copy(update={"keep_weights": grown.keep_weights}), name
            )

        return self.transact(work, writes=True)

    def find(self, name: str) -> Entry:
        """The study of that name.

        Raises
        ------
        NotFound
            When there is none.
        """

        def work(connection: Connection) -> Entry:
            found = connection.execute(self._of_name(connection, name)).mappings().first()
            if found is None:
                raise self._unknown(connection, name)
            return self._entry(connection, found["id"], self._study(found, name), name)

        return self.transact(work)

    def missing(self, study: Study, *, but_failed: bool = False) -> list[Key]:
        """The keys of a study that are not here yet, or have failed; nothing is written.

        Raises
        ------
        AnotherStudy
            As `enter` does.
        """
        name = study.name or default_name(study)

        def work(connection: Connection) -> Entry | None:
            found = connection.execute(self._of_name(connection, name)).mappings().first()
            if found is None:
                return None
            old = self._study(found, name)
            demand_contained(old, study, name)
            weights = max(old.keep_weights, study.keep_weights)
            return self._entry(connection, found["id"], study.model_copy(update={"keep_weights": weights}), name)

        entry = self.transact(work)
        done = set[Key]() if entry is None else entry.done(but_failed=but_failed)
        return [key for key in study.keys if key not in done]

    def names(self) -> list[str]:
        """Of every study, the oldest first."""
        return self.transact(_names)

    def overviews(self) -> list[Overview]:
        """Every study, the oldest first."""

        def work(connection: Connection) -> list[Overview]:
            counts: dict[int, dict[str, int]] = {}
            grouped = select(trials.c.study, trials.c.outcome, func.count()).group_by(
                trials.c.study, trials.c.outcome
            )
            for study, outcome, count in connection.execute(grouped):
                if outcome not in OUTCOMES:
                    raise UnreadableFile(
                        f"{self.place} holds damaged trials (outcome cannot be {outcome!r}); {DOCTOR}"
                    )
                counts.setdefault(study, {})[outcome] = count
            query = select(*self._columns(connection, studies)).order_by(studies.c.id)
            rows = connection.execute(query).mappings().all()
            return [self._overview(row, counts.get(row["id"], {})) for row in rows]

        return self.transact(work)

    def remove(self, name: str) -> int:
        """Take a study out, with all its trials, also one that cannot be read; return how many there were."""

        def work(connection: Connection) -> int:
            number = self._count(connection, name)
            connection.execute(delete(studies).where(studies.c.name == _escaped(name)))
            return number

        return self.transact(work, writes=True)

    def count(self, name: str) -> int:
        """How many trials a study has, also one that cannot be read."""
        return self.transact(lambda connection: self._count(connection, name))

    def _count(self, connection: Connection, name: str) -> int:
        study = connection.execute(select(studies.c.id).where(studies.c.name == _escaped(name))).scalar()
        if study is None:
            raise self._unknown(connection, name)
        number = select(func.count()).select_from(trials).where(trials.c.study == study)
        return int(connection.execute(number).scalar_one())

    def _unknown(self, connection: Connection, name: str) -> NotFound:
        near = did_you_mean(name, _names(connection)).removeprefix("; d")
        more = f"D{near}" if near else "`memspan store ls` lists what it holds."
        return NotFound(f"No study {name!r} in {self.place}. {more}")

    def _overview(self, row: Any, counts: dict[str, int]) -> Overview:
        study = self._study(row, name := _unescaped(str(row["name"])))
        try:
            versions = Provenance.model_validate_json(row["versions"])
        except ValueError as error:
            raise self._damaged(name, f"its versions cannot be read: {error}") from None
        return Overview(name, study, versions, row["created"], row["hash"], counts)

    def _study(self, row: Any, name: str) -> Study:
        try:
            verify(studies, row)
            return restored(row["specification"], name)
        except UNREADABLE as error:
            raise self._damaged(name, error) from None

    def _damaged(self, name: str, why: object) -> UnreadableFile:
        said = str(why) or type(why).__name__
        return UnreadableFile(f"{self.place} holds a study {name!r} that cannot be read ({said}); {DOCTOR}")

    def _entry(self, connection: Connection, identity: int, study: Study, name: str) -> Entry:
        """Of what is asked for. A configuration that is not in the store gets a number that no trial has."""
        there = self._numbers(connection, identity, name)
        numbers = [there.get(canonical(one), -1 - k) for k, one in enumerate(study.configurations)]
        return Entry(self.transact, identity, name, study.model_copy(update={"name": name}), numbers)

    def _numbers(self, connection: Connection, identity: int, name: str) -> dict[str, int]:
        """Of the configurations of a study in the store."""
        there = select(*self._columns(connection, configurations)).where(configurations.c.study == identity)
        rows = connection.execute(there).mappings().all()
        try:
            for row in rows:
                verify(configurations, row)
        except ValueError as error:
            raise self._damaged(name, f"a configuration: {error}") from None
        return {row["specification"]: row["configuration"] for row in rows}

    def _number(self, connection: Connection, identity: int, study: Study, name: str) -> None:
        """Give numbers to the configurations that have none yet."""
        numbers = self._numbers(connection, identity, name)
        new = [text for text in map(canonical, study.configurations) if text not in numbers]
        first = max(numbers.values(), default=-1) + 1
        rows = [
            sealed(configurations, {"study": identity, "configuration": first + k, "specification": text})
            for k, text in enumerate(new)
        ]
        if rows:
            connection.execute(insert(configurations), rows)

    def _of_name(self, connection: Connection, name: str) -> Select[Any]:
        return select(*self._columns(connection, studies)).where(studies.c.name == _escaped(name))

    def _columns(self, connection: Connection, table: Table) -> list[Column[Any]]:
        return columns(table, self.transact.database.version(connection))


@checked_keywords()
def load_study(store: str | Path, name: str) -> StudyResult:
    """The trials that `run_study` has left in a store, with their curves.

    Parameters
    ----------
    store : path or str
        A SQLite file, or the URL of a PostgreSQL database.
    name : str
        Of the study.

    Raises
    ------
    NotFound
        When there is no such store or study.
    UnreadableFile, StoreFailed
        As `Store` does.
    """
    with Store(store) as opened:
        return opened.find(name).result()


def _names(connection: Connection) -> list[str]:
    return [
        _unescaped(text) for text in connection.execute(select(studies.c.name).order_by(studies.c.id)).scalars()
    ]


def _escaped(name: str) -> str:
    """PostgreSQL has no text with a NUL in it."""
    return name.replace("\\", "\\\\").replace("\0", "\\0")


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", lambda found: "\0" if found[1] == "0" else found[1], text)
