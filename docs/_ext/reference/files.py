"""The parts of the page on files that are made of the program: columns, headers and formats."""

from collections.abc import Iterable, Mapping
from types import SimpleNamespace
from typing import Any, get_args

from memspan import Study, Trial
from memspan.network import files as networks
from memspan.runtime.renamed import UNTIL
from memspan.store.export import old_columns, rows
from memspan.store.schema import APPLICATION, METADATA, VERSION, since
from memspan.study import trial as trials
from memspan.training import checkpoint as learners
from reference import table


def pages() -> Mapping[str, str]:
    """Return the parts, each a file that the page includes."""
    parts = {"store": store(), "network": header(networks), "learner": header(learners), "export": export()}
    return {f"files/_{name}.md": text + "\n" for name, text in parts.items()}


def store() -> str:
    """Return the version of the schema and its tables."""
    marks = f"The schema has version {VERSION}. In SQLite, `application_id` is `{APPLICATION:#x}`."
    rules = f"Trials are judged by the rules of version {trials.VERSION}."
    listed = [
        (with_version(one.name, since(one)), ", ".join(with_version(each.name, since(each)) for each in one.c))
        for one in METADATA.sorted_tables
    ]
    return "\n\n".join([f"{marks} {rules}", table(("table", "columns"), listed)])


def with_version(name: str, added: int) -> str:
    """Return the name of a table or column, with the version of the schema that added it."""
    return code([name]) + (f" (since {added})" if added > 1 else "")


def header(module: Any) -> str:
    """Return the formats of the files of a module, and the fields of their header."""
    fields = module._Header.model_fields
    written, read = fields["format"].default, get_args(fields["format"].annotation)
    formats = f"memspan writes the format `{written}` and reads {code(read)}."
    return f"{formats} The header has the fields {code(fields)}."


def export() -> str:
    """Return the columns of an exported trial, in groups."""
    study = Study(lengths=[5], test_lengths=[40], name="mine")
    trial = Trial(length=5, repetition=0, outcome="unsolved")
    entry: Any = SimpleNamespace(study=study, name="mine", trials=lambda curves_too: [trial])
    plain, with_curves = ([*next(rows(entry, curves=curves))] for curves in (False, True))
    old = old_columns(plain)
    fields = [name for name in plain if name in study.configurations[0].values()]
    rest = [name for name in plain if name not in (*fields, *old)]
    groups = [
        ("the fields of the configuration", fields),
        ("key, results and scores at other lengths, here 40", rest),
        ("with `--curves`", [name for name in with_curves if name not in plain]),
        (f"names of memspan 0.1, until {UNTIL}", old),
    ]
    return table(("", "columns"), [(what, code(names)) for what, names in groups])


def code(names: Iterable[str]) -> str:
    """Return names as code, one after the other."""
    return ", ".join(f"`{name}`" for name in names)
