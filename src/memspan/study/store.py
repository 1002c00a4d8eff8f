"""The store: studies and their trials in a database, written by the coordinator alone.

A trial is a pure function of its key, so inserting one twice is harmless, two coordinators of one study only waste
work, and what a crash took away is computed again. There are no locks, no leases and no half-states.
"""

import hashlib
import json
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self, TypeVar

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    and_,
    delete,
    exists,
    func,
    insert,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy.exc import DBAPIError, IntegrityError

from memspan.errors import InvalidArgument, UnreadableFile, did_you_mean
from memspan.study.databases import Database, StoreFailed, database
from memspan.study.specification import Key, Study, nested
from memspan.study.tables import KEY, configurations, curves, rows_of, studies, trial_of, trials, weights
from memspan.study.trial import Provenance, Trial

Result = TypeVar("Result")
SECONDS_TO_PAUSE = 0.5  # before a server that was lost is tried again
BATCH = 1000  # rows that are read at once


class AnotherStudy(InvalidArgument):
    """The name belongs to a study of another specification."""


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
        return len(self.study.configurations) * len(self.study.lengths) * self.study.repetitions

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
        self.database: Database = database(place)
        self.engine: Engine = self.database.open(create=create)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the database."""
        self.engine.dispose()

    @property
    def place(self) -> str:
        """Where it is; without a password."""
        return self.database.place

    @property
    def size(self) -> int:
        """Bytes, of all studies together."""
        return self.transact(self.database.size)

    def enter(self, study: Study, provenance: Provenance | None = None) -> "Entry":
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
            **_specified(study),
            "versions": versions.model_dump_json(),
            "commit": versions.commit,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
        }

        def work(connection: Connection) -> Entry:
            connection.execute(self.database.insert(studies), row)
            found = connection.execute(select(studies).where(studies.c.name == _escaped(name)).with_for_update())
            there = found.mappings().one()
            old = self._study(there["specification"], name)
            _demand_contained(old, study, name)
            grown = _grown(old, study)
            connection.execute(update(studies).where(studies.c.id == there["id"]).values(**_specified(grown)))
            named = study.model_copy(update={"name": name, "weights": grown.weights})
            self._numbers(connection, there["id"], grown)  # of all, not only of what is asked for now
            return Entry(self, there["id"], name, named, self._numbers(connection, there["id"], study))

        return self.transact(work, writes=True)

    def find(self, name: str) -> "Entry":
        """The study of that name.

        Raises
        ------
        InvalidArgument
            When there is none.
        """

        def work(connection: Connection) -> Entry:
            found = connection.execute(select(studies).where(studies.c.name == _escaped(name))).mappings().first()
            if found is None:
                raise self._unknown(connection, name)
            study = self._study(found["specification"], name)
            return Entry(self, found["id"], name, study, self._numbers(connection, found["id"], study, make=False))

        return self.transact(work)

    def missing(self, study: Study, *, but_failed: bool = False) -> list[Key]:
        """The keys of a study that are not here yet, or have failed; nothing is written.

        Raises
        ------
        AnotherStudy
            As `enter` does.
        """
        name = study.name or default_name(study)
        if name not in self.names():
            return study.keys
        entry = self.find(name)
        _demand_contained(entry.study, study, name)
        entry.study = entry.study.model_copy(update={"weights": max(entry.study.weights, study.weights)})
        new = {_canonical(one): place for place, one in enumerate(study.configurations)}
        places = [new[_canonical(one)] for one in entry.study.configurations]
        there = entry.done(but_failed=but_failed)
        done = {key._replace(configuration=places[key.configuration]) for key in there}
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
            return Study(**json.loads(specification), name=name)
        except (ValueError, TypeError) as error:
            raise UnreadableFile(
                f"{self.place} holds a study {name!r} that this memspan does not know: {error}"
            ) from None

    def _numbers(self, connection: Connection, study_id: int, study: Study, *, make: bool = True) -> list[int]:
        """The number of each of a study's configurations in the store; new ones are added if they may be.

        A store that was rescued may have lost some: then no trial has their numbers, which are negative.
        """
        there = select(configurations.c.configuration, configurations.c.specification)
        rows = connection.execute(there.where(configurations.c.study == study_id)).all()
        numbers = {_completed(specification): number for number, specification in rows}
        texts = [_canonical(configuration) for configuration in study.configurations]
        unknown = [text for text in texts if text not in numbers]
        first = max(numbers.values(), default=-1) + 1
        new = {text: first + k if make else -1 - k for k, text in enumerate(unknown)}
        if new and make:
            values = [
                {"study": study_id, "configuration": number, "specification": text} for text, number in new.items()
            ]
            connection.execute(insert(configurations), values)
        numbers |= new
        return [numbers[text] for text in texts]

    def transact(self, work: Callable[[Connection], Result], *, writes: bool = False) -> Result:
        """Do it in one transaction; again, where a server was lost and may come back."""
        until = time.monotonic() + self.database.patience
        while True:
            try:
                with self.database.writing(self.engine) if writes else self.engine.begin() as connection:
                    return work(connection)
            except IntegrityError:
                raise
            except DBAPIError as error:
                if not self.database.passes(error) or time.monotonic() > until:
                    raise StoreFailed(_failure(self.place, error)) from None
            time.sleep(SECONDS_TO_PAUSE)


class Entry:
    """A study in a store, and its trials.

    Attributes
    ----------
    name : str
    study : Study
    """

    def __init__(self, store: Store, identity: int, name: str, study: Study, numbers: list[int]) -> None:
        self.store, self.id, self.name, self.study = store, identity, name, study
        self._numbers = numbers
        self._places = {number: place for place, number in enumerate(numbers)}
        self._lengths = frozenset(study.lengths)

    def done(self, *, but_failed: bool = False) -> set[Key]:
        """The keys of the trials that are there, with their weights if these are to be kept."""
        columns = trials.c.configuration, trials.c.length, trials.c.repetition
        query = select(*columns).where(self._mine(), self._with_weights())
        if but_failed:
            query = query.where(trials.c.outcome != "failed")

        def work(connection: Connection) -> set[Key]:
            rows = connection.execute(query).all()
            return {Key(self._places[row[0]], *row[1:]) for row in rows if self._has(*row[:2])}

        return self.store.transact(work)

    def missing(self, keys: Sequence[Key]) -> list[Key]:
        """Those of an order, which are of one configuration and length, that are not there yet."""
        configuration, length, _ = keys[0]
        query = select(trials.c.repetition).where(
            trials.c.study == self.id,
            trials.c.configuration == self._numbers[configuration],
            trials.c.length == length,
            trials.c.repetition.between(min(keys).repetition, max(keys).repetition),
            self._with_weights(),
        )
        done = self.store.transact(lambda connection: set(connection.execute(query).scalars()))
        return [key for key in keys if key.repetition not in done]

    def counts(self) -> dict[int, dict[str, int]]:
        """For each length, how many trials ended in which way."""
        columns = trials.c.configuration, trials.c.length, trials.c.outcome

        def work(connection: Connection) -> dict[int, dict[str, int]]:
            found: dict[int, Counter[str]] = {}
            query = select(*columns, func.count()).where(self._mine(), self._with_weights()).group_by(*columns)
            for number, length, outcome, count in connection.execute(query):
                if self._has(number, length):
                    found.setdefault(length, Counter())[outcome] += count
            return {length: dict(counts) for length, counts in found.items()}

        return self.store.transact(work)

    def reasons(self) -> list[str]:
        """Why trials failed, each reason once."""
        query = select(trials.c.reason).where(self._mine(), trials.c.outcome == "failed").distinct()
        return self.store.transact(lambda connection: sorted(connection.execute(query).scalars()))

    def keep(self, found: Iterable[Trial]) -> None:
        """Insert trials, in one transaction; what is there already stays as it is."""
        tables: dict[Any, list[dict[str, Any]]] = {trials: [], curves: [], weights: []}
        for trial in found:
            key = trial.key
            place = {"study": self.id, "configuration": self._numbers[key.configuration]}
            identity = place | {"length": key.length, "repetition": key.repetition}
            for table, row in rows_of(trial, identity).items():
                tables[table].append(row)

        def work(connection: Connection) -> None:
            for table, rows in tables.items():
                if rows:
                    connection.execute(self.store.database.insert(table), rows)

        try:
            self.store.transact(work, writes=True)
        except IntegrityError:
            rule = "still in its store"
            raise StoreFailed(f"the study {self.name!r} must be {rule}, and was taken out while it ran") from None

    def trials(self, *, curves_too: bool = True) -> Iterator[Trial]:
        """Every trial, in the order of the keys; without curves faster.

        Raises
        ------
        UnreadableFile
            When one is damaged.
        """
        key = [trials.c.configuration, trials.c.length, trials.c.repetition]
        last: tuple[int, int, int] = (-1, -1, -1)
        while rows := self._some_rows(key, last, curves_too):
            for row in rows:
                if self._has(row["configuration"], row["length"]):
                    yield self._trial(row)
            last = rows[-1]["configuration"], rows[-1]["length"], rows[-1]["repetition"]

    def _trial(self, row: dict[str, Any]) -> Trial:
        try:
            return trial_of(row, self._places[row["configuration"]], row.get("data"))
        except (ValueError, TypeError, KeyError, UnreadableFile) as error:
            which = f"T={row['length']}, repetition {row['repetition']} of {self.name!r}"
            said = str(error).splitlines()[0]
            rule = "`memspan store doctor` saves the others"
            raise UnreadableFile(f"{self.store.place} holds a damaged trial, {which} ({said}); {rule}") from None

    def weights(self, key: Key) -> bytes | None:
        """The trained weights of a trial as a safetensors file, if they were kept."""
        number = self._numbers[key.configuration]

        def work(connection: Connection) -> bytes | None:
            where = and_(
                weights.c.study == self.id,
                weights.c.configuration == number,
                weights.c.length == key.length,
                weights.c.repetition == key.repetition,
            )
            return connection.execute(select(weights.c.data).where(where)).scalar()

        return self.store.transact(work)

    def forget_failed(self) -> int:
        """Take out the trials that failed by the machine's fault, so that they are run again; return how many."""

        def work(connection: Connection) -> int:
            asked = trials.c.length.in_(self.study.lengths)
            failed = delete(trials).where(self._mine(), asked, trials.c.outcome == "failed")
            return int(connection.execute(failed).rowcount)

        return self.store.transact(work, writes=True)

    def _mine(self) -> ColumnElement[bool]:
        """What belongs to the study as it is here, if `_has` agrees; somebody else may have let it grow meanwhile.

        Of tens of thousands of configurations there is no list in the query: databases take no such lists.
        """
        return and_(
            trials.c.study == self.id,
            trials.c.length.between(self.study.lengths[0], self.study.lengths[-1]),
            trials.c.repetition < self.study.repetitions,
        )

    def _has(self, number: int, length: int) -> bool:
        """Whether a configuration, by its number in the store, and a length are of the study as it is here."""
        return number in self._places and length in self._lengths

    def _with_weights(self) -> ColumnElement[bool]:
        """Whether a trial has its weights, if they are to be kept; else it is computed again, bit for bit."""
        kept = exists().where(*(weights.c[name] == trials.c[name] for name in KEY))
        return or_(trials.c.repetition >= self.study.weights, trials.c.outcome == "failed", kept)

    def _some_rows(self, key: list[Any], after: tuple[int, int, int], curves_too: bool) -> list[dict[str, Any]]:
        """The next rows in the order of the keys."""

        def work(connection: Connection) -> list[dict[str, Any]]:
            query = select(trials)
            if curves_too:
                same = [curves.c[name] == trials.c[name] for name in KEY]
                query = select(trials, curves.c.data).outerjoin(curves, and_(*same))
            query = query.where(self._mine(), tuple_(*key) > tuple_(*after)).order_by(*key).limit(BATCH)
            return [dict(row) for row in connection.execute(query).mappings()]

        return self.store.transact(work)


