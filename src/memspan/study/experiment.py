"""Several configurations under a name: what a study and a search have in common."""

import itertools
import math
import tomllib
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from memspan.cells import get_cell
from memspan.errors import MOST, InvalidArgument, shown, whole_number
from memspan.runtime.imports import imported, is_factory, is_path
from memspan.runtime.renamed import with_new_names
from memspan.study.choices import RENAMED, TABLES, Choices, nested, split
from memspan.study.configuration import Configuration
from memspan.tasks import Task, get_task, known_task

MOST_CONFIGURATIONS = 100_000
LONGEST_NAME = 1000
LARGEST_FILE = 1_000_000  # bytes
DEEPEST = 20  # levels of tables and lists
NESTED = f"nested at most {DEEPEST} levels deep"


class Experiment(Choices):
    """Configurations to train, under a name: every combination of the values of the fields.

    A `Study` trains each at given lengths, a `Search` finds the span of each.
    """

    what: ClassVar[str]
    """The name of the kind, such as `study`."""
    prefix: ClassVar[str] = ""
    """The beginning of default names."""

    keep_weights: int = Field(
        1,
        ge=0,
        le=MOST,
        description="Number of repetitions at each length, from the first, whose trained weights are stored.",
    )
    name: str | None = Field(
        None,
        description="Name in the store; by default made of task, cell and a checksum.",
        min_length=1,
        max_length=LONGEST_NAME,
    )

    @classmethod
    def read(cls, path: str | Path, **changes: Any) -> Self:
        """Read the fields from a TOML file, and replace the fields in `changes`.

        Raises
        ------
        InvalidArgument
            When the file cannot be read, is not TOML in UTF-8, or has a key that is no field.
        """
        file = f"the {cls.what} file"
        try:
            found = _toml(path, file)
        except OSError as error:
            raise InvalidArgument(file, "a readable file", f"{path}: {error.strerror}") from None
        except RecursionError:
            raise InvalidArgument(file, NESTED, f"{path}, which is deeper") from None
        except ValueError as error:  # not UTF-8, not TOML, or a number with too many digits
            if isinstance(error, InvalidArgument):
                raise
            raise InvalidArgument(file, "TOML in UTF-8", f"{path}: {error}") from None
        changes = with_new_names(changes, RENAMED, warned=found)
        found = with_new_names(found, RENAMED, where=str(path))
        for table in TABLES:
            if isinstance(found.get(table), dict) and isinstance(changes.get(table), dict):
                changes = changes | {table: found[table] | changes[table]}
        return cls(**{**found, **changes})

    def toml(self) -> str:
        """Return the fields that were set, as the text of a file that `read` takes. Empty ones are left out."""
        import tomli_w

        fields = self.model_dump(exclude_unset=True, exclude_none=True)
        return tomli_w.dumps({name: _listed(value) for name, value in fields.items() if value not in ((), {})})

    @field_validator("name")
    @classmethod
    def _storable(cls, name: str | None) -> str | None:
        """Limit the bytes of the name, because databases count bytes."""
        if name is not None and len(name.encode()) > LONGEST_NAME:
            raise PydanticCustomError("long", f"a text of at most {LONGEST_NAME:,} bytes in UTF-8")
        return name

    @field_validator("keep_weights", mode="before")
    @classmethod
    def _no_truth_value(cls, value: Any) -> Any:
        return single(value)

    @model_validator(mode="after")
    def _limited(self) -> Self:
        if self.combinations > MOST_CONFIGURATIONS:
            rule = f"one of at most {MOST_CONFIGURATIONS:,} configurations"
            raise InvalidArgument(f"the {self.what}", rule, f"{self.combinations:,}")
        return self

    def __getstate__(self) -> dict[Any, Any]:
        """The fields, without cached properties."""
        state = super().__getstate__()
        fields = {name: value for name, value in state["__dict__"].items() if name in type(self).model_fields}
        return {**state, "__dict__": fields}

    @cached_property
    def configurations(self) -> tuple[Configuration, ...]:
        """The configurations: every combination of the values. The last field changes first."""
        given = self.model_fields_set & Choices.model_fields.keys()
        chosen = {name: values for name, values in self.values().items() if name.partition(".")[0] in given}
        return tuple(
            Configuration(**_taken(nested(dict(zip(chosen, values, strict=True)))))
            for values in itertools.product(*chosen.values())
        )

    @property
    def configuration(self) -> Configuration:
        """The only configuration.

        Raises
        ------
        InvalidArgument
            When there are several.
        """
        if len(self.configurations) > 1:
            got = f"{len(self.configurations)} configurations, which differ in {', '.join(self.varying)}"
            raise InvalidArgument(self.what, f"one of a single configuration, such as {self.what}.only(0)", got)
        return self.configurations[0]

    def only(self, place: int) -> Self:
        """Return the same with a single configuration, the one at index `place` of `configurations`."""
        chosen = self._at("place", place)
        return self if self.combinations == 1 else self.with_(**chosen.model_dump(exclude_unset=True))

    @property
    def combinations(self) -> int:
        """The number of configurations, counted without making them."""
        return math.prod(map(len, self.values().values()))

    @property
    def varying(self) -> tuple[str, ...]:
        """The fields in which the configurations differ; a task's parameter as `task_parameters.items`."""
        return tuple(name for name, values in self.values().items() if len(values) > 1)

    def describe(self) -> str:
        """Return one line for headings: the configuration, or how many there are and the fields that vary."""
        if len(self.configurations) > 1:
            return f"{len(self.configurations)} configurations of {', '.join(map(self.shown, self.varying))}"
        return self.configuration.describe()

    def label(self, configuration: int) -> str:
        """Return the varying values of a configuration as a label, `cell lstm, hidden 32`; empty if none vary."""
        pairs = zip(self.varying, self.chosen(configuration), strict=True)
        return ", ".join(f"{self.shown(name)} {value}" for name, value in pairs)

    def chosen(self, configuration: int) -> tuple[str, ...]:
        """Return the varying values of a configuration as texts: `("lstm", "32")`."""
        values = self._at("configuration", configuration).values()
        return tuple(written(values[name][0]) for name in self.varying)

    @staticmethod
    def shown(field: str) -> str:
        """Return the name of a field for headings: `learning rate`, and `items` for `task_parameters.items`."""
        return field.rpartition(".")[2].replace("_", " ")

    def _at(self, name: str, place: int) -> Configuration:
        """Return the configuration at index `place`, an argument that the caller knows as `name`."""
        return self.configurations[whole_number(name, place, least=0, most=self.combinations - 1)]

    def tasks(self) -> list[Task]:
        """Return every task (`known_task`), once for each combination of its parameters."""
        return [known_task(name, **parameters) for name, parameters in self._named_tasks()]

    def _named_tasks(self) -> list[tuple[str, dict[str, Any]]]:
        """The name of each task, once for each combination of its parameters."""
        chosen = {name: values for name, values in self.values().items() if name.startswith("task_parameters.")}
        return [
            (name, nested(dict(zip(chosen, values, strict=True))).get("task_parameters", {}))
            for name in self.values()["task"]
            for values in itertools.product(*chosen.values())
        ]

    def loaded(self) -> Self:
        """Import the cells and tasks of the user's own, and return the same object, checked again with them.

        Raises
        ------
        InvalidArgument
            If one cannot be imported, or does not take its options, its parameters or a length.
        """
        if not any(map(is_path, (*self.values()["cell"], *self.values()["task"]))):
            return self
        for name, options in self.cells():
            if is_path(name) and not is_factory(imported("cell", name)):
                get_cell(name, **options)
        for name, parameters in self._named_tasks():
            get_task(name, **parameters)
        checked = type(self)(**self.model_dump(exclude_unset=True))
        decide = ("task", "task_parameters", "cell", "options", "hidden", "dtype", "device")
        kinds = {tuple(str(getattr(one, name)) for name in decide): one for one in checked.configurations}
        for one in kinds.values():
            if one.factory() is not None:
                one.make_network(one.make_task().least_length, 0)  # raises for a faulty model
        return checked


