"""The README and the pages of docs/, and the fenced blocks of code on them.

A comment directly above a block says what its test must know, and is not shown to readers:

    <!-- test: skip: WHY -->           the block cannot run here
    <!-- test: needs NAME -->          a package, or a server (`postgres`, `dask`) that the test starts
    <!-- test: file PATH -->           the block is this file; it is written before the later blocks run
    <!-- test: slow -->                the block takes more than a few seconds

Several are separated by semicolons.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
WRITTEN = {DOCS / "changes.md", *DOCS.glob("measurements/*.md"), *DOCS.glob("reference/*/*.md")}
"""The pages that the build of the site writes."""
PAGES = [ROOT / "README.md", *sorted({*DOCS.rglob("*.md")} - WRITTEN)]

BLOCK = re.compile(
    r"^(?:<!-- test: (?P<marks>[^\n]*?) -->\n\n?)?(?P<fence>`{3,})(?P<language>[^\n]*)\n(?P<text>.*?)^(?P=fence)$",
    re.MULTILINE | re.DOTALL,
)
SHOWN = re.compile(r"\{eval\}`(\w+)`")
MARK = re.compile(r"(slow)|(skip:|needs|file) (.+)")


@dataclass(frozen=True)
class Block:
    """A fenced block: the line of its fence, its language, its text, and the marks above it.

    A mark is a name and what follows it, such as `{"needs": "torch"}`.
    """

    line: int
    language: str
    text: str
    marks: Mapping[str, str] = field(default_factory=dict)

    @property
    def lines(self) -> list[str]:
        """The lines of code, without the options of a directive, empty lines and comments."""
        lines = self.text.replace("\\\n", "").splitlines()
        return [line for line in lines if line.strip() and not line.startswith((":", "#"))]


def blocks_of(page: str) -> list[Block]:
    """Return the fenced blocks of a page, without directives of the site that hold no code.

    A name of which the text shows the value (a role `eval`) is a block too.
    """
    found = [Block(page.count("\n", 0, name.start()) + 1, "eval", name[1]) for name in SHOWN.finditer(page)]
    for match in BLOCK.finditer(page):
        language = match["language"].strip().split(" ")[0]
        if language.startswith("{") and language not in ("{code-cell}", "{run}"):
            continue
        line = page.count("\n", 0, match.start("fence")) + 1
        found.append(Block(line, language, match["text"], marks_of(match["marks"])))
    return sorted(found, key=lambda block: block.line)


def marks_of(text: str | None) -> dict[str, str]:
    """Return the marks of a comment."""
    marks = {}
    for part in text.split("; ") if text else []:
        mark = MARK.fullmatch(part)
        if not mark:
            raise ValueError(f"a mark must be slow, skip: WHY, needs NAME or file PATH, got {part!r}")
        marks[(mark[1] or mark[2]).rstrip(":")] = mark[3] or ""
    return marks
