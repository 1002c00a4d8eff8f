"""The engine of models of another library: chosen once for each workload, and recorded with the study.

A network's bits depend on the form in which its engine computes several networks. So the engine belongs to what a
trial is a function of, beside its key: every worker, a resumed run and an extended study read it from the record.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from memspan.network import Model
from memspan.runtime.imports import is_path
from memspan.study.configuration import Configuration
from memspan.study.identity import canonical

DECIDE = ("task", "task_parameters", "cell", "options", "hidden", "batch", "truncate", "dtype", "device")
"""The fields of a configuration on which the fastest engine depends."""


def workload_of(configuration: Configuration) -> Configuration:
    """Return a configuration with only the fields of `DECIDE`; its canonical form is the key in a record."""
    return Configuration(**{name: getattr(configuration, name) for name in DECIDE})


def recorded(engines: Mapping[str, str], configuration: Configuration) -> str | None:
    """Return the engine of a configuration in a record; None for memspan's cells, which have one engine."""
    if not engines or not is_path(configuration.cell):
        return None
    return engines.get(canonical(workload_of(configuration)))


def engine_named(model: Model, name: str | None) -> Any:
    """Return the engine for a model from its name, `Trial.engine`; None for memspan's cells, or without a name.

    Models of another library have engines such as `loop` and `vmap-forward of 10`: the form and its group.
    """
    if name is None or isinstance(model.engine, str):
        return None
    form, _, _ = name.partition(" of ")
    return replace(model.engine, name=form, group=group_of(name))


def group_of(name: str | None) -> int:
    """Return the number of networks that the engine of that name computes in a call."""
    group = (name or "").partition(" of ")[2]
    return int(group or 1)
