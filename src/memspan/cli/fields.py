"""Options made of the fields of a study: one for each, with its type, its choices and its default."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal, get_args, get_origin

from cyclopts import Parameter
from pydantic import create_model

from memspan.study import Study
from memspan.study.choices import Choices


def options_of(fields: Iterable[str], defaults: Mapping[str, str] | None = None) -> Any:
    """A class with an option for each of these fields, whose texts the study itself will judge.

    Parameters
    ----------
    fields : iterable of str
        Names of fields of a `Study`.
    defaults : mapping of str to str, optional
        What the help gives as default, where it is not that of the study.
    """
    options = {name: _option(name, (defaults or {}).get(name)) for name in fields}
    return create_model("Options", **options)


def given(options: Any) -> dict[str, Any]:
    """The fields that were typed."""
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
    """The type of a value; `,...` where several may be given."""
    kind = _kind(Study.model_fields[name].annotation)
    several = name == "lengths" or name in Choices.model_fields
    return f"{kind},..." if several else kind


def _kind(annotation: Any) -> str:
    kinds = {int: "INT", float: "FLOAT", str: "TEXT"}
    if annotation in kinds:
        return kinds[annotation]
    if get_origin(annotation) is dict:  # of which each value is an option of its own
        return _kind(get_args(annotation)[1])
    if get_origin(annotation) is Literal:
        return "NAME"
    return next((found for argument in get_args(annotation) if (found := _kind(argument))), "")


def _choices(annotation: Any) -> tuple[str, ...]:
    """The names that a field takes, if it takes only some."""
    if get_origin(annotation) is Literal:
        return get_args(annotation)
    return next((found for argument in get_args(annotation) if (found := _choices(argument))), ())