def _names(connection: Connection) -> list[str]:
    return [
        _unescaped(text) for text in connection.execute(select(studies.c.name).order_by(studies.c.id)).scalars()
    ]


def default_name(study: Study) -> str:
    """Of a study without one: task, cell, and a checksum of all else but lengths and repetitions."""
    tasks, cells = study.values()["task"], study.values()["cell"]
    names = [names[0].replace("/", "-") if len(names) == 1 else "several" for names in (tasks, cells)]
    return "-".join([*names, _sha(_canonical(study))[:8]])


def folder_name(study: Study) -> str:
    """For a folder of its own: a name that somebody gave is in it as a checksum only."""
    usual = default_name(study)
    return usual if study.name in (None, usual) else f"{usual}-{_sha(study.name)[:6]}"


def _specified(study: Study) -> dict[str, str]:
    text = study.model_dump_json(exclude={"name"})
    return {"specification": text, "hash": _sha(text)}


def _canonical(study: Study) -> str:
    """Everything that a result depends on but the rest of the key."""
    return json.dumps(study.model_dump(mode="json", exclude=set(BESIDES)), sort_keys=True)


def _completed(specification: str) -> str:
    """The same of what is stored, perhaps by a version that had fewer fields."""
    return json.dumps(json.loads(_canonical(Study())) | json.loads(specification), sort_keys=True)


