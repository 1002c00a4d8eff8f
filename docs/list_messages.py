"""List every message that memspan can show, so that all can be read at once.

    python docs/list_messages.py               # errors, warnings and printed lines
    python docs/list_messages.py --docstrings  # the first paragraph of every docstring
    python docs/list_messages.py --help-texts  # the help text of every parameter

The script searches the source, without running it, for texts that are raised, printed or assembled for display.
Computed parts appear as expressions in braces.
"""

import argparse
import ast
import inspect
from collections.abc import Iterator
from pathlib import Path

import memspan

SOURCE = Path(memspan.__file__).parent
SPEAKERS = {"print", "warn", "warning", "say", "log", "echo", "rule", "InvalidArgument", "Conflict", "NotFound"}
SHORTEST = 12  # letters of a message; shorter texts are names and keys


def text_of(node: ast.AST) -> str:
    """Return the text of a string, an f-string or their sum, with computed parts in braces."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(text_of(part) for part in parts)
        case ast.FormattedValue(value=value):
            return text_of(value) if isinstance(value, ast.Constant) else "{" + ast.unparse(value) + "}"
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return text_of(left) + text_of(right)
    return ""


def name_of(call: ast.Call) -> str:
    """Return the name of the called function, such as `warn` for `warnings.warn(...)`."""
    match call.func:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


def message_of(call: ast.Call) -> str:
    """Return the message of a call: for `InvalidArgument` its template, otherwise the texts of its arguments."""
    if name_of(call) == "InvalidArgument" and len(call.args) >= 2:
        name, rule, *got = (text_of(part) or "{" + ast.unparse(part) + "}" for part in call.args)
        return f"{name} must be {rule}, got {' '.join(got)}"
    return " ".join(filter(None, map(text_of, call.args)))


def messages(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield the line and the text of each message in a module."""
    raised = {id(node.exc) for node in ast.walk(tree) if isinstance(node, ast.Raise)}
    documented = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    seen: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and (id(node) in raised or name_of(node) in SPEAKERS):
            seen |= {id(part) for part in ast.walk(node)}
            if text := message_of(node):
                yield node.lineno, text
    for node in ast.walk(tree):  # texts that are assembled before they are shown
        if isinstance(node, ast.Constant | ast.JoinedStr) and id(node) not in seen | documented:
            seen |= {id(part) for part in ast.walk(node)}
            text = text_of(node)
            if " " in text.strip() and sum(map(str.isalpha, text)) >= SHORTEST:
                yield node.lineno, text


def docstrings(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield the line and the first paragraph of each docstring."""
    for node in ast.walk(tree):
        if _has_docstring(node):
            text = ast.get_docstring(node) or ""  # type: ignore[arg-type]
            yield node.body[0].lineno, " ".join(text.partition("\n\n")[0].split())  # type: ignore[attr-defined]


def help_texts(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield the line and the parameter section of each function's docstring."""
    for node in ast.walk(tree):
        text = ast.get_docstring(node) if isinstance(node, ast.FunctionDef) else None
        if text and "Parameters\n" in text:
            yield node.lineno, f"{node.name}\n" + inspect.cleandoc(text.partition("Parameters\n")[2])


def _has_docstring(node: ast.AST) -> bool:
    kinds = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    return isinstance(node, kinds) and ast.get_docstring(node) is not None


def main() -> None:
    """Print the selected texts of every file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--docstrings", action="store_const", dest="collect", const=docstrings, default=messages)
    parser.add_argument("--help-texts", action="store_const", dest="collect", const=help_texts)
    collect = parser.parse_args().collect
    for path in sorted(SOURCE.rglob("*.py")):
        found = sorted(collect(ast.parse(path.read_text("utf-8"))))
        if found:
            print(f"\n{path.relative_to(SOURCE)}")
            for line, text in found:
                print(f"{line:5}  {text}")


if __name__ == "__main__":
    main()
