"""The source of a function in a canonical form, which changes only if the function may compute something else.

It leaves out comments, docstrings, annotations, positions and error messages. It is written from the syntax tree,
in the same way for every version of Python.
"""

import ast
import functools
import linecache
from collections.abc import Iterator
from types import CodeType
from typing import Any

NEVER_COMPUTED = {"annotation", "returns", "type_comment", "type_params", "kind", "ctx"}
"""Fields of the syntax tree that do not change the computation. Not every version of Python has all of them."""

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


def source_of(code: CodeType, namespace: dict[str, Any]) -> str | None:
    """The canonical source of a function; None if it has no source, or its file has changed since the import."""
    linecache.checkcache(code.co_filename)
    text = "".join(linecache.getlines(code.co_filename, namespace))
    tree, compiled = _parsed(text, code.co_filename)
    for found in compiled:
        if _same(found, code):
            return "\n".join(written(node) for node in _defined_at(tree, found))
    return None


def written(node: Any) -> str:
    """The canonical text of a syntax tree."""
    match node:
        case list():
            return f"[{','.join(written(part) for part in node if not _idle(part))}]"
        case ast.Raise():  # the fact that an error is raised matters, its text does not
            return "Raise"
        case ast.Assert():
            return f"Assert({written(node.test)})"
        case ast.AST():
            fields = ((name, value) for name, value in ast.iter_fields(node) if name not in NEVER_COMPUTED)
            parts = (f"{name}={written(value)}" for name, value in fields if value is not None and value != [])
            return f"{type(node).__name__}({','.join(parts)})"
    return repr(node)


def top_level_source(name: str, filename: str, namespace: dict[str, Any]) -> str | None:
    """The canonical text of the statements of a module that assign to a name; None if there are none."""
    text = "".join(linecache.getlines(filename, namespace))
    found = [
        written(node)
        for node in _parsed(text, filename)[0].body
        if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign) and name in _assigned(node)
    ]
    return "\n".join(found) or None


def names_in(code: CodeType) -> set[str]:
    """The names of the globals and attributes that a function uses, nested functions included."""
    return set(code.co_names).union(*(names_in(part) for part in code.co_consts if isinstance(part, CodeType)))


@functools.lru_cache(maxsize=64)
def _parsed(text: str, filename: str) -> tuple[ast.Module, tuple[CodeType, ...]]:
    """The syntax tree of a file, and the code of every function in it; both empty if the file is not Python."""
    try:
        tree = ast.parse(text)
        return tree, tuple(_inside(compile(tree, filename, "exec", dont_inherit=True)))
    except (SyntaxError, ValueError, RecursionError):
        return ast.Module([], []), ()


def _inside(code: CodeType) -> Iterator[CodeType]:
    for part in code.co_consts:
        if isinstance(part, CodeType):
            yield part
            yield from _inside(part)


def _same(one: CodeType, other: CodeType) -> bool:
    """Whether two code objects belong to the same function, whatever their places in the file."""
    if (one.co_qualname, one.co_code, one.co_names) != (other.co_qualname, other.co_code, other.co_names):
        return False
    pairs = list(zip(one.co_consts, other.co_consts, strict=False))
    return len(one.co_consts) == len(other.co_consts) and all(
        _same(a, b) if isinstance(a, CodeType) and isinstance(b, CodeType) else repr(a) == repr(b)
        for a, b in pairs
    )


def _defined_at(tree: ast.Module, code: CodeType) -> list[Definition]:
    """The definitions that begin in the first line of a code object: one function, or all lambdas in that line."""
    kind = ast.Lambda if code.co_name == "<lambda>" else (ast.FunctionDef, ast.AsyncFunctionDef)
    return [node for node in ast.walk(tree) if isinstance(node, kind) and _first_line(node) == code.co_firstlineno]


def _first_line(node: Definition) -> int:
    decorators = [] if isinstance(node, ast.Lambda) else node.decorator_list
    return min([node.lineno, *(one.lineno for one in decorators)])


def _idle(node: Any) -> bool:
    """Whether a statement does nothing: a docstring, or an annotation without a value."""
    return (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)) or (
        isinstance(node, ast.AnnAssign) and node.value is None
    )


def _assigned(node: ast.Assign | ast.AnnAssign | ast.AugAssign) -> set[str]:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    return {part.id for target in targets for part in ast.walk(target) if isinstance(part, ast.Name)}
