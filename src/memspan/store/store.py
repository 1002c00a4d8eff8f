"""The store: studies and searches, and their trials, in a database. Only the coordinator writes to it.

A trial is a pure function of its key. So inserting a trial twice is harmless, two coordinators of one study only
waste work, and trials lost in a crash are computed again. No locks, leases or partial states are needed.
"""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from sqlalchemy import Connection, delete, func, select, update

from memspan.errors import InvalidArgument, UnreadableFile, shown, truth
from memspan.runtime.renamed import checked_keywords
from memspan.store.catalogue import Catalogue, escaped, has_results, names, unescaped
from memspan.store.checksums import seal, sealed
from memspan.store.entry import Entry
from memspan.store.schema import OUTCOMES, studies, trials
from memspan.store.transactions import Transactions, database
from memspan.study.engines import workload_of
from memspan.study.fingerprint import RULES, fingerprints, parts_of
from memspan.study.identity import UncheckedCode, canonical, grown_by, specified, unchecked_code
from memspan.study.provenance import Provenance
from memspan.study.results import StudyResult
from memspan.study.search import Search
from memspan.study.study import Key, Study


@dataclass(frozen=True)
class Overview:
    """A study or search in a store, and how many of its trials have ended. `memspan store ls` shows it.

    Attributes
    ----------
    name : str
    study : Study or Search
    versions : Provenance
        The versions with which the study was first run.
    created : str
        UTC, in ISO 8601.
    hash : str
        The SHA-256 of the study's configurations, lengths, repetitions and `keep_weights`.
    counts : dict of str to int
        The number of trials for each outcome.
    """

    name: str
    study: Study | Search
    versions: Provenance
    created: str
    hash: str
    counts: dict[str, int]

    def __repr__(self) -> str:
        of_all = "" if self.trials is None else f" of {self.trials:,}"
        return f"<Overview {shown(self.name)}: {self.done:,}{of_all} trials>"

    @property
    def trials(self) -> int | None:
        """The number of trials of the whole study; None for a search, which decides that on its way."""
        return self.study.size if isinstance(self.study, Study) else None

    @property
    def done(self) -> int:
        """The number of trials that have ended."""
        return sum(self.counts.values())


