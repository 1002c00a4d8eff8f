"""`memspan report`, and the report that other commands write at their end."""

import html
import re

import pytest

from memspan import Store, Study, explain, load_study, run_study

SMALL = {"hidden": 4, "updates": 5, "repetitions": 2, "evaluation_samples": 20, "final_batches": 1}


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    place = tmp_path_factory.mktemp("stored") / "memspan.sqlite"
    run_study(Study(**SMALL, lengths=3, name="first"), place, progress=False)
    run_study(Study(**SMALL, lengths=3, cell=("rnn", "gru"), name="<b>two"), place, progress=False)
    return place


@pytest.fixture
def here(stored, tmp_path):
    """A copy of the store in the present folder."""
    (tmp_path / "memspan.sqlite").write_bytes(stored.read_bytes())
    return tmp_path


def text_of(path):
    return html.unescape(re.sub(r"<[^>]*>", "", path.read_text("utf-8")))


def test_the_page_has_the_answer_of_the_store(memspan_, here):
    code, out, _ = memspan_("report first --no-why")
    assert (code, out) == (0, "report.html\n")
    found = text_of(here / "report.html")
    assert load_study(here / "memspan.sqlite", "first").sentence in found
    with Store(here / "memspan.sqlite") as opened:
        (overview,) = [one for one in opened.overviews() if one.name == "first"]
    assert overview.versions.python in found
    assert overview.created in found


def test_the_why_is_that_of_explain(memspan_, here):
    assert memspan_("report first --output why.html")[0] == 0
    (explanation,) = explain(load_study(here / "memspan.sqlite", "first"), progress=False)
    assert str(explanation) in text_of(here / "why.html")


def test_several_studies_stand_side_by_side(memspan_, here):
    code, out, _ = memspan_(["report", "first", "<b>two", "--no-why", "--title", "Both", "-o", "both.html"])
    assert (code, out) == (0, "both.html\n")
    found = (here / "both.html").read_text("utf-8")
    assert "<h1>Both</h1>" in found
    assert "Side by side" in found
    assert re.findall(r'<h2 id="h\d">(.*?)</h2>', found) == ["Overview", "first", "&lt;b&gt;two"]


def test_a_single_configuration_is_chosen_by_its_number(memspan_, here):
    assert memspan_(["report", "<b>two", "--configuration", "2", "--no-why"])[0] == 0
    found = text_of(here / "report.html")
    assert "gru, 4 hidden" in found
    assert "rnn, 4 hidden" not in found


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("report", "Which study? Choose one of first, <b>two."),
        ("report frist", "first"),
        ("report first -o no/report.html", "-o must be in an existing folder, got no/report.html"),
        ("report first -o .", "-o must be a regular file or a new one, got ., which is a folder"),
        ("report first --networks 0", "--networks must be"),
        ("report first --configuration 2", "--configuration must be at most 1, got 2"),
        ("report first -o mine.html", "mine.html exists and is no report of memspan. Choose another --output."),
    ],
)
def test_bad_input_is_refused_and_nothing_is_written(memspan_, here, line, said):
    (here / "mine.html").write_text("mine")
    before = {path: path.read_bytes() for path in here.iterdir()}
    code, out, err = memspan_(line)
    assert (code, out) == (2, "")
    assert said in err
    assert {path: path.read_bytes() for path in here.iterdir()} == before


def test_an_older_report_is_replaced(memspan_, here):
    assert memspan_("report first --no-why")[0] == 0
    old = (here / "report.html").read_text("utf-8")
    assert memspan_("report first --no-why --title New")[0] == 0
    assert "<h1>New</h1>" in (here / "report.html").read_text("utf-8") != old


@pytest.mark.parametrize("line", ["study run --name first -o mine", "span -o mine", "explain first -o mine"])
def test_a_page_of_another_program_is_not_replaced(memspan_, here, line):
    (here / "mine").mkdir()
    (here / "mine" / "report.html").write_text("<html>mine")
    code, _, err = memspan_(line)
    assert code == 2
    assert "report.html exists and is no report of memspan" in err
    assert (here / "mine" / "report.html").read_text() == "<html>mine"


def test_a_truncated_gradient_has_no_verdict_and_the_page_says_so(memspan_, here):
    run_study(Study(**SMALL, lengths=6, truncate=3, name="cut"), here / "memspan.sqlite", progress=False)
    assert memspan_("report cut")[0] == 0
    assert "whole gradients only" in text_of(here / "report.html")


def test_explain_writes_a_report_into_its_folder(memspan_, here):
    code, out, _ = memspan_("explain first --output why")
    assert code == 0
    assert out.splitlines()[-1] == "why/report.html"
    assert "Verdict: " in text_of(here / "why" / "report.html")


def test_a_comparison_writes_a_report(memspan_, tmp_path):
    options = "--hidden 4 --updates 5 --budget 16 --repetitions 2 --groups 2 --workers 0"
    code, out, _ = memspan_(f"compare --cell rnn,gru {options} -o compared")
    assert code == 0
    assert out.splitlines()[-1] == "compared/report.html"
    found = text_of(tmp_path / "compared" / "report.html")
    assert "Ratios of spans" in found
    assert "numpy" in found
