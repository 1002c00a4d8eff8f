"""Write every measured number into the README and the docs, and write the pages of the reproductions.

    python docs/make_numbers.py [NAME ...]

The picture of each named reproduction is drawn again from its committed measurements.

A measured number stands between the marks `<!-- = key -->` and `<!-- / -->`; `measured.py` defines the keys. A
mark must not begin a line that has other text, because Markdown would take the whole line for HTML. Around a table
or a paragraph each mark has its own line. Every other number is a constant (of the code, of a paper or of
mathematics), and `constants.toml` lists it under its page. Code (fenced, indented or between backticks) is not
checked. A test compares the pages with the results, and finds numbers that are neither marked nor listed.
"""

import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from measured import measured, reproduced

from memspan.figures.style import save

DOCS = Path(__file__).parent
NAMES = (
    "adam",
    "architecture",
    "diagnostics",
    "engine",
    "first-study",
    "gradient-check",
    "how-to/cite",
    "how-to/cluster",
    "how-to/own-task",
    "how-to/postgres",
    "how-to/resume",
    "index",
    "model-checks",
    "own-cells",
    "reproductions",
    "span",
    "span-search",
    "studies",
    "tutorials/compare",
    "tutorials/explain",
    "tutorials/first-span",
    "tutorials/own-cell",
    "weights",
    "why",
)
PAGES = [
    DOCS.parent / "README.md",
    *(DOCS / f"{name}.md" for name in NAMES),
]
"""The pages with marks."""
MARK = re.compile(r"<!-- = (\S+) -->(.*?)<!-- / -->", re.DOTALL)
NUMBER = re.compile(r"(?<![\w.])[\d⁰¹²³⁴-⁹⁻]+(?:[.,]\d+)*(?:e[-+]?\d+)?")


def filled(text: str, numbers: Mapping[str, str]) -> str:
    """Return a page with the current number between each pair of marks."""

    def put(mark: re.Match[str]) -> str:
        key, before = mark.groups()
        if key not in numbers:
            raise KeyError(f"no measured number is called {key!r}")
        text = f"\n{numbers[key]}\n" if before.startswith("\n") else numbers[key]
        return f"<!-- = {key} -->{text}<!-- / -->"

    return MARK.sub(put, text)


def pages() -> dict[Path, str]:
    """Return the text that each page should have, including the pages of the reproductions."""
    numbers = measured()
    found = {page: filled(page.read_text("utf-8"), numbers) for page in PAGES}
    return found | {DOCS / "reproductions" / f"{name}.md": page.markdown() for name, page in reproduced().items()}


def prose(text: str) -> str:
    """Remove marked numbers, code and link targets from a page."""
    for hidden in (MARK, r"(?s)```.*?```", r"(?m)^    .*$", r"`[^`]*`", r"\]\([^)]*\)", r"<[^>]*>"):
        text = re.sub(hidden, " ", text)
    return text


def unlisted(page: Path, text: str, listed: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    """Yield the numbers of a page that are neither marked nor listed as constants, with their context."""
    constants = {**listed["everywhere"], **listed.get(page.stem, {})}
    for line in prose(text).splitlines():
        for number in NUMBER.finditer(line):
            if number[0] not in constants:
                yield f"{number[0]!r} in ...{line[max(0, number.start() - 30) : number.end() + 20]}..."


def constants() -> dict[str, dict[str, str]]:
    """Return the constants of each page, with their sources."""
    return tomllib.loads((DOCS / "constants.toml").read_text("utf-8"))


def misplaced(text: str) -> list[str]:
    """Return the lines that begin with a mark and have other text."""
    alone = re.compile(r"<!-- (= \S+|/) -->")
    begins = re.compile(r"\s*([-*] |\d+\. )?<!-- [=/]")
    return [line for line in text.splitlines() if begins.match(line) and not alone.fullmatch(line)]


def draw(name: str) -> None:
    """Draw the picture of a reproduction."""
    page = reproduced()[name]
    if page.of.picture is not None:
        save(page.of.picture.draw, page.of.picture.record(page.measured), DOCS / "reproductions", name)


if __name__ == "__main__":
    for name in sys.argv[1:]:
        draw(name)
    for path, text in pages().items():
        path.write_text(text, "utf-8")
    for path in PAGES:
        for found in unlisted(path, path.read_text("utf-8"), constants()):
            print(f"{path.name}: {found} is neither marked nor in constants.toml")
        for line in misplaced(path.read_text("utf-8")):
            print(f"{path.name}: a mark must not begin a line: {line}")
