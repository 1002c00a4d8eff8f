"""Which study is which: its name where it was given none, when two are the same, and how one may grow.

The checksum of a configuration covers its fields that differ from `BASELINE`, under keys that never change. So
neither a field that is added later, nor another default, nor another name of a field makes a stored study another.
"""

import hashlib
import json
from collections.abc import Iterable
from typing import Any

from memspan.errors import InvalidArgument
from memspan.study.choices import Choices, nested
from memspan.study.study import Study

BASELINE: dict[str, Any] = {
    "task": "recall",
    "task_parameters": {},
    "cell": "rnn",
    "init": None,
    "gain": 1.0,
    "recurrent_gain": 1.0,
    "hidden": 32,
    "optimizer": "adam",
    "learning_rate": 0.01,
    "clip": 1.0,
    "batch": 64,
    "updates": 1500,
    "threshold": 0.9,
    "evaluate_every": 50,
    "final_batches": 20,
    "evaluation_samples": 500,
    "dtype": "float32",
    "seed": 0,
}
"""Every field of a configuration by the key that stands for it in checksums and stores, and the value that is left
out of checksums. Neither may change once a release has it: a renamed field keeps its key (`KEYS`), and a new field
gets the value that does what was done before there was a choice."""

LATER = frozenset({"recurrent_gain"})
"""Keys that were added when stores existed. They are stored only where they differ from `BASELINE`: a study that
does not use them is stored as before."""

KEYS: dict[str, str] = {}
"""The key of a field that has another name by now."""


class AnotherStudy(InvalidArgument):
    """The name belongs to a study of another specification."""


def default_name(study: Study) -> str:
    """Of a study without one: task, cell, and a checksum of all else but lengths and repetitions."""
    tasks, cells = study.values()["task"], study.values()["cell"]
    names = [names[0].replace("/", "-") if len(names) == 1 else "several" for names in (tasks, cells)]
    return "-".join([*names, checksum(canonical(study))[:8]])


def folder_name(study: Study) -> str:
    """For a folder of its own: a name that somebody gave is in it as a checksum only."""
    usual = default_name(study)
    return usual if study.name in (None, usual) else f"{usual}-{checksum(study.name)[:6]}"


def canonical(choices: Choices) -> str:
    """The identity of a configuration, or of a grid of them: what differs from `BASELINE`, as JSON."""
    found = stated(choices)
    return _sorted({key: found[key] for key, usual in BASELINE.items() if found.get(key, usual) != usual})


def stated(choices: Choices) -> dict[str, Any]:
    """The fields under their keys, for JSON: all but a study's name, and those of `LATER` that are as before."""
    values = choices.model_dump(mode="json", exclude={"name"})
    found = {KEYS.get(name, name): value for name, value in values.items()}
    return {key: value for key, value in found.items() if key not in LATER or value != BASELINE[key]}


def specified(study: Study) -> dict[str, str]:
    """The columns of a study in a store that tell what it is."""
    grid = {"lengths": study.lengths, "repetitions": study.repetitions, "keep_weights": study.keep_weights}
    return {
        "specification": json.dumps(stated(study)),
        "hash": checksum(canonical(study) + _sorted(grid)),
    }


def restored(specification: str, name: str | None = None) -> Study:
    """The study of a stored specification."""
    fields = {key: field for field, key in KEYS.items()}
    return Study(**{fields.get(key, key): value for key, value in json.loads(specification).items()}, name=name)


def grown_by(old: Study, new: Study) -> Study:
    """Both together: of each field the values of the old one in their order, and then what is new."""
    was, now = _grid(old), _grid(new)
    both = {field: tuple(dict.fromkeys((*was.get(field, ()), *values))) for field, values in now.items()}
    grown = {field for field, values in both.items() if values != now[field]}
    if any(field.startswith("task_parameters.") for field in grown):  # which change together
        grown |= {field for field in both if field.startswith("task_parameters.")}
    most = {name: max(getattr(old, name), getattr(new, name)) for name in ("repetitions", "keep_weights")}
    return new.with_(**nested({field: both[field] for field in grown}), **most)


def demand_contained(old: Study, new: Study, name: str) -> None:
    """A study may grow, but not change: each field has the old values, and perhaps more.

    Of lengths and repetitions it may also be asked for less, or for others: they stand beside each other.
    """
    was, now = old.values(), new.values()
    lines = [
        f"  {field}: {_listed(was.get(field))} in the store, {_listed(now.get(field))} asked for"
        for field in {**was, **now}
        if not set(was.get(field, ())) <= set(now.get(field, ())) or (field in now) != (field in was)
    ]
    if lines:
        rule = "another one, as a study may grow, but not change, and this one is there"
        raise AnotherStudy("name", rule, "\n".join([repr(name), *lines]))


def checksum(text: str) -> str:
    """SHA-256, in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


def _grid(study: Study) -> dict[str, tuple[Any, ...]]:
    return study.values() | {"lengths": study.lengths}


def _listed(values: Iterable[Any] | None) -> str:
    return "nothing" if values is None else ", ".join(map(str, values))


def _sorted(values: dict[str, Any]) -> str:
    return json.dumps(values, sort_keys=True)
