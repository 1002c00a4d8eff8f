"""A study in a store: which of its trials are there, what they found, and where new ones go."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, delete, exists, func, or_, select, tuple_
from sqlalchemy.exc import IntegrityError

from memspan.errors import UnreadableFile, shown
from memspan.store.database import StoreFailed
from memspan.store.schema import KEY, curves, rows_of, trial_of, trials, weights
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

    def __repr__(self) -> str:
        return f"<Entry {shown(self.name)} of {self._transact.database.place}>"

    def of_configuration(self, place: int) -> "Entry":
        """A configuration by itself."""
        study = self.study.only(place)
        return Entry(self._transact, self.id, self.name, study, [self._numbers[place]])

    def done(self, *, but_failed: bool = False) -> set[Key]:
        """The keys of the trials that are there, with their weights if these are to be kept."""
        columns = trials.c.configuration, trials.c.length, trials.c.repetition
        query = select(*columns).where(self._mine(), self._with_weights())
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
        columns = trials.c.configuration, trials.c.length, trials.c.outcome

        def work(connection: Connection) -> dict[int, dict[str, int]]:
            found: dict[int, Counter[str]] = {}
            query = select(*columns, func.count()).where(self._mine(), self._with_weights()).group_by(*columns)
            for number, length, outcome, count in connection.execute(query):
                if self._has(number, length):
                    found.setdefault(length, Counter())[outcome] += count
            return {length: dict(counts) for length, counts in found.items()}

        return self._transact(work)

    def reasons(self) -> list[str]:
        """Why trials failed, each reason once."""
        query = select(trials.c.reason).where(self._mine(), trials.c.outcome == "failed").distinct()
        return self._transact(lambda connection: sorted(connection.execute(query).scalars()))

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
                    connection.execute(self._transact.database.insert(table), rows)

        try:
            self._transact(work, writes=True)
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
            where = f"{self._transact.database.place} holds a damaged trial, {which}"
            raise UnreadableFile(f"{where} ({said}); `memspan store doctor` saves the others") from None

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
            return connection.execute(select(weights.c.data).where(where)).scalar()

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

    def _some_rows(self, key: list[Any], after: tuple[int, int, int], curves_too: bool) -> list[dict[str, Any]]:
        """The next rows in the order of the keys."""

        def work(connection: Connection) -> list[dict[str, Any]]:
            query = select(trials)
            if curves_too:
                same = [curves.c[name] == trials.c[name] for name in KEY]
                query = select(trials, curves.c.data).outerjoin(curves, and_(*same))
            query = query.where(self._mine(), tuple_(*key) > tuple_(*after)).order_by(*key).limit(BATCH)
            return [dict(row) for row in connection.execute(query).mappings()]

        return self._transact(work)
