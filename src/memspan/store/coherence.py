"""The usable rows of a damaged store: unchanged since they were written, and with the rows that they belong to."""

from typing import Any

from memspan.runtime.parsing import parsed_object
from memspan.store.checksums import verify
from memspan.store.migration import newer_configuration, newer_study, newer_trial
from memspan.store.schema import KEY, METADATA, UNREADABLE, test_of, trial_of
from memspan.study.identity import engines_of, restored
from memspan.study.provenance import Provenance

Rows = dict[str, list[dict[str, Any]]]
"""The rows of each table, by the name of the table."""


def coherent_rows(found: Rows) -> Rows:
    """Return the undamaged rows whose study, configuration and trial are undamaged too, in today's form."""
    sound = {name: [row for row in rows if _is_sound(name, row)] for name, rows in found.items()}
    kept: Rows = {}
    studies = {row["name"]: row for row in map(newer_study, sound["studies"]) if _is_study(row)}
    kept["studies"] = list(studies.values())
    numbers = {row["id"] for row in kept["studies"]}
    kept["configurations"] = [
        row
        for row in map(newer_configuration, sound["configurations"])
        if row["study"] in numbers and _is_object(row["specification"])
    ]
    places = {(row["study"], row["configuration"]) for row in kept["configurations"]}
    curves = {_key(row): row for row in sound["curves"]}
    kept["trials"] = [
        row
        for row in map(newer_trial, sound["trials"])
        if (row["study"], row["configuration"]) in places and _key(row) in curves and _is_trial(row, curves)
    ]
    keys = {_key(row) for row in kept["trials"]}
    for name in ("curves", "weights", "tests"):
        kept[name] = [row for row in sound[name] if _key(row) in keys and (name != "tests" or _is_test(row))]
    return kept


def _key(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in KEY)


def _is_sound(table: str, row: dict[str, Any]) -> bool:
    try:
        verify(METADATA.tables[table], row)
    except UNREADABLE:
        return False
    return True


def _is_study(row: dict[str, Any]) -> bool:
    try:
        restored(row["specification"])
        engines_of(row["specification"])
        Provenance.model_validate_json(row["versions"])
    except UNREADABLE:
        return False
    return True


def _is_object(text: str) -> bool:
    try:
        parsed_object(text)
    except ValueError:
        return False
    return True


def _is_trial(row: dict[str, Any], curves: dict[tuple[Any, ...], dict[str, Any]]) -> bool:
    try:
        trial_of(row, row["configuration"], curves[_key(row)]["data"])
    except UNREADABLE:
        return False
    return True


def _is_test(row: dict[str, Any]) -> bool:
    try:
        test_of(row)
    except UNREADABLE:
        return False
    return True
