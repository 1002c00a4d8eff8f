import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from memspan.runtime.html import MOST_ROWS, element, facts, for_notebook, of_table, paragraphs, shown, table
from memspan.runtime.tables import TextTable

HOSTILE = ["<img src=x onerror=alert(1)>", "</script><script>alert(1)</script>", '" onload="x', "&lt;", "{{7*7}}"]


class Reader(HTMLParser):
    """Collects the tags, their attributes and the text."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.texts = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes

    def handle_data(self, data):
        self.texts.append(data)


@pytest.mark.parametrize("text", HOSTILE)
def test_a_text_stays_a_text_and_a_value_a_value(text):
    found = Reader(element("p", text, title=text))
    assert found.tags == ["p"]
    assert "".join(found.texts) == text
    assert found.attributes == [("title", text)]


@given(st.text(alphabet=st.characters(min_codepoint=32, exclude_categories=("Cs", "Cc"))))
def test_any_printable_text_comes_back(text):
    assume_printable = "".join(letter for letter in text if letter.isprintable())
    assert "".join(Reader(element("p", assume_printable)).texts) == assume_printable


def test_escapes_of_a_terminal_are_written_out():
    assert "\x1b" not in shown("a\x1b[31mb")
    assert str(shown("a\x1b[31mb")) == "a\\x1b[31mb"


def test_names_of_attributes_and_their_absence():
    assert element("th", "a", scope="col", class_="number", data_key=1, hidden=None, open=True) == (
        '<th scope="col" class="number" data-key="1" open>a</th>'
    )
    assert element("br") == "<br>"


def test_markup_is_not_escaped_again():
    assert element("p", Markup("<b>"), "<b>") == "<p><b>&lt;b&gt;</p>"


def test_lines_become_paragraphs():
    assert paragraphs("a\n\nb < c") == "<p>a</p><p>b &lt; c</p>"


def test_numbers_stand_on_the_right():
    found = str(table(["name", "n", "share"], [["a", 1, "3/4"], ["b", None, "–"]]))
    assert found.count('<th scope="col" class="number">') == 2
    assert '<td class="number">3/4</td>' in found
    assert '<td class="number">–</td>' in found
    assert "<td>a</td>" in found


def test_a_long_table_shows_its_first_rows_and_says_so():
    found = str(table(["n"], [[k] for k in range(MOST_ROWS + 1)], "All."))
    assert found.count("<tr>") == MOST_ROWS + 1
    assert "All. The first 500 of 501 rows." in found
    assert "rows." not in str(table(["n"], [[k] for k in range(MOST_ROWS)]))


def test_a_float_has_six_digits():
    assert "0.333333<" in str(table(["n"], [[1 / 3]]))
    assert "0.333333" in facts({"share": 1 / 3})


def test_a_rich_table_keeps_title_caption_headings_cells_and_sections():
    drawn = TextTable(title="<title>", caption="what")
    drawn.add_column("a")
    drawn.add_column("b", justify="right")
    drawn.add_row("[bold]x", "1", end_section=True)
    drawn.add_row("y", "2")
    found = str(of_table(drawn))
    assert all(text in found for text in ("&lt;title&gt;", "what", "[bold]x"))
    assert found.index("<td>[bold]x") < found.index("<td>y")
    assert found.count('<tr class="last">') == 1


def test_a_notebook_gets_html_of_a_table():
    drawn = TextTable("a", "b")
    drawn.add_row("1", "2")
    bundle = drawn._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "text/html"}
    assert bundle["text/html"].startswith('<div class="memspan"><style>')
    assert bundle["text/plain"] == str(drawn)


def test_the_style_concerns_only_memspan():
    sheet = Reader(for_notebook()).texts[0]
    for rule in re.findall(r"([^{}]+)\{", re.sub(r"/\*.*?\*/", "", sheet, flags=re.S)):
        assert rule.strip().startswith("@media") or all(
            ".memspan" in one for one in re.split(r",(?![^(]*\))", rule)
        )
