"""Options made from the fields of a study, search or comparison: type, choices, default, description of each."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal, get_args, get_origin

from cyclopts import Parameter
from pydantic import create_model

from memspan.cli.completers import among
from memspan.study.choices import TABLES, Choices, PartName
from memspan.study.experiment import Experiment
from memspan.study.search import Search


def options_of(
    model: type[Choices], fields: Iterable[str] | None = None, defaults: Mapping[str, str] | None = None
) -> Any:
    """Return a class with an option for each field. Its values stay text, which the model converts and checks.

    Parameters
    ----------
    model : type of Choices
        `Study`, `Search` or `Comparison`.
    fields : iterable of str, optional
        The names of some of its fields; by default all, those of `model` itself first.
    defaults : mapping of str to str, optional
        Defaults to show in the help where they are not those of the model.
    """
    names = _own_first(model) if fields is None else fields
    options = {name: _option(model, name, (defaults or {}).get(name)) for name in names}
    return create_model("Options", **options)


def _own_first(model: type[Choices]) -> list[str]:
    """The fields of a model: its own, then those of every `Experiment`, then those of `Choices`."""
    general = [name for name in Experiment.model_fields if name not in Choices.model_fields]
    own = [name for name in model.model_fields if name not in Experiment.model_fields]
    return [*own, *general, *Choices.model_fields]


def given(options: Any) -> dict[str, Any]:
    """Return the fields that the user gave, with their values."""
    return {name: value for name, value in dict(options).items() if value is not None}


def _option(model: type[Choices], name: str, default: str | None) -> Any:
    field = model.model_fields[name]
    kind: Any = dict[str, str] if name in TABLES else tuple[str, ...]
    choices = _choices(field.annotation)
    parts = [str(field.description)] + [f"Choices: {', '.join(choices)}."] * bool(choices)
    default = _written(field.get_default()) if default is None else default
    parts += [f"[default: {default}]"] * bool(default)
    option = Parameter(
        help=" ".join(parts),
        metavar=_metavar(model, name),
        consume_multiple=True,
        negative="",
        completer=among(choices) if choices else None,
    )
    return (Annotated[kind | None, option], None)


def _written(default: Any) -> str:
    if isinstance(default, tuple):
        return ",".join(map(str, default))
    return "" if default in (None, {}) else str(default)


def _metavar(model: type[Choices], name: str) -> str:
    """The type of a value, with `,...` if several are allowed."""
    kind = _kind(model.model_fields[name].annotation)
    several = name.endswith("lengths") or (name in Choices.model_fields and model is not Search)
    return f"{kind},..." if several else kind


def _kind(annotation: Any) -> str:
    kinds = {int: "INT", float: "FLOAT", str: "TEXT", Any: "TEXT"}
    if annotation in kinds:
        return kinds[annotation]
    if isinstance(annotation, type) and issubclass(annotation, PartName):
        return "NAME"
    if get_origin(annotation) is dict:  # each value is an option
        return _kind(get_args(annotation)[1])
    if get_origin(annotation) is Literal:
        return "NAME"
    return next((found for argument in get_args(annotation) if (found := _kind(argument))), "")


def _choices(annotation: Any) -> tuple[str, ...]:
    """The names that a field is restricted to, if it is."""
    if get_origin(annotation) is Literal:
        return get_args(annotation)
    if isinstance(annotation, type) and issubclass(annotation, PartName):
        return tuple(annotation.known)
    return next((found for argument in get_args(annotation) if (found := _choices(argument))), ())
