"""Figures as SVG inside a page of HTML, with text as text and names on the parts that a reader may point at."""

import io
import re
import zlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote
from xml.etree import ElementTree

from memspan.figures.style import own_style, save_svg_to

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure

SVG, XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
NAMED = "named:"
"""The beginning of the id of a group with a name. The name follows, quoted as in a URL."""
LONG_NUMBER = re.compile(r"-?\d*\.\d{3,}(?:e-?\d+)?")
REFERENCE = re.compile(r"url\(#([^)]+)\)")
FONT = re.compile(r"'DejaVu Sans'[^;]*sans-serif")
"""Matplotlib's list of fonts, of which a reader's machine may have others than the one that was measured."""
JOINS = "stroke-linejoin: round; stroke-linecap: butt"
"""Matplotlib's style sheet. In a page it would hold for all elements, so it is an attribute of the picture."""


def name_artist(artist: "Artist", name: str) -> None:
    """Give an artist a name, which a page shows when a reader points at it."""
    artist.set_gid(NAMED + quote(name))


def drawn(draw: Callable[[Any], "Figure"], record: Any, label: str) -> str:
    """Draw a record in memspan's style, and return it as SVG for a page."""
    with own_style():
        return inline(draw(record), label)


def inline(figure: "Figure", label: str) -> str:
    """Return a figure as an `svg` element for a page that may have others.

    Parameters
    ----------
    figure : Figure
    label : str
        What the figure shows, for readers who cannot see it.

    Returns
    -------
    str
        Text stays text, in the page's sans-serif font. Only ids that are referenced are kept. They are different
        for different pictures. The custom property `--width` is the width of the figure, for the style sheet.
    """
    import matplotlib

    file = io.BytesIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "memspan"}):
        save_svg_to(file, figure)
    ElementTree.register_namespace("", SVG)
    root = ElementTree.fromstring(file.getvalue())
    _drop_head(root)
    named = [_name(element) for element in root.iter(f"{{{SVG}}}g") if element.get("id", "").startswith(NAMED)]
    _shorten(root)
    _rename_ids(root, f"p{zlib.crc32(file.getvalue()):08x}-")
    role = "group" if named else "img"
    width = root.attrib.pop("width")  # the height follows from it and the viewBox
    root.attrib.pop("height")
    style = f"--width: {width}; {JOINS}"
    root.attrib |= {"class": "figure", "role": role, "aria-label": label, "style": style}
    return ElementTree.tostring(root, encoding="unicode")


def _drop_head(root: ElementTree.Element) -> None:
    """Remove the metadata and the style sheet."""
    for child in [*root]:
        if child.tag == f"{{{SVG}}}metadata" or child.find(f"{{{SVG}}}style") is not None:
            root.remove(child)


def _name(group: ElementTree.Element) -> ElementTree.Element:
    """Turn the quoted name in the id of a group into its title, which browsers show and read aloud."""
    name = unquote(group.attrib.pop("id").removeprefix(NAMED))
    group.attrib |= {"class": "named", "role": "img", "aria-label": name}
    title = ElementTree.Element(f"{{{SVG}}}title")
    title.text = name
    group.insert(0, title)
    return group


def _shorten(root: ElementTree.Element) -> None:
    """Round all coordinates to a hundredth of a point."""
    for element in root.iter():
        for name in ("d", "transform", "x", "y", "width", "height"):
            if name in element.attrib:
                element.set(name, LONG_NUMBER.sub(_rounded, element.attrib[name]).replace("\n", " ").strip())
        if "style" in element.attrib:
            style = LONG_NUMBER.sub(_rounded, element.attrib["style"])
            element.set("style", FONT.sub("sans-serif", style))


def _rounded(number: re.Match[str]) -> str:
    return f"{float(number[0]):.2f}".rstrip("0").rstrip(".")


def _rename_ids(root: ElementTree.Element, prefix: str) -> None:
    """Keep only the ids that something refers to, and put a prefix before them."""
    used = {*_references(root)}
    for element in root.iter():
        if (own := element.attrib.pop("id", None)) in used:
            element.set("id", f"{prefix}{own}")
        if (link := element.attrib.pop(f"{{{XLINK}}}href", None)) is not None:
            element.set("href", f"#{prefix}{link[1:]}" if link.startswith("#") else link)
        for name in ("clip-path", "style", "fill", "mask"):
            if name in element.attrib:
                element.set(name, REFERENCE.sub(rf"url(#{prefix}\1)", element.attrib[name]))


def _references(root: ElementTree.Element) -> Iterator[str]:
    for element in root.iter():
        yield element.get(f"{{{XLINK}}}href", "").removeprefix("#")
        for name in ("clip-path", "style", "fill", "mask"):
            yield from REFERENCE.findall(element.get(name, ""))
