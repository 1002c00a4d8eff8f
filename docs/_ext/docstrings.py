"""Sphinx extension: the docstrings of memspan, which are read in Python too, as reStructuredText.

An indented block is set as it is written. A name in single backticks is code, and a link if it is a public name.
"""

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.roles import XRefRole


class Maybe(XRefRole):
    """A role for code, which is a link if it names something that has a page."""

    def process_link(
        self, env: BuildEnvironment, node: Any, explicit: bool, title: str, target: str
    ) -> tuple[str, str]:
        """Look for the name, without the arguments of a call, in the class and in memspan."""
        node["refdomain"], node["reftype"], node["maybe"] = "py", "obj", True
        for context in ("py:module", "py:class"):
            node[context] = env.ref_context.get(context)
        return title, target.partition("(")[0]


def as_code(_: Sphinx, env: object, node: addnodes.pending_xref, content: nodes.Node) -> nodes.Node | None:
    """Leave code, base classes and exceptions without a link if no page is about them."""
    return content if node.get("maybe") or node["reftype"] in ("class", "exc") else None


def literal_blocks(lines: list[str]) -> Iterator[str]:
    """Yield the lines, with a mark before each block that is indented more than the text above it."""
    yield from (line.replace("|", r"\|") for line in lines[:1])
    text, literal = indent(lines[0]) if lines else 0, False
    for before, line in pairwise(lines):
        if line.strip():
            literal = literal and indent(line) > text
            if not before.strip() and indent(line) > text and not literal:
                yield from (f"{' ' * text}::", "")
                literal = True
            text = text if literal else text_indent(line)
        yield line if literal else line.replace("|", r"\|")  # |x| is no substitution


def indent(line: str) -> int:
    """Return the number of spaces before the text of a line."""
    return len(line) - len(line.lstrip())


def text_indent(line: str) -> int:
    """Return the column of the text of a line, behind the mark of a list."""
    return indent(re.sub(r"^( *)(- |\d+\. )", lambda mark: " " * len(mark[0]), line))


def mark_blocks(_: Sphinx, what: str, name: str, value: object, options: object, lines: list[str]) -> None:
    """Change the lines of a docstring before its sections are read."""
    begin = [""] if what in ("attribute", "property") else []  # or napoleon takes "type: text" from the first line
    lines[:] = [*begin, *literal_blocks(lines)]


def mark_dashes(_: Sphinx, what: str, name: str, value: object, options: object, lines: list[str]) -> None:
    """Turn the two hyphens that napoleon writes behind a name into a dash."""
    lines[:] = [line.replace(" -- ", " – ") for line in lines]


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the role, and the steps before and after reading."""
    for needed in ("autodoc", "napoleon"):
        app.setup_extension(f"sphinx.ext.{needed}")
    app.add_role("maybe", Maybe())
    app.connect("autodoc-process-docstring", mark_blocks, priority=400)  # before napoleon, at 500
    app.connect("autodoc-process-docstring", mark_dashes, priority=600)
    app.connect("missing-reference", as_code)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
