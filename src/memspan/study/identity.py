"""Which study is which: its name where it was given none, when two are the same, and how one may grow.

The checksum of a configuration covers its fields that differ from `BASELINE`, under keys that never change. So
neither a field that is added later, nor another default, nor another name of a field makes a stored study another.
"""

import hashlib
import json
import re
import shlex
from collections.abc import Iterable, Mapping
from typing import Any

from memspan.errors import Conflict
from memspan.study.choices import Choices, nested
from memspan.study.fingerprint import parts_of, unchecked
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


LONGEST_FOLDER = 60  # letters, of up to four bytes each: file systems take 255 bytes
CODE = "code"
"""The key of the fingerprints in a stored specification."""


class AnotherStudy(Conflict):
    """The name belongs to a study with other settings, or of other code."""


class UncheckedCode(UserWarning):
    """Whether the code of a study has changed since it was begun cannot be told."""


def default_name(study: Study) -> str:
    """Of a study without one: task, cell, and a checksum of all else but lengths and repetitions."""
    tasks, cells = study.values()["task"], study.values()["cell"]
    names = [names[0].replace("/", "-") if len(names) == 1 else "several" for names in (tasks, cells)]
    return "-".join([*names, checksum(canonical(study))[:8]])


def folder_name(name: str) -> str:
    """The folder of a study: its name, or where a file system may not take that, a part of it and a checksum."""
    plain = re.sub(r"[^\w. -]", "-", name)[:LONGEST_FOLDER].strip(". ")
    if re.match(r"(con|prn|aux|nul|com\d|lpt\d)(\.|$)", plain, re.IGNORECASE):  # devices of Windows
        plain = f"study-{plain}"
    return name if plain == name else f"{plain}-{checksum(name)[:6]}"


def canonical(choices: Choices) -> str:
    """The identity of a configuration, or of a grid of them: what differs from `BASELINE`, as JSON."""
    found = stated(choices)
    return _sorted({key: found[key] for key, usual in BASELINE.items() if found.get(key, usual) != usual})


def stated(choices: Choices) -> dict[str, Any]:
    """The fields under their keys, for JSON: all but a study's name, and those of `LATER` that are as before."""
    values = choices.model_dump(mode="json", exclude={"name"})
    found = {KEYS.get(name, name): value for name, value in values.items()}
    return {key: value for key, value in found.items() if key not in LATER or value != BASELINE[key]}


def specified(study: Study, code: Mapping[str, str] | None = None) -> dict[str, str]:
    """The columns of a study in a store that tell what it is; `code` holds its fingerprints."""
    grid = {"lengths": study.lengths, "repetitions": study.repetitions, "keep_weights": study.keep_weights}
    return {
        "specification": json.dumps(stated(study) | ({CODE: dict(code)} if code else {})),
        "hash": checksum(canonical(study) + _sorted(grid)),
    }


def restored(specification: str, name: str | None = None) -> Study:
    """The study of a stored specification."""
    fields = {key: field for field, key in KEYS.items()}
    found = {fields.get(key, key): value for key, value in json.loads(specification).items() if key != CODE}
    return Study(**found, name=name)


def code_of(specification: str) -> dict[str, str]:
    """The fingerprints in a stored specification; a study of memspan 0.1 has none."""
    found = json.loads(specification).get(CODE, {})
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise ValueError("its fingerprints are damaged")
    return found


def name_beside(usual: str, code: Mapping[str, str]) -> str:
    """Of a study without a name, whose usual name belongs to one of other code."""
    return f"{usual}-{checksum(_sorted(dict(code)))[:6]}"


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
    differences = [
        f"{field}: {_listed(was.get(field))}, now {_listed(now.get(field))}"
        for field in {**was, **now}
        if not set(was.get(field, ())) <= set(now.get(field, ())) or (field in now) != (field in was)
    ]
    if differences:
        raise AnotherStudy(
            f"Study {name!r} exists with other settings ({'; '.join(differences)}). Choose another --name."
        )


def demand_same_code(differing: Iterable[str], name: str) -> None:
    """Refuse to add trials to a study whose results come from other code: of the parts that differ, if any do."""
    if differing := sorted(differing):
        remove = shlex.join(["memspan", "store", "rm", name])
        raise AnotherStudy(
            f"Study {name!r} was run with other code of {', '.join(differing)}. "
            f"Choose another --name, or delete the study with `{remove}`."
        )


def unchecked_code(old: Mapping[str, str], new: Mapping[str, str], study: Study) -> list[str]:
    """The cells, tasks and initializers of a stored study whose code may have changed since, unnoticed."""
    return unchecked(old, new, [name for name in parts_of(study) if name in new])


def checksum(text: str) -> str:
    """SHA-256, in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


def _grid(study: Study) -> dict[str, tuple[Any, ...]]:
    return study.values() | {"lengths": study.lengths}


def _listed(values: Iterable[Any] | None) -> str:
    return "not set" if values is None else ", ".join(map(str, values))


def _sorted(values: dict[str, Any]) -> str:
    return json.dumps(values, sort_keys=True)
