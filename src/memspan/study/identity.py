"""The identity of a study or search: its default name, its checksum, and the changes by which it may grow.

The checksum of a configuration covers the fields that differ from `BASELINE`, under keys that never change. So a
stored study keeps its identity when a later version adds a field, renames one or changes a default.
"""

import hashlib
import json
import re
import shlex
from collections.abc import Iterable, Mapping
from typing import Any

from memspan.errors import Conflict, shown
from memspan.study.choices import TABLES, Choices, nested
from memspan.study.experiment import Experiment
from memspan.study.fingerprint import RULES, parts_of, unchecked
from memspan.study.search import Search, Searches
from memspan.study.study import Study

BASELINE: dict[str, Any] = {
    "task": "recall",
    "task_parameters": {},
    "cell": "rnn",
    "options": {},
    "init": None,
    "gain": 1.0,
    "recurrent_gain": 1.0,
    "hidden": 32,
    "optimizer": "adam",
    "learning_rate": 0.01,
    "clip": 1.0,
    "truncate": None,
    "batch": 64,
    "updates": 1500,
    "threshold": 0.9,
    "evaluate_every": 50,
    "final_batches": 20,
    "evaluation_samples": 500,
    "dtype": "float32",
    "device": "cpu",
    "seed": 0,
}
"""For each field of a configuration its key in checksums and stores, and the value that checksums leave out.

Neither may change after a release. A renamed field keeps its key (see `KEYS`). The value of a new field is the one
that reproduces the behaviour of versions without the field."""

LATER = frozenset({"recurrent_gain", "options", "truncate", "device"})
"""Keys that are younger than the first stores. A value is stored only if it differs from `BASELINE`, so a study
that does not use the key is stored as before."""

KEYS: dict[str, str] = {}
"""The keys of renamed fields, by their names of today."""

LONGEST_FOLDER = 60  # characters of up to four bytes each: file systems allow 255 bytes
CODE = "code"
"""The key of the code fingerprints in a stored specification."""
KIND = "kind"
"""The key of `Experiment.what` in a stored specification; a study has none."""
ENGINES = "engines"
"""The key of the record of engines in a stored specification (`memspan.study.engines`). It is no setting."""


class AnotherStudy(Conflict):
    """The name belongs to a study with other settings, or one that was run with other code."""


class UncheckedCode(UserWarning):
    """It is unknown whether the code of a study has changed since the study was run."""


def default_name(experiment: Experiment) -> str:
    """The name of an experiment that was given none: task, cell, and a checksum of what decides its trials.

    That of a comparison covers all that changes its answer.
    """
    values, text = experiment.values(), canonical(experiment)
    names = values["task"], values["cell"]
    parts = [_plain(each[0]) if len(each) == 1 else "several" for each in names]
    if isinstance(experiment, Searches) and (unusual := _unusual(experiment)):
        text += _sorted(unusual)
    return experiment.prefix + "-".join([*parts, checksum(text)[:8]])


def _plain(name: str) -> str:
    """The name of a part inside a default name: of an import path, the attribute."""
    return name.rpartition(":")[2].replace("/", "-")


def folder_name(name: str) -> str:
    """The folder of a study: its name, or part of it and a checksum if a file system could refuse the name."""
    plain = re.sub(r"[^\w. -]", "-", name)[:LONGEST_FOLDER].strip(". ")
    if re.match(r"(con|prn|aux|nul|com\d|lpt\d)(\.|$)", plain, re.IGNORECASE):  # device names of Windows
        plain = f"study-{plain}"
    return name if plain == name else f"{plain}-{checksum(name)[:6]}"


def canonical(choices: Choices) -> str:
    """The identity of a configuration or a grid of them: the fields that differ from `BASELINE`, as JSON."""
    found = stated(choices)
    return _sorted({key: found[key] for key, usual in BASELINE.items() if found.get(key, usual) != usual})


def stated(choices: Choices) -> dict[str, Any]:
    """The fields under their keys, ready for JSON, without a study's name and without unused keys of `LATER`."""
    values = choices.model_dump(mode="json", exclude={"name"})
    found = {KEYS.get(name, name): value for name, value in values.items()}
    return {key: value for key, value in found.items() if key not in LATER or value != BASELINE[key]}


def specified(
    experiment: Experiment, code: Mapping[str, str] | None = None, engines: Mapping[str, str] | None = None
) -> dict[str, str]:
    """The columns `specification` and `hash` of a stored study or search.

    `code` holds its code fingerprints, and `engines` the record of its engines.
    """
    extra: dict[str, Any] = {} if isinstance(experiment, Study) else {KIND: experiment.what}
    extra |= {key: dict(found) for key, found in ((CODE, code), (ENGINES, engines)) if found}
    return {
        "specification": json.dumps(stated(experiment) | extra),
        "hash": checksum(canonical(experiment) + _sorted(_extent(experiment))),
    }


def _extent(experiment: Experiment) -> dict[str, Any]:
    """The trials of each configuration, for the checksum."""
    kept: dict[str, Any] = {"keep_weights": experiment.keep_weights}
    if isinstance(experiment, Search):
        ends = {name: getattr(experiment, name) for name in ("width", "level", "budget")}
        return kept | experiment.path() | ends
    assert isinstance(experiment, Study)
    tested = (
        {"test_lengths": experiment.test_lengths} if experiment.test_lengths else {}
    )  # older studies have none
    return kept | tested | {"lengths": experiment.lengths, "repetitions": experiment.repetitions}


