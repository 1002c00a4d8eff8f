"""Migration from schema 1 to schema 2, row by row.

Schema 1 (memspan 0.1) had other names for some fields, called the compiled engine fused, and named studies without
a name by a checksum of all fields, defaults included. Rows of later schemas are returned unchanged. The checksums
of schema 3 are added by the first run that writes (`memspan.store.checksums`).
"""

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, select, update

from memspan.runtime.parsing import parsed_object
from memspan.store.schema import UNREADABLE, WITHOUT_CHECKSUMS, columns, configurations, studies, trials
from memspan.study.choices import RENAMED
from memspan.study.configuration import Configuration
from memspan.study.identity import canonical, checksum, code_of, default_name, restored, specified

GRID = ("lengths", "repetitions", "weights")
"""The fields that schema 1 left out of the checksum in a study's name."""
ENGINES = {"fused": "compiled"}


def migrate(connection: Connection) -> None:
    """Bring the tables of a store from schema 1 to schema 2, in the transaction of `connection`."""
    for table, key, newer in (
        (studies, (studies.c.id,), newer_study),
        (configurations, (configurations.c.study, configurations.c.configuration), newer_configuration),
    ):
        for row in connection.execute(select(*columns(table, WITHOUT_CHECKSUMS))).mappings().all():
            changed = {name: value for name, value in newer(dict(row)).items() if value != row[name]}
            if changed:
                same = [column == row[column.name] for column in key]
                connection.execute(update(table).where(*same).values(**changed))
    for old, new in ENGINES.items():
        connection.execute(update(trials).where(trials.c.engine == old).values(engine=new))


def newer_study(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row of `studies` in its new form, or unchanged if it cannot be read."""
    try:
        old = parsed_object(row["specification"])
        study = restored(json.dumps(_renamed(old)))
    except UNREADABLE:
        return dict(row)
    name = row["name"]
    if old.keys() & RENAMED.keys() and name == _name_of_version_1(old):
        name = default_name(study)
    return {**row, **specified(study, code_of(row["specification"])), "name": name}


def newer_configuration(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row of `configurations` in its new form, or unchanged if it cannot be read."""
    try:
        found = _renamed(parsed_object(row["specification"]))
        return {**row, "specification": canonical(Configuration(**found))}
    except UNREADABLE:
        return dict(row)


def newer_trial(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row of `trials` in its new form."""
    return {**row, "engine": ENGINES.get(row.get("engine", ""), row.get("engine"))}


def _renamed(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {RENAMED.get(name, name): value for name, value in fields.items()}


def _name_of_version_1(fields: Mapping[str, Any]) -> str:
    def named(field: str) -> str:
        value = fields[field]
        return "several" if isinstance(value, list) else str(value).replace("/", "-")

    text = json.dumps({name: value for name, value in fields.items() if name not in GRID}, sort_keys=True)
    return "-".join([named("task"), named("cell"), checksum(text)[:8]])
