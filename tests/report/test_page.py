import base64
import csv
import io

import pytest
from matplotlib.figure import Figure

from memspan.figures.losses import Curve, LossByLength, draw_losses
from memspan.report.page import LARGEST_LINK, Page

RECORD = LossByLength("a title", {3: (Curve((1.0, 2.0), (0.3, 0.1), "solved", 0),)}, {3: 0.3}, "loss")


def rows_of(link):
    head, _, data = link.partition("base64,")
    assert head == "data:text/csv;charset=utf-8;"
    return list(csv.reader(io.StringIO(base64.b64decode(data).decode(), newline="")))


def test_a_picture_has_its_numbers_as_a_table_and_as_csv(read):
    page = read(Page().picture(draw_losses, RECORD, "The loss", "losses"))
    assert {tag for tag, _ in page.tags} >= {"figure", "svg", "figcaption", "details", "table"}
    assert rows_of(page.links["losses.csv"]) == [
        ["length", "repetition", "outcome", "update", "loss"],
        ["3", "0", "solved", "1.0", "0.3"],
        ["3", "0", "solved", "2.0", "0.1"],
    ]
    (label,) = [attributes["aria-label"] for tag, attributes in page.tags if tag == "svg"]
    assert label == "The loss"
    assert "a title" not in page.sections[""], "the page says what the title says"


def test_a_small_csv_is_in_the_page_and_a_large_one_beside_it(read):
    page = Page("answer")
    small = read(page.link(["text"], [["x" * (LARGEST_LINK - 10)]], "a b/c"))
    assert small.links["a-b-c.csv"].startswith("data:")
    assert page.files == {}
    large = read(page.link(["text"], [["x" * LARGEST_LINK]], "trials"))
    assert large.links == {"trials.csv": "answer-trials.csv"}
    assert page.files["answer-trials.csv"].decode() == f"text\r\n{'x' * LARGEST_LINK}\r\n"


def test_two_large_tables_of_one_name_are_two_files(read):
    page = Page("answer")
    links = [read(page.link(["n"], [[letter * LARGEST_LINK]], "trials")).links for letter in "abb"]
    assert [link["trials.csv"] for link in links] == ["answer-trials.csv", *["answer-2-trials.csv"] * 2]
    assert page.files["answer-2-trials.csv"].startswith(b"n\r\nbbb")


def test_no_spreadsheet_computes_a_cell(read):
    page = read(Page().link(["a"], [["=cmd()"], ["@x"], [-1.5]], "x"))
    assert rows_of(page.links["x.csv"]) == [["a"], ["'=cmd()"], ["'@x"], ["-1.5"]]


@pytest.mark.parametrize("name", ["..", "", "///", "ü"])
def test_every_name_gives_a_file_name(read, name):
    assert read(Page().link(["a"], [], name)).links.keys() == {"table.csv"}


def test_a_page_is_full_at_some_size(monkeypatch):
    monkeypatch.setattr("memspan.report.page.FULL", 5000)
    page = Page()
    assert not page.full
    figure = Figure()
    figure.subplots()
    page.figure(figure, "x")
    assert page.full