BESIDES = ("lengths", "repetitions", "weights", "name")


def _grown(old: Study, new: Study) -> Study:
    """Both together: of each field the values of the old one in their order, and then what is new."""
    was, now = old.values(), new.values()
    both = {field: tuple(dict.fromkeys((*was.get(field, ()), *values))) for field, values in now.items()}
    grown = {field for field, values in both.items() if values != now[field]}
    if any(field.startswith("parameters.") for field in grown):  # which change together
        grown |= {field for field in both if field.startswith("parameters.")}
    most = {name: max(getattr(old, name), getattr(new, name)) for name in ("repetitions", "weights")}
    return new.with_(**nested({field: both[field] for field in grown}), **most)


def _demand_contained(old: Study, new: Study, name: str) -> None:
    """A study may grow, but not change: each field has the old values, and perhaps more.

    Of lengths and repetitions it may also be asked for less, or for others: they stand beside each other.
    """
    was, now = old.values(), new.values()
    lines = [
        f"  {field}: {_listed(was.get(field))} in the store, {_listed(now.get(field))} asked for"
        for field in {**was, **now}
        if field != "lengths"
        and (not set(was.get(field, ())) <= set(now.get(field, ())) or (field in now) != (field in was))
    ]
    if lines:
        rule = "another one, as a study may grow, but not change, and this one is there"
        raise AnotherStudy("name", rule, "\n".join([repr(name), *lines]))


def _listed(values: Iterable[Any] | None) -> str:
    return "nothing" if values is None else ", ".join(map(str, values))


def _sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _escaped(name: str) -> str:
    """PostgreSQL has no text with a NUL in it."""
    return name.replace("\\", "\\\\").replace("\0", "\\0")


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", lambda found: "\0" if found[1] == "0" else found[1], text)


def _failure(place: str, error: DBAPIError) -> str:
    return f"{place} cannot be used: {str(error.orig).strip()}; what it held before is still there"
