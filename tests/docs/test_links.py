"""Every link within the README and the docs leads to a file, and to a heading of it."""

import re
from pathlib import Path

import pytest
from reference import REFERENCE, cells, commands, files, names, tasks

ROOT = Path(__file__).parents[2]
GENERATED = {
    (REFERENCE / name).resolve(): text
    for part in (cells, commands, files, names, tasks)
    for name, text in part.pages().items()
}
COMMITTED = {
    path.resolve(): path.read_text("utf-8")
    for path in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "benchmarks/results").glob("*.md"))
}
PICTURES = {(REFERENCE / name).resolve() for part in (cells, tasks) for name in part.pictures()}
PAGES = COMMITTED | GENERATED
LINK = re.compile(r"\[[^]]*\]\(([^)\s]+)\)|<a href=\"([^\"]+)\"")


def prose(text):
    """Return a text without code and comments."""
    text = re.sub(r"```.*?```|<!--.*?-->", "", text, flags=re.DOTALL)
    return re.sub(r"^(    .*\n)+|(?<!\[)`[^`\n]*`(?!\])", "", text, flags=re.MULTILINE)


def anchors(text):
    """Return the anchors of the headings, as the code host and MyST make them."""
    text = re.sub(r"```.*?```|<!--.*?-->", "", text, flags=re.DOTALL)
    found = []
    for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE):
        heading = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading)
        name = re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")
        found.append(f"{name}-{found.count(name)}" if name in found else name)
    return {*found, *re.findall(r"^\((\w[\w-]*)\)=$", text, re.MULTILINE)}


def wrong(path, text):
    """Yield the links of a page that lead nowhere. A page with _ is part of another one, in the folder above."""
    folder = path.parent.parent if path.name.startswith("_") else path.parent
    for link in (one or other for one, other in LINK.findall(prose(text))):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (folder / name).resolve() if name else path
        if not (target.exists() or target in PAGES or target in PICTURES):
            yield f"{link}: there is no such file"
        elif anchor and anchor not in anchors(PAGES[target]):
            yield f"{link}: there is no such heading"


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_somewhere(path):
    if path.is_relative_to(ROOT / "docs/measurements") or path.name == "changes.md":
        return  # a copy, with the links of the original
    assert not [*wrong(path, PAGES[path])]


def test_a_wrong_link_is_found():
    page = ROOT / "docs" / "span.md"
    text = "[a](why.md), [b](nothing.md), [c](why.md#nothing), [d](#nothing), `[e](code.md)`, [f](https://example.org)"
    assert [one.partition(":")[0] for one in wrong(page, text)] == ["nothing.md", "why.md#nothing", "#nothing"]
    assert [*wrong(page, "[`span`](reference/cli/span.md#parameters) [picture](reference/cells/lstm.png)")] == []