class Store:
    """Studies in a SQLite file or a PostgreSQL database.

    Parameters
    ----------
    place : path or str
        The file, or a URL such as `postgresql://user@host/database`.
    create : bool
        Whether to create a store that does not exist.

    Raises
    ------
    NoStore
        When there is no store and `create` is False.
    UnreadableFile
        When it is damaged, not a memspan store, or of a newer version. It is not changed.
    StoreFailed
        When it cannot be reached or written.
    """

    @checked_keywords()
    def __init__(self, place: str | Path, *, create: bool = False) -> None:
        self.transact = Transactions(database(place), create=truth("create", create))
        self._catalogue = Catalogue(self.transact.database)

    def __repr__(self) -> str:
        return f"<Store {self.place}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections to the database."""
        self.transact.close()

    @property
    def place(self) -> str:
        """The path or the URL, without a password."""
        return self.transact.database.place

    @property
    def size(self) -> int:
        """The size of all studies together, in bytes."""
        return self.transact(self.transact.database.size)

    def enter(
        self,
        study: Study | Search,
        provenance: Provenance | None = None,
        engines: Mapping[str, str] | None = None,
    ) -> Entry:
        """Add a study or search, or let that of the same name grow by new lengths, repetitions and values.

        Parameters
        ----------
        study : Study or Search
        provenance : Provenance, optional
            The versions with which it is run; by default those of this process.
        engines : mapping of str to str, optional
            Engines to record (`memspan.study.engines`). One that is recorded already stays.

        Returns
        -------
        Entry
            Of `study`, which may have fewer trials than the store has under this name.

        Raises
        ------
        AnotherStudy
            When the stored study of this name has values that `study` lacks, or was run with other code of a cell,
            task or initializer. The message lists every difference.

        Warns
        -----
        UncheckedCode
            When the store has no comparable fingerprints of the study's code.
        """
        code, unknown = fingerprints(_a_study(study)), list[str]()
        versions = provenance or Provenance.here()
        row = {
            **specified(study, code, engines),
            "versions": versions.model_dump_json(),
            "commit": versions.commit,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
        }

        def work(connection: Connection) -> Entry:
            seal(connection, self.transact.database)
            name = self._catalogue.name_of(connection, study, code)
            same = self._catalogue.query(connection, name).with_for_update()
            found: Mapping[Any, Any] | None = connection.execute(same).mappings().first()
            if found is None:
                connection.execute(self.transact.database.insert(studies), row | {"name": escaped(name)})
                found = connection.execute(same).mappings().one()
                if found["checksum"] is None:  # the row was inserted just now, and has an id only since then
                    found = sealed(studies, found)
            old = self._catalogue.same(connection, found, study, code, name)
            was = self._catalogue.code(found["specification"], name)
            unknown[:] = unchecked_code(was, code, old) if has_results(connection, found["id"]) else []
            grown = grown_by(old, study)
            chosen = {**(engines or {}), **self._catalogue.engines(found, name, code)}
            whole = sealed(studies, {**found, **specified(grown, was | code, chosen)})
            connection.execute(update(studies).where(studies.c.id == found["id"]).values(**whole))
            self._catalogue.add_configurations(connection, found["id"], grown, name)
            wanted = study.model_copy(update={"keep_weights": grown.keep_weights})
            return self._entry(connection, found["id"], wanted, name, chosen)

        entry = self.transact(work, writes=True)
        if unknown:
            parts = ", ".join(unknown)
            message = f"memspan cannot tell whether the code of study {entry.name!r} has changed ({parts})."
            warnings.warn(message, UncheckedCode, stacklevel=2)
        return entry

    def find(self, name: str) -> Entry:
        """Return the entry of a study.

        Raises
        ------
        NotFound
            When the store has no study of this name.
        """

        def work(connection: Connection) -> Entry:
            found = connection.execute(self._catalogue.query(connection, name)).mappings().first()
            if found is None:
                raise self._catalogue.unknown(connection, name)
            stored, chosen = self._catalogue.study(found, name), self._catalogue.engines(found, name)
            return self._entry(connection, found["id"], stored, name, chosen)

        return self.transact(work)

    def existing(self, study: Study | Search) -> Entry | None:
        """Return the entry that `enter` would return if the store has the study, else None. Nothing is written.

        Raises
        ------
        AnotherStudy
            As in `enter`.
        """
        code = fingerprints(_a_study(study))

        def work(connection: Connection) -> Entry | None:
            name = self._catalogue.name_of(connection, study, code)
            found = connection.execute(self._catalogue.query(connection, name)).mappings().first()
            if found is None:
                return None
            old = self._catalogue.same(connection, found, study, code, name)
            wanted = study.model_copy(update={"keep_weights": max(old.keep_weights, study.keep_weights)})
            chosen = self._catalogue.engines(found, name, code)
            return self._entry(connection, found["id"], wanted, name, chosen)

        return self.transact(work)

    def missing(self, study: Study, *, but_failed: bool = False) -> list[Key]:
        """Return the keys of the trials of a study that are not in the store. Nothing is written.

        Parameters
        ----------
        study : Study
        but_failed : bool
            Whether to include the trials that failed.

        Raises
        ------
        AnotherStudy
            As in `enter`.
        """
        if not isinstance(study, Study):
            raise InvalidArgument("study", "a Study", shown(study))
        entry = self.existing(study)
        done = set[Key]() if entry is None else entry.done(but_failed=but_failed)
        return [key for key in study.keys if key not in done]

    def sources(self, study: Study) -> list[Entry]:
        """Return the entries from which trials of a study can be copied. Nothing is written.

        A trial is a function of its key, so a trial of another study or search is the same if its configuration,
        its length, its repetition and the code are the same; of a model of another library, the engine too.

        Returns
        -------
        list of Entry
            One for each other study or search with a configuration of `study` that was run with the same code.
            `Entry.study` is `study`, so `done` and `copies` know the trials by its keys, and leave out trials that
            lack weights or scores that it should have.
        """
        code, entry = fingerprints(_a_study(study)), self.existing(study)
        wanted = study if entry is None else entry.study
        texts = [canonical(one) for one in wanted.configurations]
        parts = [{name: code[name] for name in (*parts_of(one), RULES)} for one in wanted.configurations]
        workloads = [canonical(workload_of(one)) if one.factory() else None for one in wanted.configurations]
        engines = {} if entry is None else dict(entry.engines)  # it gets those of the first sources

        def work(connection: Connection) -> list[Entry]:
            found = []
            query = select(*self._catalogue.columns(connection, studies)).order_by(studies.c.id)
            for row in connection.execute(query).mappings().all():
                name = unescaped(str(row["name"]))
                if entry is not None and row["id"] == entry.id:
                    continue
                self._catalogue.study(row, name)  # raises if the row is damaged
                has = self._catalogue.code(row["specification"], name)
                stored = self._catalogue.numbers(connection, row["id"], name)
                theirs = self._catalogue.engines(row, name)
                numbers = [
                    stored[text]
                    if text in stored and parts[k].items() <= has.items() and _same(workloads[k], engines, theirs)
                    else -1 - k
                    for k, text in enumerate(texts)
                ]
                if max(numbers) >= 0:
                    found.append(Entry(self.transact, row["id"], name, wanted, numbers, engines=theirs))
            return found

        return self.transact(work)

    def names(self) -> list[str]:
        """The names of all studies, the oldest first."""
        return self.transact(names)

    def overviews(self) -> list[Overview]:
        """The overviews of all studies, the oldest first."""

        def work(connection: Connection) -> list[Overview]:
            counts: dict[int, dict[str, int]] = {}
            grouped = select(trials.c.study, trials.c.outcome, func.count()).group_by(
                trials.c.study, trials.c.outcome
            )
            for study, outcome, count in connection.execute(grouped):
                if outcome not in OUTCOMES:
                    advice = self.transact.database.rescue
                    raise UnreadableFile(f"{self.place} is damaged (outcome cannot be {outcome!r}). {advice}")
                counts.setdefault(study, {})[outcome] = count
            query = select(*self._catalogue.columns(connection, studies)).order_by(studies.c.id)
            rows = connection.execute(query).mappings().all()
            return [self._overview(row, counts.get(row["id"], {})) for row in rows]

        return self.transact(work)

    def overview(self, name: str) -> Overview:
        """Return the overview of one study.

        Raises
        ------
        NotFound
            When the store has no study of this name.
        """
        found = next((one for one in self.overviews() if one.name == name), None)
        if found is None:
            raise self.transact(lambda connection: self._catalogue.unknown(connection, name))
        return found

    def remove(self, name: str) -> int:
        """Delete a study with all its trials, even if it cannot be read. Return the number of its trials.

        Raises
        ------
        NotFound
            When the store has no study of this name.
        """

        def work(connection: Connection) -> int:
            number = self._catalogue.count(connection, name)
            connection.execute(delete(studies).where(studies.c.name == escaped(name)))
            return number

        return self.transact(work, writes=True)

    def count(self, name: str) -> int:
        """Return the number of trials that the store has of a study, even if the study cannot be read.

        Raises
        ------
        NotFound
            When the store has no study of this name.
        """
        return self.transact(lambda connection: self._catalogue.count(connection, name))

    def _overview(self, row: Any, counts: dict[str, int]) -> Overview:
        study = self._catalogue.study(row, name := unescaped(str(row["name"])))
        try:
            versions = Provenance.model_validate_json(row["versions"])
        except ValueError as error:
            raise self._catalogue.damaged(name, f"its versions cannot be read: {error}") from None
        return Overview(name, study, versions, row["created"], row["hash"], counts)

    def _entry(
        self,
        connection: Connection,
        identity: int,
        study: Study | Search,
        name: str,
        engines: Mapping[str, str],
    ) -> Entry:
        """The entry of `study`. A configuration that is not in the store gets a number that no trial has."""
        stored = self._catalogue.numbers(connection, identity, name)
        numbers = [stored.get(canonical(one), -1 - k) for k, one in enumerate(study.configurations)]
        named = study.model_copy(update={"name": name})
        if isinstance(named, Study):
            return Entry(self.transact, identity, name, named, numbers, engines=engines)
        try:
            covering = named.covering(*self._catalogue.trained(connection, identity))
        except InvalidArgument as error:  # no search could have trials of such keys
            raise self._catalogue.damaged(name, error) from None
        return Entry(self.transact, identity, name, covering, numbers, named, engines)


@checked_keywords()
def load_study(store: str | Path, name: str) -> StudyResult:
    """Return the result of a study in a store: the trials that have ended, with their curves.

    Parameters
    ----------
    store : path or str
        A SQLite file, or the URL of a PostgreSQL database.
    name : str
        The name of the study.

    Raises
    ------
    NotFound
        When there is no such store or study.
    UnreadableFile, StoreFailed
        As in `Store`.
    """
    with Store(store) as opened:
        return opened.find(name).result()


def _same(workload: str | None, engines: dict[str, str], theirs: Mapping[str, str]) -> bool:
    """Whether a workload has the same engine in another record. If it has none in `engines`, it gets the other."""
    if workload is None:  # memspan's cells have one engine
        return True
    return workload in theirs and engines.setdefault(workload, theirs[workload]) == theirs[workload]


def _a_study(study: Study | Search) -> Study | Search:
    if not isinstance(study, Study | Search):
        raise InvalidArgument("study", "a Study or a Search", shown(study))
    return study