def _taken(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a configuration without options and device, if its cell is one of memspan's."""
    own = is_path(fields.get("cell"))
    return fields if own else {name: fields[name] for name in fields if name not in ("options", "device")}


def single(value: Any) -> Any:
    """Return the value of a field that takes only one; refuse True, which pydantic takes for 1."""
    items = split(value)
    if len(items) > 1:
        raise PydanticCustomError("several", "one value")
    return items[0]


def written(value: Any) -> str:
    """Return a value for headings: `4` for 4.0, six digits if these are exact, and else all."""
    if not isinstance(value, float):
        return str(value)
    short = f"{value:g}"
    return short if float(short) == value else repr(value)


def _listed(value: Any) -> Any:
    """Return a value with lists for tuples, of single values and of tables too: TOML has only lists."""
    if isinstance(value, dict):
        return {name: _listed(item) for name, item in value.items() if item is not None}
    return [_listed(item) for item in value] if isinstance(value, tuple | list) else value


def _toml(place: str | Path, name: str) -> dict[str, Any]:
    """Return the contents of a TOML file. Refuse one that is larger or nested deeper than fields can be."""
    if not isinstance(place, str | Path):
        raise InvalidArgument(name, "a path", shown(place))
    path = Path(place)
    if path.exists() and not path.is_file():
        raise InvalidArgument(name, "a regular file", str(path))
    with path.open("rb") as file:
        text = file.read(LARGEST_FILE + 1)
    if len(text) > LARGEST_FILE:
        raise InvalidArgument(name, f"at most {LARGEST_FILE:,} bytes long", f"{path}, which is longer")
    found = tomllib.loads(text.decode())
    level: list[Any] = [found]
    for _ in range(DEEPEST + 1):
        level = [item for part in level for item in _items(part)]
    if level:
        raise InvalidArgument(name, NESTED, f"{path}, which is deeper")
    return found


def _items(part: Any) -> Iterable[Any]:
    """The items of a table or a list; nothing for other values."""
    if isinstance(part, dict):
        return part.values()
    return part if isinstance(part, list) else ()
