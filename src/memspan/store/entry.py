"""A study in a store: which of its trials are there, what they found, and where new ones go."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, delete, exists, func, or_, select, tuple_
from sqlalchemy.exc import IntegrityError

from memspan.errors import UnreadableFile
from memspan.store.checksums import columns, seal, sealed, verify
from memspan.store.database import DOCTOR, StoreFailed
from memspan.store.schema import (
    KEY,
    OUTCOMES,
    UNREADABLE,
    configurations,
    curves,
    rows_of,
    studies,
    trial_of,
    trials,
    weights,
)
from memspan.store.transactions import Transactions
from memspan.study.results import StudyResult, StudySummary
from memspan.study.study import Key, Study
from memspan.study.trial import Trial

BATCH = 1000  # rows that are read at once


class Entry:
    """A study in a store, and its trials.

    Attributes
    ----------
    name : str
    study : Study
    """

    def __init__(
        self, transact: Transactions, identity: int, name: str, study: Study, numbers: Sequence[int]
    ) -> None:
        self._transact, self.id, self.name, self.study = transact, identity, name, study
        self._numbers = numbers
        self._places = {number: place for place, number in enumerate(numbers)}
        self._lengths = frozenset(study.lengths)

    def of_configuration(self, place: int) -> "Entry":
        """A configuration by itself."""
        study = self.study.only(place)
        return Entry(self._transact, self.id, self.name, study, [self._numbers[place]])

    def done(self, *, but_failed: bool = False) -> set[Key]:
        """The keys of the trials that are there, with their weights if these are to be kept."""
        key = trials.c.configuration, trials.c.length, trials.c.repetition
        query = select(*key).where(self._mine(), self._with_weights())
        if but_failed:
            query = query.where(trials.c.outcome != "failed")

        def work(connection: Connection) -> set[Key]:
            rows = connection.execute(query).all()
            return {Key(self._places[row[0]], *row[1:]) for row in rows if self._has(*row[:2])}

        return self._transact(work)

    def missing(self, keys: Sequence[Key]) -> list[Key]:
        """Those of a job, which are of one configuration and length, that are not there yet."""
        configuration, length, _ = keys[0]
        query = select(trials.c.repetition).where(
            trials.c.study == self.id,
            trials.c.configuration == self._numbers[configuration],
            trials.c.length == length,
            trials.c.repetition.between(min(keys).repetition, max(keys).repetition),
            self._with_weights(),
        )
        done = self._transact(lambda connection: set(connection.execute(query).scalars()))
        return [key for key in keys if key.repetition not in done]

    def counts(self) -> dict[int, dict[str, int]]:
        """For each length, how many trials ended in which way."""
        parts = trials.c.configuration, trials.c.length, trials.c.outcome

        def work(connection: Connection) -> dict[int, dict[str, int]]:
            found: dict[int, Counter[str]] = {}
            query = select(*parts, func.count()).where(self._mine(), self._with_weights()).group_by(*parts)
            for number, length, outcome, count in connection.execute(query):
                if self._has(number, length):
                    if outcome not in OUTCOMES:
                        raise self._damaged(f"T={length}", f"outcome cannot be {outcome!r}")
                    found.setdefault(length, Counter())[outcome] += count
            return {length: dict(counts) for length, counts in found.items()}

        return self._transact(work)

    def reasons(self) -> list[str]:
        """Why trials failed, each reason once."""
        failed = self._rows(trials.c.outcome == "failed", curves_too=False)
        return sorted({self._trial(row).reason for row in failed})

    def keep(self, found: Iterable[Trial]) -> None:
        """Insert trials, in one transaction; what is there already stays as it is."""
        tables: dict[Any, list[dict[str, Any]]] = {trials: [], curves: [], weights: []}
        for trial in found:
            key = trial.key
            place = {"study": self.id, "configuration": self._numbers[key.configuration]}
            identity = place | {"length": key.length, "repetition": key.repetition}
            for table, row in rows_of(trial, identity).items():
                tables[table].append(sealed(table, row))

        def work(connection: Connection) -> None:
            seal(connection, self._transact.database)
            for table, rows in tables.items():
                if rows:
                    connection.execute(self._transact.database.insert(table), rows)

        try:
            self._transact(work, writes=True)
        except IntegrityError:
            raise StoreFailed(f"Study {self.name!r} was removed from its store while it ran.") from None

    def trials(self, *, curves_too: bool = True) -> Iterator[Trial]:
        """Every trial, in the order of the keys; without curves faster.

        Raises
        ------
        UnreadableFile
            When one is damaged.
        """
        self._transact(self._demand_owners)
        for row in self._rows(curves_too=curves_too):
            yield self._trial(row)

    def _demand_owners(self, connection: Connection) -> None:
        """Refuse rows whose owner is gone: where a key is damaged, the row that had it is not found."""
        owners = (
            (configurations, studies, {"study": "id"}),
            (trials, configurations, {name: name for name in KEY[:2]}),
            (curves, trials, {name: name for name in KEY}),
            (weights, trials, {name: name for name in KEY}),
        )
        for table, owner, key in owners:
            ours = or_(table.c.study == self.id, table.c.study.not_in(select(studies.c.id)))
            owned = exists().where(*(owner.c[its] == table.c[name] for name, its in key.items()))
            if connection.execute(select(table.c.study).where(ours, ~owned).limit(1)).first() is not None:
                place = self._transact.database.place
                raise UnreadableFile(f"{place} holds {table.name} without their {owner.name}; {DOCTOR}")

    def _rows(self, *which: ColumnElement[bool], curves_too: bool) -> Iterator[dict[str, Any]]:
        """The rows of trials in the order of the keys, some thousand at once."""
        last: tuple[int, int, int] = (-1, -1, -1)
        while rows := self._some_rows(which, last, curves_too):
            yield from (row for row in rows if self._has(row["configuration"], row["length"]))
            last = rows[-1]["configuration"], rows[-1]["length"], rows[-1]["repetition"]

    def _trial(self, row: dict[str, Any]) -> Trial:
        """The trial of a row, which has the row of its curves too if these were read."""
        theirs, blob = row.pop("curves", None), None
        try:
            verify(trials, row)
            if theirs is not None:
                verify(curves, theirs)
                blob = theirs["data"]
            return trial_of(row, self._places[row["configuration"]], blob)
        except UNREADABLE as error:
            raise self._damaged(f"T={row['length']}, repetition {row['repetition']}", error) from None

    def _damaged(self, which: str, why: object) -> UnreadableFile:
        said = next(iter(str(why).splitlines()), type(why).__name__)
        where = f"{self._transact.database.place} holds a damaged trial, {which} of {self.name!r}"
        return UnreadableFile(f"{where} ({said}); {DOCTOR}")

    def summary(self) -> StudySummary:
        """What the trials come to; they are read one after the other, and not kept."""
        return StudySummary.of(self.study, self.trials(curves_too=False))

    def result(self, *, curves: bool = True) -> StudyResult:
        """All trials, with their curves or without."""
        return StudyResult.of(self.study, self.trials(curves_too=curves))

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
            its = columns(weights, self._transact.database.version(connection))
            row = connection.execute(select(*its).where(where)).mappings().first()
            if row is None:
                return None
            try:
                verify(weights, row)
            except ValueError as error:
                raise self._damaged(f"T={key.length}, repetition {key.repetition}", error) from None
            return bytes(row["data"])

        return self._transact(work)

    def forget_failed(self) -> int:
        """Take out the trials that failed by the machine's fault, so that they are run again; return how many."""

        def work(connection: Connection) -> int:
            asked = trials.c.length.in_(self.study.lengths)
            failed = delete(trials).where(self._mine(), asked, trials.c.outcome == "failed")
            return int(connection.execute(failed).rowcount)

        return self._transact(work, writes=True)

    def _mine(self) -> ColumnElement[bool]:
        """What belongs to the study as it is here, if `_has` agrees; somebody else may have let it grow meanwhile.

        Of tens of thousands of configurations there is no list in the query: databases take no such lists.
        """
        mine = and_(
            trials.c.study == self.id,
            trials.c.length.between(self.study.lengths[0], self.study.lengths[-1]),
            trials.c.repetition < self.study.repetitions,
        )
        return mine if len(self._numbers) > 1 else and_(mine, trials.c.configuration == self._numbers[0])

    def _has(self, number: int, length: int) -> bool:
        """Whether a configuration, by its number in the store, and a length are of the study as it is here."""
        return number in self._places and length in self._lengths

    def _with_weights(self) -> ColumnElement[bool]:
        """Whether a trial has its weights, if they are to be kept; else it is computed again, bit for bit."""
        kept = exists().where(*(weights.c[name] == trials.c[name] for name in KEY))
        return or_(trials.c.repetition >= self.study.keep_weights, trials.c.outcome == "failed", kept)

    def _some_rows(
        self, which: Iterable[ColumnElement[bool]], after: tuple[int, int, int], curves_too: bool
    ) -> list[dict[str, Any]]:
        """The next rows in the order of the keys; with curves, each has theirs as `curves`."""
        key = [trials.c.configuration, trials.c.length, trials.c.repetition]
        where = self._mine(), tuple_(*key) > tuple_(*after), *which

        def work(connection: Connection) -> list[dict[str, Any]]:
            version = self._transact.database.version(connection)
            ours, theirs = columns(trials, version), [c for c in columns(curves, version) if c.name not in KEY]
            query = select(*ours)
            if curves_too:
                same = [curves.c[name] == trials.c[name] for name in KEY]
                query = query.add_columns(*theirs).outerjoin(curves, and_(*same))
            rows = connection.execute(query.where(*where).order_by(*key).limit(BATCH))
            names = [[column.name for column in part] for part in (ours, theirs)]
            return [_parted(row, *names) for row in rows]

        return self._transact(work)


def _parted(values: Sequence[Any], ours: list[str], theirs: list[str]) -> dict[str, Any]:
    """The row of a trial; what was joined to it, as the row of its curves."""
    row = dict(zip(ours, values, strict=False))
    if len(values) > len(ours):
        key = {name: row[name] for name in KEY}
        row["curves"] = key | dict(zip(theirs, values[len(ours) :], strict=True))
    return row
