"""Sphinx extension: the pages of the reference that are made of the program itself.

Each module has `pages()`, the pages by their path in docs/reference, and may have `pictures()`, which draws those
that are missing or older than the program. The pages are written before the build, and git ignores them.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import memspan
from memspan.figures.style import own_style, save_picture

REFERENCE = Path(__file__).parents[2] / "reference"
ROOT = REFERENCE.parents[1]

Draw = Callable[[], object]


def write_pages(pages: Mapping[str, str]) -> None:
    """Write pages, those that changed, and delete others of their folders, whose subject is no longer there."""
    paths = {REFERENCE / name: text for name, text in pages.items()}
    for path, text in paths.items():
        path.parent.mkdir(exist_ok=True)
        if not path.exists() or path.read_text("utf-8") != text:
            path.write_text(text, "utf-8")
    for folder in {path.parent for path in paths}:
        for old in {*folder.glob("*.md")} - paths.keys():
            old.unlink()


def draw_pictures(pictures: Mapping[str, Draw]) -> None:
    """Draw the pictures that are missing, or older than the program or these modules."""
    changed = max(path.stat().st_mtime for path in sources())
    for name, draw in pictures.items():
        path = REFERENCE / name
        if not path.exists() or path.stat().st_mtime < changed:
            path.parent.mkdir(exist_ok=True)
            with own_style():
                save_picture(draw(), path, dpi=110)


def sources() -> Iterator[Path]:
    """Yield the files that pictures depend on."""
    yield from Path(__file__).parent.glob("*.py")
    for folder in ("cells", "engines", "figures", "network", "tasks", "training"):
        yield from (Path(memspan.__file__).parent / folder).rglob("*.py")


def cut(text: str, at: str) -> tuple[str, str]:
    """Cut a text in two at a mark, which is left out."""
    before, _, after = text.partition(at)
    return before.strip(), after.strip()


def table(heads: tuple[str, ...], rows: list[tuple[object, ...]]) -> str:
    """Return a table in Markdown."""
    lines = [heads, ("---",) * len(heads), *rows]
    cells = ((str(part).replace("|", "\\|") for part in line) for line in lines)
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)


def toctree(names: Iterable[str]) -> str:
    """Return a hidden table of contents, which gives the navigation its order."""
    return "\n".join(["```{toctree}", ":hidden:", "", *names, "```"])


def write(_: "Sphinx") -> None:
    """Write all pages and pictures."""
    from reference import cells, commands, files, names, tasks

    names.import_models()
    for module in (cells, tasks, commands, files, names):
        write_pages(module.pages())
    for module in (cells, tasks):
        draw_pictures(module.pictures())


def setup(app: "Sphinx") -> dict[str, bool]:
    """Write the pages before Sphinx looks for them."""
    app.connect("builder-inited", write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
