"""Every number of the README and the docs is what was measured, or a constant that is listed."""

import json
import re
import runpy
import tomllib
from pathlib import Path

import pytest

from memspan.reproduce import REPRODUCTIONS

DOCS = Path(__file__).parents[2] / "docs"
NUMBERS = runpy.run_path(str(DOCS / "make_numbers.py"))
LISTED = tomllib.loads((DOCS / "constants.toml").read_text("utf-8"))


@pytest.fixture(scope="module")
def pages():
    return NUMBERS["pages"]()


def test_pages_have_the_numbers_that_were_measured(pages):
    assert len(pages) == len(NUMBERS["PAGES"]) + len(REPRODUCTIONS)
    for path, text in pages.items():
        assert path.read_text("utf-8") == text, f"{path.name}: run python docs/make_numbers.py"


@pytest.mark.parametrize("path", NUMBERS["PAGES"], ids=lambda path: path.stem)
def test_every_other_number_is_a_constant_that_is_listed(path):
    found = list(NUMBERS["unlisted"](path, path.read_text("utf-8"), LISTED))
    assert not found, f"{path.name}: mark these numbers, or list them in docs/constants.toml: {found}"


@pytest.mark.parametrize("path", NUMBERS["PAGES"], ids=lambda path: path.stem)
def test_no_line_begins_with_a_mark(path):
    """Markdown would take the whole line for HTML."""
    assert NUMBERS["misplaced"](path.read_text("utf-8")) == []


@pytest.mark.parametrize("path", NUMBERS["PAGES"], ids=lambda path: path.stem)
def test_no_constant_is_listed_that_a_page_does_not_have(path):
    text = NUMBERS["prose"](path.read_text("utf-8"))
    there = {number[0] for number in NUMBERS["NUMBER"].finditer(text)}
    assert LISTED.get(path.stem, {}).keys() <= there


def test_a_number_that_is_changed_by_hand_is_found():
    fill, numbers = NUMBERS["filled"], {"a.b": "17", "a.table": "| x |\n|---|\n| 17 |"}
    right = "It took <!-- = a.b -->17<!-- / --> s.\n\n<!-- = a.table -->\n| x |\n|---|\n| 17 |\n<!-- / -->\n"
    assert fill(right, numbers) == right
    assert fill(right.replace("17", "12"), numbers) == right
    with pytest.raises(KeyError, match=r"no measured number is called 'a\.c'"):
        fill("<!-- = a.c -->1<!-- / -->", numbers)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("It takes 8.1 s.", ["8.1"]),
        ("It takes <!-- = a -->8.1<!-- / --> s on 2 cores.", []),
        ("`97` and [this](of/98.md)\n\n    indented 99\n", []),
        ("an error of 1e-13, of 10,000", ["1e-13"]),
        ("1234 times", ["1234"]),
    ],
)
def test_a_number_that_is_neither_marked_nor_listed_is_found(text, found):
    listed = {"everywhere": {"2": "", "10,000": ""}}
    told = list(NUMBERS["unlisted"](Path("page.md"), text, listed))
    assert [re.match(r"'(.*?)'", line)[1] for line in told] == found


def test_the_page_of_a_reproduction_is_made_of_its_committed_numbers():
    for path in (DOCS / "reproductions").glob("*.json"):
        values = json.loads(path.read_text("utf-8"))
        assert values["name"] == path.stem
        assert "verdict" not in path.read_text("utf-8")
        assert f"seed {values['seed']}" in path.with_suffix(".md").read_text("utf-8")
