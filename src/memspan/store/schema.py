"""The tables of a store, and the conversion between trials and rows.

Every change of the schema raises `VERSION`. A store with a newer schema is refused.
"""

import json
import math
from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    Column,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
)

from memspan.errors import MemspanError
from memspan.runtime.parsing import parsed_json
from memspan.store.codec import pack, unpack
from memspan.study.trial import Test, Trial
from memspan.training.history import Outcome

VERSION = 5
WITHOUT_CHECKSUMS = 2
"""The last version of the schema without checksums."""
SINCE = "since"
"""The key in `Column.info` of the version of the schema that added a column."""
APPLICATION = 0x6D737061  # "mspa": SQLite's application id

METADATA = MetaData()


def _checksum() -> Column[bytes]:
    """The column for the checksum of all other columns (`memspan.store.checksums`)."""
    return Column("checksum", LargeBinary, info={SINCE: 3})


studies = Table(
    "studies",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("specification", Text, nullable=False),  # JSON of the Study
    Column("hash", Text, nullable=False),  # SHA-256, see `memspan.study.identity.specified`
    Column("versions", Text, nullable=False),  # JSON of the Provenance
    Column("commit", Text),
    Column("created", Text, nullable=False),  # UTC, ISO 8601
    _checksum(),
    sqlite_autoincrement=True,  # otherwise a new study could get the id of a deleted one that is still running
)

configurations = Table(
    "configurations",
    METADATA,
    Column("study", Integer, ForeignKey("studies.id", ondelete="CASCADE"), primary_key=True),
    Column("configuration", Integer, primary_key=True),  # keeps its number when the study grows
    Column("specification", Text, nullable=False),  # JSON of its fields, each with one value
    _checksum(),
)


KEY = ("study", "configuration", "length", "repetition")


def _key() -> list[Any]:
    return [Column(name, Integer, primary_key=True) for name in KEY]


