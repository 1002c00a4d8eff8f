"""Which study is which: its name where it was given none, when two are the same, and how one may grow."""

import hashlib
import json
from collections.abc import Iterable
from typing import Any

from memspan.errors import InvalidArgument
from memspan.study.study import Study, nested

BESIDES = ("lengths", "repetitions", "weights", "name")
"""What a configuration is the same without."""


class AnotherStudy(InvalidArgument):
    """The name belongs to a study of another specification."""


def default_name(study: Study) -> str:
    """Of a study without one: task, cell, and a checksum of all else but lengths and repetitions."""
    tasks, cells = study.values()["task"], study.values()["cell"]
    names = [names[0].replace("/", "-") if len(names) == 1 else "several" for names in (tasks, cells)]
    return "-".join([*names, _sha(canonical(study))[:8]])


def folder_name(study: Study) -> str:
    """For a folder of its own: a name that somebody gave is in it as a checksum only."""
    usual = default_name(study)
    return usual if study.name in (None, usual) else f"{usual}-{_sha(study.name)[:6]}"


def specified(study: Study) -> dict[str, str]:
    """The columns of a study in a store that tell what it is."""
    text = study.model_dump_json(exclude={"name"})
    return {"specification": text, "hash": _sha(text)}


def canonical(study: Study) -> str:
    """Everything that a result depends on but the rest of the key."""
    return json.dumps(study.model_dump(mode="json", exclude=set(BESIDES)), sort_keys=True)


def completed(specification: str) -> str:
    """The same of what is stored, perhaps by a version that had fewer fields."""
    return json.dumps(json.loads(canonical(Study())) | json.loads(specification), sort_keys=True)


def grown_by(old: Study, new: Study) -> Study:
    """Both together: of each field the values of the old one in their order, and then what is new."""
    was, now = old.values(), new.values()
    both = {field: tuple(dict.fromkeys((*was.get(field, ()), *values))) for field, values in now.items()}
    grown = {field for field, values in both.items() if values != now[field]}
    if any(field.startswith("parameters.") for field in grown):  # which change together
        grown |= {field for field in both if field.startswith("parameters.")}
    most = {name: max(getattr(old, name), getattr(new, name)) for name in ("repetitions", "weights")}
    return new.with_(**nested({field: both[field] for field in grown}), **most)


def demand_contained(old: Study, new: Study, name: str) -> None:
    """A study may grow, but not change: each field has the old values, and perhaps more.

    Of lengths and repetitions it may also be asked for less, or for others: they stand beside each other.
    """
    was, now = old.values(), new.values()
    lines = [
        f"  {field}: {_listed(was.get(field))} in the store, {_listed(now.get(field))} asked for"
        for field in {**was, **now}
        if field != "lengths"
        and (not set(was.get(field, ())) <= set(now.get(field, ())) or (field in now) != (field in was))
    ]
    if lines:
        rule = "another one, as a study may grow, but not change, and this one is there"
        raise AnotherStudy("name", rule, "\n".join([repr(name), *lines]))


def _listed(values: Iterable[Any] | None) -> str:
    return "nothing" if values is None else ", ".join(map(str, values))


def _sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
