"""Options made from the fields of a study: each has the type, choices, default and description of its field."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal, get_args, get_origin

from cyclopts import Parameter
from pydantic import create_model

from memspan.study import Study
from memspan.study.choices import Choices


def options_of(fields: Iterable[str], defaults: Mapping[str, str] | None = None) -> Any:
    """Return a class with an option for each field. Its values stay text, which `Study` converts and checks.

    Parameters
    ----------
    fields : iterable of str
        Names of fields of a `Study`.
    defaults : mapping of str to str, optional
        Defaults to show in the help where they are not those of `Study`.
    """
    options = {name: _option(name, (defaults or {}).get(name)) for name in fields}
    return create_model("Options", **options)


def given(options: Any) -> dict[str, Any]:
    """Return the fields that the user gave, with their values."""
    return {name: value for name, value in dict(options).items() if value is not None}


def _option(name: str, default: str | None) -> Any:
    field = Study.model_fields[name]
    kind: Any = dict[str, str] if name == "task_parameters" else tuple[str, ...]
    choices = _choices(field.annotation)
    parts = [str(field.description)] + [f"Choices: {', '.join(choices)}."] * bool(choices)
    default = _written(field.get_default()) if default is None else default
    parts += [f"[default: {default}]"] * bool(default)
    option = Parameter(help=" ".join(parts), metavar=_metavar(name), consume_multiple=True, negative="")
    return (Annotated[kind | None, option], None)


def _written(default: Any) -> str:
    if isinstance(default, tuple):
        return ",".join(map(str, default))
    return "" if default in (None, {}) else str(default)


def _metavar(name: str) -> str:
    """The type of a value, with `,...` if several are allowed."""
    kind = _kind(Study.model_fields[name].annotation)
    several = name == "lengths" or name in Choices.model_fields
    return f"{kind},..." if several else kind


def _kind(annotation: Any) -> str:
    kinds = {int: "INT", float: "FLOAT", str: "TEXT"}
    if annotation in kinds:
        return kinds[annotation]
    if get_origin(annotation) is dict:  # each value is an option
        return _kind(get_args(annotation)[1])
    if get_origin(annotation) is Literal:
        return "NAME"
    return next((found for argument in get_args(annotation) if (found := _kind(argument))), "")


def _choices(annotation: Any) -> tuple[str, ...]:
    """The names that a field is restricted to, if it is."""
    if get_origin(annotation) is Literal:
        return get_args(annotation)
    return next((found for argument in get_args(annotation) if (found := _choices(argument))), ())