trials = Table(
    "trials",
    METADATA,
    *_key(),
    Column("outcome", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("updates", Integer, nullable=False),
    Column("accuracy", Double),  # NULL for NaN, as in failed trials
    Column("loss", Double),
    Column("accuracies", Text, nullable=False),  # JSON lists, one number for each evaluation batch
    Column("losses", Text, nullable=False),
    Column("seconds", Double, nullable=False),
    Column("cpu_seconds", Double, nullable=False),
    Column("engine", Text, nullable=False),
    Column("worker", Text, nullable=False),
    Column("memspan", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("digest", Text, nullable=False),
    Column("version", Integer, info={SINCE: 4}),  # NULL for 1
    Column("critical_gain", Double, info={SINCE: 5}),  # NULL for initializers other than `critical`
    _checksum(),
    ForeignKeyConstraint(
        ["study", "configuration"],
        ["configurations.study", "configurations.configuration"],
        ondelete="CASCADE",
    ),
)


def _of_a_trial(name: str) -> Table:
    """A table with one blob for a trial."""
    key = _key()
    names = [column.name for column in key]
    whole = ForeignKeyConstraint(names, [f"trials.{column}" for column in names], ondelete="CASCADE")
    return Table(name, METADATA, *key, Column("data", LargeBinary, nullable=False), _checksum(), whole)


curves = _of_a_trial("curves")  # memspan.store.codec
weights = _of_a_trial("weights")  # safetensors
tests = Table(
    "tests",
    METADATA,
    *_key(),
    Column("test_length", Integer, primary_key=True),
    Column("accuracy", Double),  # NULL for NaN, like the loss
    Column("loss", Double),
    _checksum(),
    ForeignKeyConstraint([*KEY], [f"trials.{name}" for name in KEY], ondelete="CASCADE"),
    info={SINCE: 4},
)


def since(part: Table | Column[Any]) -> int:
    """The version of the schema that added a table or column."""
    return int(part.info.get(SINCE, 1))


def tables(version: int) -> list[Table]:
    """The tables of a store whose schema has that version."""
    return [table for table in METADATA.sorted_tables if since(table) <= version]


def columns(table: Table, version: int) -> list[Column[Any]]:
    """The columns of a table in a store whose schema has that version."""
    return [column for column in table.c if since(column) <= version]


PLAIN = (
    "version",
    "critical_gain",
    "reason",
    "updates",
    "seconds",
    "cpu_seconds",
    "engine",
    "worker",
    "memspan",
    "attempts",
    "digest",
)

LATER = {"version": 1, "critical_gain": None}
"""The columns in `PLAIN` that are younger than the first stores, and the values that NULL stands for."""


def rows_of(trial: Trial, key: dict[str, int]) -> dict[Table, list[dict[str, Any]]]:
    """Return the rows of a trial in each table; `key` has the columns of its key."""
    row = {name: getattr(trial, name) for name in PLAIN}
    row |= {"outcome": trial.outcome, "reason": trial.reason.replace("\0", "\\0")}
    row |= _scores(trial) | {name: json.dumps(getattr(trial, name)) for name in ("accuracies", "losses")}
    return {
        trials: [key | row],
        curves: [key | {"data": pack(trial)}],
        weights: [] if trial.weights is None else [key | {"data": trial.weights}],
        tests: [key | {"test_length": test.length} | _scores(test) for test in trial.tests],
    }


def _scores(scored: Trial | Test) -> dict[str, float | None]:
    return {name: None if math.isnan(number := getattr(scored, name)) else number for name in ("accuracy", "loss")}


UNREADABLE = (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError, MemspanError)
"""The errors of reading a row that a disk has damaged or another program has written."""
OUTCOMES = frozenset({Outcome.SOLVED, Outcome.UNSOLVED, Outcome.DIVERGED, Outcome.FAILED})
"""The outcomes that a stored trial may have."""
LEAST = dict.fromkeys(("repetition", "updates", "seconds", "cpu_seconds"), 0) | dict.fromkeys(
    ("length", "attempts", "curve_every", "flow_every", "version"), 1
)
"""The smallest allowed value of each field."""


def trial_of(row: Any, configuration: int, blob: bytes | None, of_tests: Sequence[Test] = ()) -> Trial:
    """Return the trial of a row of `trials`, with the curves in `blob` if that is given, and its tests.

    Raises
    ------
    UNREADABLE
        When the row is damaged, or has values that no trial can have.
    """
    fields = {name: row[name] for name in PLAIN if name not in LATER}
    fields |= {name: missing if row.get(name) is None else row[name] for name, missing in LATER.items()}
    fields |= {"outcome": row["outcome"], "length": row["length"], "repetition": row["repetition"]}
    fields |= {name: math.nan if row[name] is None else row[name] for name in ("accuracy", "loss")}
    fields |= {name: parsed_json(row[name]) for name in ("accuracies", "losses")}
    curves_of_it = unpack(blob) if blob is not None else {}
    trial = Trial(configuration=configuration, tests=list(of_tests), **fields, **curves_of_it)
    _demand_possible(trial)
    return trial


def test_of(row: Any) -> Test:
    """Return the score of a row of `tests`.

    Raises
    ------
    UNREADABLE
        When the row has values that no score can have.
    """
    accuracy, loss = (math.nan if row[name] is None else row[name] for name in ("accuracy", "loss"))
    if row["test_length"] < 1:
        raise ValueError(f"test length cannot be {row['test_length']}")
    _demand_accuracy(accuracy)
    return Test(length=row["test_length"], accuracy=accuracy, loss=loss)


def _demand_possible(trial: Trial) -> None:
    """Refuse values that no trial can have. A checksum shows only that they were written so."""
    for name, least in LEAST.items():
        if not getattr(trial, name) >= least:
            raise ValueError(f"{name} cannot be {getattr(trial, name)}")
    if trial.critical_gain is not None and not 0 < trial.critical_gain < math.inf:
        raise ValueError(f"critical_gain cannot be {trial.critical_gain}")
    for accuracy in (trial.accuracy, *trial.accuracies):
        _demand_accuracy(accuracy)


def _demand_accuracy(accuracy: float) -> None:
    if not (0 <= accuracy <= 1 or math.isnan(accuracy)):
        raise ValueError(f"accuracy cannot be {accuracy}")