def restored(specification: str, name: str | None = None) -> Study | Search:
    """Return the study or search of a stored specification."""
    fields = {key: field for field, key in KEYS.items()}
    stored = json.loads(specification)
    found = {fields.get(key, key): value for key, value in stored.items() if key not in (CODE, KIND, ENGINES)}
    kinds: dict[str, type[Study] | type[Search]] = {one.what: one for one in (Study, Search)}
    kind = stored.get(KIND, Study.what)
    if not isinstance(kind, str) or kind not in kinds:
        raise ValueError(f"its kind cannot be {shown(kind)}")
    return kinds[kind](**found, name=name)


def code_of(specification: str) -> dict[str, str]:
    """Return the code fingerprints in a stored specification; a study of memspan 0.1 has only the oldest rules."""
    return {RULES: "1"} | _texts(specification, CODE, "fingerprints")


def engines_of(specification: str) -> dict[str, str]:
    """Return the record of engines in a stored specification; empty if it has none."""
    return _texts(specification, ENGINES, "engines")


def _texts(specification: str, key: str, what: str) -> dict[str, str]:
    """Return the texts by name under a key of a specification."""
    found = json.loads(specification).get(key, {})
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise ValueError(f"its {what} are damaged")
    return found


def name_beside(usual: str, code: Mapping[str, str]) -> str:
    """The name of an unnamed study whose default name belongs to a study that was run with other code."""
    return f"{usual}-{checksum(_sorted(dict(code)))[:6]}"


def grown_by(old: Experiment, new: Experiment) -> Experiment:
    """The union of two studies or searches: in each field the old values in their order, then the new ones."""
    was, now = _grid(old), _grid(new)
    both = {field: tuple(dict.fromkeys((*was.get(field, ()), *values))) for field, values in now.items()}
    grown = {field for field, values in both.items() if values != now[field]}
    for table in TABLES:  # `with_` replaces all items of a table at once
        items = {field for field in both if field.startswith(f"{table}.")}
        grown |= items if items & grown else set()
    counts = ("repetitions", "keep_weights") if isinstance(new, Study) else ("keep_weights",)
    most = {name: max(getattr(old, name), getattr(new, name)) for name in counts}
    return new.with_(**nested({field: both[field] for field in grown}), **most)


def demand_contained(old: Experiment, new: Experiment, name: str) -> None:
    """Raise `AnotherStudy` unless each field of `new` has all values that it has in `old`.

    Lengths and repetitions of a study are free: a run may use fewer or other ones, and the store keeps all of
    them. So are the width, the level and the budget of a search, which end the same path sooner or later.
    """
    if type(old) is not type(new):
        raise AnotherStudy(f"{name!r} is the name of a {old.what}, not of a {new.what}. Choose another --name.")
    was, now = (one.values() | _path(one) for one in (old, new))
    differences = [
        f"{field}: {_listed(was.get(field))}, now {_listed(now.get(field))}"
        for field in {**was, **now}
        if not set(was.get(field, ())) <= set(now.get(field, ())) or (field in now) != (field in was)
    ]
    if differences:
        raise AnotherStudy(
            f"{old.what.capitalize()} {name!r} exists with other settings ({'; '.join(differences)}). "
            "Choose another --name."
        )


def demand_same_code(differing: Iterable[str], old: Experiment, name: str) -> None:
    """Raise `AnotherStudy` if `differing` has parts of a study or search, whose code has changed since it ran."""
    if differing := sorted(differing):
        remove = shlex.join(["memspan", "store", "rm", name])
        raise AnotherStudy(
            f"The code of {', '.join(differing)} has changed since {old.what} {name!r} was run. "
            f"Choose another --name, or delete the {old.what} with `{remove}`."
        )


def unchecked_code(old: Mapping[str, str], new: Mapping[str, str], study: Experiment) -> list[str]:
    """The cells, tasks and initializers of a stored study for which a change of code cannot be detected."""
    return unchecked(old, new, [name for name in parts_of(study) if name in new])


def checksum(text: str) -> str:
    """The SHA-256 of a text, in hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()


def _grid(experiment: Experiment) -> dict[str, tuple[Any, ...]]:
    if not isinstance(experiment, Study):
        return experiment.values()
    return experiment.values() | {"lengths": experiment.lengths, "test_lengths": experiment.test_lengths}


def _path(experiment: Experiment) -> dict[str, tuple[Any, ...]]:
    """The fields that decide the path of a search, as tuples; a study has none."""
    path = experiment.path() if isinstance(experiment, Search) else {}
    return {name: (value,) for name, value in path.items()}


def _unusual(searches: Searches) -> dict[str, Any]:
    """The fields of `NAMED` that differ from their defaults, ready for JSON."""
    return searches.model_dump(mode="json", include={*searches.NAMED}, exclude_defaults=True)


def _listed(values: Iterable[Any] | None) -> str:
    return "not set" if values is None else ", ".join(map(str, values))


def _sorted(values: dict[str, Any]) -> str:
    return json.dumps(values, sort_keys=True)
