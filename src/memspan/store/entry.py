"""The entry of a study in a store: reads its trials and inserts new ones."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, and_, delete, exists, false, func, or_, select, tuple_
from sqlalchemy.exc import IntegrityError

from memspan.errors import NotFound, UnreadableFile, shown
from memspan.network import Model
from memspan.store.checksums import seal, sealed, verify
from memspan.store.database import StoreFailed
from memspan.store.schema import (
    KEY,
    OUTCOMES,
    UNREADABLE,
    columns,
    configurations,
    curves,
    rows_of,
    since,
    studies,
    test_of,
    tests,
    trial_of,
    trials,
    weights,
)
from memspan.store.transactions import Transactions
from memspan.study.group import trained
from memspan.study.results import StudyResult, StudySummary
from memspan.study.search import Search
from memspan.study.search_result import SearchResult
from memspan.study.study import Key, Study
from memspan.study.trial import Trial

BATCH = 1000  # rows of one query


class Entry:
    """A study or search in a store, with its trials. `Store.enter` and `Store.find` return entries.

    Attributes
    ----------
    name : str
    study : Study
        The study; of a search, the smallest one that has all trials in the store.
    search : Search or None
    engines : mapping of str to str
        The record of engines (`memspan.study.engines`).
    """

    def __init__(
        self,
        transact: Transactions,
        identity: int,
        name: str,
        study: Study,
        numbers: Sequence[int],
        search: Search | None = None,
        engines: Mapping[str, str] | None = None,
    ) -> None:
        self._transact, self.id, self.name, self.study, self.search = transact, identity, name, study, search
        self.engines: Mapping[str, str] = engines or {}
        self._numbers = numbers
        self._places = {number: place for place, number in enumerate(numbers)}
        self._lengths = frozenset(study.lengths)

    def __repr__(self) -> str:
        return f"<Entry {shown(self.name)} of {self._transact.database.place}>"

    def of_configuration(self, place: int) -> "Entry":
        """Return the entry of a single configuration, by its index in `study.configurations`."""
        study, search = self.study.only(place), None if self.search is None else self.search.only(place)
        numbers = [self._numbers[place]]
        return Entry(self._transact, self.id, self.name, study, numbers, search, self.engines)

    def done(self, *, but_failed: bool = False) -> set[Key]:
        """Return the keys of the trials in the store, except trials that lack a part (`_whole`).

        Parameters
        ----------
        but_failed : bool
            Whether to leave out failed trials.
        """
        key = trials.c.configuration, trials.c.length, trials.c.repetition
        query = select(*key).where(self._mine())
        if but_failed:
            query = query.where(trials.c.outcome != "failed")

        def work(connection: Connection) -> set[Key]:
            rows = connection.execute(query.where(self._whole(connection))).all()
            return {Key(self._places[row[0]], *row[1:]) for row in rows if self._has(*row[:2])}

        return self._transact(work)

    def missing(self, keys: Sequence[Key]) -> list[Key]:
        """Return those of `keys` that are not in the store. All keys must have one configuration and length."""
        configuration, length, _ = keys[0]
        query = select(trials.c.repetition).where(
            trials.c.study == self.id,
            trials.c.configuration == self._numbers[configuration],
            trials.c.length == length,
            trials.c.repetition.between(min(keys).repetition, max(keys).repetition),
        )

        def work(connection: Connection) -> set[int]:
            return set(connection.execute(query.where(self._whole(connection))).scalars())

        done = self._transact(work)
        return [key for key in keys if key.repetition not in done]

    def counts(self) -> dict[int, dict[str, int]]:
        """Return for each length the number of trials by outcome."""
        parts = trials.c.configuration, trials.c.length, trials.c.outcome

        def work(connection: Connection) -> dict[int, dict[str, int]]:
            found: dict[int, Counter[str]] = {}
            where = self._mine(), self._whole(connection)
            query = select(*parts, func.count()).where(*where).group_by(*parts)
            for number, length, outcome, count in connection.execute(query):
                if self._has(number, length):
                    if outcome not in OUTCOMES:
                        raise self._damaged(f"T={length}", f"outcome cannot be {outcome!r}")
                    found.setdefault(length, Counter())[outcome] += count
            return {length: dict(counts) for length, counts in found.items()}

        return self._transact(work)

    def reasons(self) -> list[str]:
        """Return the reasons for which trials failed, each once."""
        failed = self._rows(trials.c.outcome == "failed", curves_too=False)
        return sorted({self._trial(row).reason for row in failed})

    def keep(self, found: Iterable[Trial]) -> None:
        """Insert trials in one transaction. Trials that the store has already are not changed.

        Raises
        ------
        StoreFailed
            When the store cannot be written, or the study has been deleted.
        """
        tables: dict[Any, list[dict[str, Any]]] = {trials: [], curves: [], weights: [], tests: []}
        for trial in found:
            key = trial.key
            place = {"study": self.id, "configuration": self._numbers[key.configuration]}
            identity = place | {"length": key.length, "repetition": key.repetition}
            for table, rows in rows_of(trial, identity).items():
                tables[table] += [sealed(table, row) for row in rows]

        def work(connection: Connection) -> None:
            seal(connection, self._transact.database)
            for table, rows in tables.items():
                if rows:
                    connection.execute(self._transact.database.insert(table), rows)

        try:
            self._transact(work, writes=True)
        except IntegrityError:
            raise StoreFailed(f"Study {self.name!r} was deleted from its store while it ran.") from None

    def trials(self, *, curves_too: bool = True) -> Iterator[Trial]:
        """Yield every trial in the order of the keys. Without curves it is faster.

        Raises
        ------
        UnreadableFile
            When a trial is damaged.
        """
        self._transact(self._demand_owners)
        for row in self._rows(curves_too=curves_too):
            yield self._trial(row)

    def copies(self, keys: Collection[Key]) -> Iterator[Trial]:
        """Yield the trials of these keys, with the weights that the study keeps."""
        for trial in self.trials():
            if trial.key in keys:
                kept = trial.repetition < self.study.keep_weights
                yield trial.model_copy(update={"weights": self.weights(trial.key)}) if kept else trial

    def _demand_owners(self, connection: Connection) -> None:
        """Refuse rows that belong to no other row, because a damaged key makes a row seem to be missing."""
        owners = [
            (configurations, studies, {"study": "id"}),
            (trials, configurations, {name: name for name in KEY[:2]}),
            (curves, trials, {name: name for name in KEY}),
            (weights, trials, {name: name for name in KEY}),
        ]
        if self._has_tests(connection):
            owners.append((tests, trials, {name: name for name in KEY}))
        for table, owner, key in owners:
            here = or_(table.c.study == self.id, table.c.study.not_in(select(studies.c.id)))
            owned = exists().where(*(owner.c[column] == table.c[name] for name, column in key.items()))
            if connection.execute(select(table.c.study).where(here, ~owned).limit(1)).first() is not None:
                place, advice = self._transact.database.place, self._transact.database.rescue
                raise UnreadableFile(
                    f"{place} is damaged (it holds {table.name} without their {owner.name}). {advice}"
                )

    def _rows(self, *which: ColumnElement[bool], curves_too: bool) -> Iterator[dict[str, Any]]:
        """Yield the rows of trials in the order of the keys, read in batches."""
        last: tuple[int, int, int] = (-1, -1, -1)
        while rows := self._some_rows(which, last, curves_too):
            yield from (row for row in rows if self._has(row["configuration"], row["length"]))
            last = rows[-1]["configuration"], rows[-1]["length"], rows[-1]["repetition"]

    def _trial(self, row: dict[str, Any]) -> Trial:
        """Return the trial of a row, whose item `curves` is the row of its curves if these were read."""
        row_of_curves, blob, of_tests = row.pop("curves", None), None, row.pop("tests", [])
        try:
            verify(trials, row)
            for test in of_tests:
                verify(tests, test)
            if row_of_curves is not None:
                verify(curves, row_of_curves)
                blob = row_of_curves["data"]
            found = [test for test in map(test_of, of_tests) if test.length in self.study.test_lengths]
            return trial_of(row, self._places[row["configuration"]], blob, found)
        except UNREADABLE as error:
            raise self._damaged(f"T={row['length']}, repetition {row['repetition']}", error) from None

    def _damaged(self, which: str, why: object) -> UnreadableFile:
        """The error for a damaged trial."""
        said = next(iter(str(why).splitlines()), type(why).__name__)
        place, advice = self._transact.database.place, self._transact.database.rescue
        return UnreadableFile(f"{place} holds a damaged trial: {which} of study {self.name!r} ({said}). {advice}")

    def summary(self) -> StudySummary:
        """Return the summary of the trials. Those of a study are read in batches and not kept in memory."""
        if self.search is not None:
            return SearchResult.found(self.search, self.trials(curves_too=False))
        return StudySummary.of(self.study, self.trials(curves_too=False))

    def result(self, *, curves: bool = True) -> StudyResult:
        """Return the result of the study or search with all trials, with or without their curves."""
        if self.search is not None:
            return SearchResult.found(self.search, self.trials(curves_too=curves))
        return StudyResult.of(self.study, self.trials(curves_too=curves))

    def weights(self, key: Key) -> bytes | None:
        """Return the trained weights of a trial as a safetensors file, or None if they were not kept."""
        number = self._numbers[key.configuration]

        def work(connection: Connection) -> bytes | None:
            where = and_(
                weights.c.study == self.id,
                weights.c.configuration == number,
                weights.c.length == key.length,
                weights.c.repetition == key.repetition,
            )
            present = columns(weights, self._transact.database.version(connection))
            row = connection.execute(select(*present).where(where)).mappings().first()
            if row is None:
                return None
            try:
                verify(weights, row)
            except ValueError as error:
                raise self._damaged(f"T={key.length}, repetition {key.repetition}", error) from None
            return bytes(row["data"])

        return self._transact(work)

    def network(self, length: int, repetition: int = 0, configuration: int = 0) -> Model:
        """Return the trained network of a trial: a `Network`, or the network of a model of another library.

        It is built as for the trial, with the same frozen parameters. Cells of the user's own are imported for
        this, and must be what they were.

        Parameters
        ----------
        length, repetition, configuration : int
            The key of the trial. Weights are kept of the first `keep_weights` repetitions.

        Raises
        ------
        NotFound
            If the store has no weights of this trial.
        InvalidArgument
            If the weights do not fit the cell, which has changed.
        """
        from safetensors import SafetensorError

        key = Key(configuration, length, repetition)
        blob = self.weights(key) if configuration in range(len(self._numbers)) else None
        if blob is None:
            which = f"T={length}, repetition {repetition}" + f", configuration {configuration}" * bool(
                configuration
            )
            advice = f"Weights are kept of the first {self.study.keep_weights} repetitions (keep_weights)."
            raise NotFound(f"Study {self.name!r} has no weights of the trial {which}. {advice}")
        try:
            return trained(self.study.configurations[configuration], length, repetition, blob)
        except SafetensorError as error:
            raise self._damaged(f"T={length}, repetition {repetition}", error) from None

    def forget_failed(self) -> int:
        """Delete the failed trials, so that they are run again. Return how many there were."""

        def work(connection: Connection) -> int:
            lengths = trials.c.length.in_(self.study.lengths)
            failed = delete(trials).where(self._mine(), lengths, trials.c.outcome == "failed")
            return int(connection.execute(failed).rowcount)

        return self._transact(work, writes=True)

    def _mine(self) -> ColumnElement[bool]:
        """The condition that a trial belongs to this study, which `_has` completes for several configurations.

        The store may have more trials under this name, because a study can grow. The query does not list the
        configurations: databases limit the length of such lists.
        """
        mine = and_(
            trials.c.study == self.id,
            trials.c.length.between(self.study.lengths[0], self.study.lengths[-1]),
            trials.c.repetition < self.study.repetitions,
        )
        return mine if len(self._numbers) > 1 else and_(mine, trials.c.configuration == self._numbers[0])

    def _has(self, number: int, length: int) -> bool:
        """Whether this study has a length, and a configuration, given by its number in the store."""
        return number in self._places and length in self._lengths

    def _whole(self, connection: Connection) -> ColumnElement[bool]:
        """The condition that a trial has all that it should have. If not, it is computed again, to the same bits.

        These are the weights that should be kept, and a score at each test length.
        """
        kept = exists().where(*_same(weights, trials))
        parts: list[ColumnElement[bool]] = [or_(trials.c.repetition >= self.study.keep_weights, kept)]
        if self.study.test_lengths and not self._has_tests(connection):
            parts.append(false())
        else:
            parts += [
                exists().where(*_same(tests, trials), tests.c.test_length == length)
                for length in self.study.test_lengths
            ]
        return or_(trials.c.outcome == "failed", and_(*parts))

    def _has_tests(self, connection: Connection) -> bool:
        return self._transact.database.version(connection) >= since(tests)

    def _some_rows(
        self, which: Iterable[ColumnElement[bool]], after: tuple[int, int, int], curves_too: bool
    ) -> list[dict[str, Any]]:
        """Return the next rows in the order of the keys. With curves, the item `curves` of each is their row."""
        key = [trials.c.configuration, trials.c.length, trials.c.repetition]
        where = self._mine(), tuple_(*key) > tuple_(*after), *which

        def work(connection: Connection) -> list[dict[str, Any]]:
            version = self._transact.database.version(connection)
            of_trial = columns(trials, version)
            of_curves = [column for column in columns(curves, version) if column.name not in KEY]
            query = select(*of_trial)
            if curves_too:
                query = query.add_columns(*of_curves).outerjoin(curves, and_(*_same(curves, trials)))
            rows = connection.execute(query.where(*where).order_by(*key).limit(BATCH))
            names = [[column.name for column in part] for part in (of_trial, of_curves)]
            found = [_parted(row, *names) for row in rows]
            if found and self.study.test_lengths and self._has_tests(connection):
                self._add_tests(connection, found)
            return found

        return self._transact(work)

    def _add_tests(self, connection: Connection, rows: list[dict[str, Any]]) -> None:
        """Give each of these rows of trials an item `tests`, the rows of its scores at other lengths."""
        key = tests.c.configuration, tests.c.length, tests.c.repetition
        first, last = (tuple(rows[k][column.name] for column in key) for k in (0, -1))
        where = tests.c.study == self.id, tuple_(*key).between(tuple_(*first), tuple_(*last))
        of_trial: dict[Any, list[dict[str, Any]]] = {}
        for test in connection.execute(select(tests).where(*where).order_by(tests.c.test_length)).mappings():
            of_trial.setdefault(tuple(test[column.name] for column in key), []).append(dict(test))
        for row in rows:
            row["tests"] = of_trial.get(tuple(row[column.name] for column in key), [])


def _same(one: Table, other: Table) -> list[ColumnElement[bool]]:
    """The condition that two rows belong to the same trial."""
    return [one.c[name] == other.c[name] for name in KEY]


def _parted(values: Sequence[Any], of_trial: list[str], of_curves: list[str]) -> dict[str, Any]:
    """Split a joined row into the row of the trial and, as its item `curves`, the row of the curves."""
    row = dict(zip(of_trial, values, strict=False))
    if len(values) > len(of_trial):
        key = {name: row[name] for name in KEY}
        row["curves"] = key | dict(zip(of_curves, values[len(of_trial) :], strict=True))
    return row
