"""The tables of a store, and how a trial becomes rows of them.

A schema of another form gets another `VERSION`; a store of a newer one is refused.
"""

import json
import math
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

from memspan.store.codec import pack, unpack
from memspan.study.trial import Trial

VERSION = 2
APPLICATION = 0x6D737061  # "mspa": SQLite's application id

METADATA = MetaData()

studies = Table(
    "studies",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("specification", Text, nullable=False),  # JSON of the Study
    Column("hash", Text, nullable=False),  # SHA-256 of that
    Column("versions", Text, nullable=False),  # JSON of the Provenance
    Column("commit", Text),
    Column("created", Text, nullable=False),  # UTC, ISO 8601
    sqlite_autoincrement=True,  # else a new study could get the id of one that was taken out, and is still running
)

configurations = Table(
    "configurations",
    METADATA,
    Column("study", Integer, ForeignKey("studies.id", ondelete="CASCADE"), primary_key=True),
    Column("configuration", Integer, primary_key=True),  # keeps its number when the study grows
    Column("specification", Text, nullable=False),  # JSON of its fields, each with one value
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
    Column("accuracy", Double),  # NULL where there is none, as for failed trials
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
    ForeignKeyConstraint(
        ["study", "configuration"],
        ["configurations.study", "configurations.configuration"],
        ondelete="CASCADE",
    ),
)


def _of_a_trial(name: str) -> Table:
    key = _key()
    names = [column.name for column in key]
    whole = ForeignKeyConstraint(names, [f"trials.{column}" for column in names], ondelete="CASCADE")
    return Table(name, METADATA, *key, Column("data", LargeBinary, nullable=False), whole)


curves = _of_a_trial("curves")  # memspan.store.codec
weights = _of_a_trial("weights")  # safetensors

PLAIN = ("reason", "updates", "seconds", "cpu_seconds", "engine", "worker", "memspan", "attempts", "digest")


def rows_of(trial: Trial, key: dict[str, int]) -> dict[Table, dict[str, Any]]:
    """A row for each table that the trial is in."""
    row = {name: getattr(trial, name) for name in PLAIN}
    row |= {"outcome": trial.outcome, "reason": trial.reason.replace("\0", "\\0")}
    row |= {name: None if math.isnan(number := getattr(trial, name)) else number for name in ("accuracy", "loss")}
    row |= {name: json.dumps(getattr(trial, name)) for name in ("accuracies", "losses")}
    found: dict[Table, dict[str, Any]] = {trials: key | row, curves: key | {"data": pack(trial)}}
    if trial.weights is not None:
        found[weights] = key | {"data": trial.weights}
    return found


def trial_of(row: Any, configuration: int, blob: bytes | None) -> Trial:
    """The trial of a row of `trials`, with its curves if there are any."""
    fields = {name: row[name] for name in PLAIN}
    fields |= {"outcome": row["outcome"], "length": row["length"], "repetition": row["repetition"]}
    fields |= {name: math.nan if row[name] is None else row[name] for name in ("accuracy", "loss")}
    fields |= {name: json.loads(row[name]) for name in ("accuracies", "losses")}
    return Trial(configuration=configuration, **fields, **(unpack(blob) if blob is not None else {}))
