"""Sphinx extension: files outside docs/ that are pages of the site.

The pages are written into docs/measurements and docs/changes.md, which git ignores. Links to the files, which work
where the repository is read, lead to the pages in the site.
"""

import re
from pathlib import Path

from sphinx.application import Sphinx

DOCS = Path(__file__).parents[1]
RESULTS = DOCS.parent / "benchmarks" / "results"
"""Each Markdown file here is a page of the folder docs/measurements."""

INDEX = """\
# Measurements

Each page is written by a script of the folder `benchmarks`, which measures it again.

```{toctree}
:glob:

*
```
"""


def write_pages(_: Sphinx) -> None:
    """Write the pages, those that changed."""
    for path in sorted(RESULTS.glob("*.md")):
        write(DOCS / "measurements" / path.name, with_title(path))
    write(DOCS / "measurements" / "index.md", INDEX)
    changes = (DOCS.parent / "CHANGELOG.md").read_text("utf-8")
    write(DOCS / "changes.md", changes.replace("](docs/", "]("))


def with_title(path: Path) -> str:
    """Return the text of a file, under its name if it has no title."""
    text = path.read_text("utf-8")
    return text if text.startswith("# ") else f"# {path.stem.replace('_', ' ').capitalize()}\n\n{text}"


def write(path: Path, text: str) -> None:
    """Write a file unless it has this text already: Sphinx reads only files that are newer than its copy."""
    path.parent.mkdir(exist_ok=True)
    if not path.exists() or path.read_text("utf-8") != text:
        path.write_text(text, "utf-8")


def lead_to_pages(_: Sphinx, name: str, source: list[str]) -> None:
    """Let the links to a file lead to its page."""
    up = "../" * name.count("/")
    source[0] = re.sub(r"\]\((\.\./)+benchmarks/results/([\w-]+\.md)", rf"]({up}measurements/\2", source[0])
    source[0] = re.sub(r"\]\((\.\./)+CHANGELOG\.md", f"]({up}changes.md", source[0])


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect the steps to those of Sphinx."""
    app.connect("builder-inited", write_pages)
    app.connect("source-read", lead_to_pages)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
