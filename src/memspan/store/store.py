"""The store: studies and their trials in a database, written by the coordinator alone.

A trial is a pure function of its key, so inserting one twice is harmless, two coordinators of one study only waste
work, and what a crash took away is computed again. There are no locks, no leases and no half-states.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from sqlalchemy import Connection, Select, delete, func, insert, select, update

from memspan.errors import InvalidArgument, UnreadableFile, did_you_mean
from memspan.store.entry import Entry
from memspan.store.schema import configurations, studies, trials
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
    UnreadableFile
        When it is damaged, not memspan's, or of a newer version; it is left as it was.
    StoreFailed
        When it cannot be reached or written.
    """

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
            connection.execute(self.transact.database.insert(studies), row)
            found = connection.execute(_of_name(name).with_for_update()).mappings().one()
            old = self._study(found["specification"], name)
            demand_contained(old, study, name)
            grown = grown_by(old, study)
            connection.execute(update(studies).where(studies.c.id == found["id"]).values(**specified(grown)))
            _number(connection, found["id"], grown)
            return self._entry(
                connection, found["id"], study.model_copy(update={"keep_weights": grown.keep_weights}), name
            )

        return self.transact(work, writes=True)

    def find(self, name: str) -> Entry:
        """The study of that name.

        Raises
        ------
        InvalidArgument
            When there is none.
        """

        def work(connection: Connection) -> Entry:
            found = connection.execute(_of_name(name)).mappings().first()
            if found is None:
                raise self._unknown(connection, name)
            return self._entry(connection, found["id"], self._study(found["specification"], name), name)

        return self.transact(work)

    def existing(self, study: Study) -> Entry | None:
        """The entry of a study that the store has, as `enter` gives it, or None; nothing is written.

        Raises
        ------
        AnotherStudy
            As `enter` does.
        """
        name = study.name or default_name(study)

        def work(connection: Connection) -> Entry | None:
            found = connection.execute(_of_name(name)).mappings().first()
            if found is None:
                return None
            old = self._study(found["specification"], name)
            demand_contained(old, study, name)
            weights = max(old.keep_weights, study.keep_weights)
            return self._entry(connection, found["id"], study.model_copy(update={"keep_weights": weights}), name)

        return self.transact(work)

    def missing(self, study: Study, *, but_failed: bool = False) -> list[Key]:
        """The keys of a study that are not here yet, or have failed; nothing is written.

        Raises
        ------
        AnotherStudy
            As `enter` does.
        """
        entry = self.existing(study)
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
                counts.setdefault(study, {})[outcome] = count
            rows = connection.execute(select(studies).order_by(studies.c.id)).mappings().all()
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

    def _unknown(self, connection: Connection, name: str) -> InvalidArgument:
        rule = f"that of a study in {self.place}"
        return InvalidArgument("name", rule, repr(name), did_you_mean(name, _names(connection)))

    def _overview(self, row: Any, counts: dict[str, int]) -> Overview:
        name = _unescaped(row["name"])
        try:
            versions = Provenance.model_validate_json(row["versions"])
        except ValueError as error:
            raise UnreadableFile(f"{self.place} holds a study {name!r} with damaged versions: {error}") from None
        return Overview(
            name, self._study(row["specification"], name), versions, row["created"], row["hash"], counts
        )

    def _study(self, specification: str, name: str) -> Study:
        try:
            return restored(specification, name)
        except (ValueError, TypeError) as error:
            raise UnreadableFile(
                f"{self.place} holds a study {name!r} that this memspan does not know: {error}"
            ) from None

    def _entry(self, connection: Connection, identity: int, study: Study, name: str) -> Entry:
        """Of what is asked for. A configuration that is not in the store gets a number that no trial has."""
        there = _numbers(connection, identity)
        numbers = [there.get(canonical(one), -1 - k) for k, one in enumerate(study.configurations)]
        return Entry(self.transact, identity, name, study.model_copy(update={"name": name}), numbers)


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
    InvalidArgument
        When there is no such store or study.
    UnreadableFile, StoreFailed
        As `Store` does.
    """
    with Store(store) as opened:
        return opened.find(name).result()


def _of_name(name: str) -> Select[Any]:
    return select(studies).where(studies.c.name == _escaped(name))


def _numbers(connection: Connection, identity: int) -> dict[str, int]:
    """Of the configurations of a study in the store."""
    there = select(configurations.c.configuration, configurations.c.specification)
    rows = connection.execute(there.where(configurations.c.study == identity)).all()
    return {specification: number for number, specification in rows}


def _number(connection: Connection, identity: int, study: Study) -> None:
    """Give numbers to the configurations that have none yet."""
    numbers = _numbers(connection, identity)
    new = [text for text in map(canonical, study.configurations) if text not in numbers]
    first = max(numbers.values(), default=-1) + 1
    rows = [{"study": identity, "configuration": first + k, "specification": text} for k, text in enumerate(new)]
    if rows:
        connection.execute(insert(configurations), rows)


def _names(connection: Connection) -> list[str]:
    return [
        _unescaped(text) for text in connection.execute(select(studies.c.name).order_by(studies.c.id)).scalars()
    ]


def _escaped(name: str) -> str:
    """PostgreSQL has no text with a NUL in it."""
    return name.replace("\\", "\\\\").replace("\0", "\\0")


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", lambda found: "\0" if found[1] == "0" else found[1], text)
