import html
import re
import tomllib

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.figure import Figure

from memspan import InvalidArgument, Report, Search, Study, StudyResult, StudySummary, explain, run_study
from memspan.report import study as sections
from memspan.study.comparison import Comparison
from memspan.study.comparison_result import Compared
from memspan.study.search_result import SearchResult, answer_of

HOSTILE = "<img src=x onerror=alert(1)></script>{{7*7}}=cmd()\x1b[31m"
ORDER = [
    *("The answer", "How many solve", "Why it stops there", "Training", "The gradient"),
    *("Lengths", "Trials", "Failed and diverged", "How it was made"),
]


@pytest.fixture
def brief(monkeypatch):
    """Leave out the pictures of single configurations, which take most of the time."""
    monkeypatch.setattr("memspan.report.page.FULL", 0)


@pytest.fixture(autouse=True)
def no_figure_is_left():
    before = plt.get_fignums()
    yield
    assert plt.get_fignums() == before, "a report changes no state of pyplot"


def search_of(make_trial, name=None, cell="rnn", good=4):
    search = Search(cell=cell, budget=16, longest=8, name=name)
    trials, path = [], search.new_search()
    while groups := path.ask():
        new = [
            make_trial(group.length, group.first + k, "solved" if group.length <= good else "unsolved")
            for group in groups
            for k in range(group.count)
        ]
        trials += new
        path.tell([answer_of(trial, search.configuration) for trial in new])
    return SearchResult.found(search, trials)


def test_a_study_opens_with_its_answer_and_ends_with_how_it_was_made(page, result, read):
    found = read(page)
    assert found.headings == [*ORDER, "Text"]
    assert found.text("The answer").startswith(result.sentence)
    assert "recall: After T random numbers in [-1, 1], answer with the first." in found.text("The answer")
    assert found.tags[0] == ("html", {"lang": "en"})
    assert [tag for tag, _ in found.tags].count("h1") == 1


def test_it_needs_no_network_and_is_small(page):
    assert not re.search(r"""(src|href|url\()\s*=?\s*["'(]?(https?:|//)""", page)
    assert "default-src 'none'" in page
    assert len(page) < 1_000_000


def test_the_tables_have_all_lengths_and_trials_with_their_outcome(page, read):
    found = read(page)
    assert re.search(r"3 2/3 .* 5 0/2", found.text("Lengths"))
    trials = found.text("Trials")
    for outcome, count in {"solved": 2, "unsolved": 2, "diverged": 1, "failed": 1}.items():
        assert len(re.findall(rf" {outcome} ", trials)) == count
    assert "nan" not in trials.lower()
    assert "1 diverged" in found.text("Failed and diverged")
    assert "1 failed" in found.text("Failed and diverged")
    assert f"OSError: {HOSTILE[:-5]}\\x1b[31m" in found.text("Failed and diverged")


def test_the_specification_can_be_copied_and_gives_the_same_study(page, result):
    (toml,) = re.findall(r'<pre tabindex="0" class="toml"><code>(.*?)</code>', page, re.S)
    copied = Study(**tomllib.loads(html.unescape(toml)))
    assert copied == result.study.with_(name=HOSTILE)


def test_hostile_names_are_text(page, read):
    found = read(page)
    assert not [tag for tag, _ in found.tags if tag == "img"]
    assert [tag for tag, _ in found.tags].count("script") == 1
    assert not [name for _, attributes in found.tags for name in attributes if name.startswith("on")]
    assert "\x1b" not in page
    assert page.count("{{7*7}}") > 5
    assert "49" not in re.findall(r"<h1>(.*?)</h1>", page)[0]


def test_nothing_went_wrong_is_said_too(make_trial, read):
    result = StudyResult.of(Study(lengths=3, repetitions=1), [make_trial(3)])
    assert read(Report().add(result).html()).text("Failed and diverged").startswith("None: every trial")


def test_several_configurations_have_a_forest_and_a_part_each(several, read):
    page = read(Report().add(several).html())
    assert page.headings == [
        *("The answer", "How many solve", "Each configuration", "Lengths", "Trials"),
        *("Failed and diverged", "How it was made"),
    ]
    answer = page.text("The answer")
    assert answer.index("cell rnn: T50 is at least") < answer.index("cell gru: T50 = ")
    assert [attributes.get("class") for tag, attributes in page.tags if tag == "details"].count(
        "configuration"
    ) == 2


def test_a_summary_needs_no_trials(several, read):
    summary = StudySummary(several.study, several.rows)
    page = read(Report().add(summary).html())
    assert "memspan store export" in page.text("Trials")
    assert "Why it stops there" not in page.headings
    assert page.text("The answer").startswith("cell rnn: T50 is at least")


def test_of_many_configurations_only_the_longest_spans_are_estimated(several, brief, monkeypatch, read):
    monkeypatch.setattr(sections, "MOST_SPANS", 1)
    answer = read(Report().add(several).html()).text("The answer")
    assert "2 configurations were trained" in answer
    assert "cell rnn: T50" in answer
    assert "cell gru: T50" not in answer


def test_a_full_page_names_what_is_left_out(several, brief, read):
    page = read(Report().add(several).html())
    assert "has no pictures of: cell rnn; cell gru. For the pictures" in page.text("Each configuration")
    assert len(page.text("Trials")) > 500


def test_a_study_without_trials_has_a_page(read):
    page = read(Report().add(StudyResult.of(Study(lengths=3, repetitions=2), [])).html())
    assert "No trial has run to its end" in page.text("The answer")
    assert page.text("Lengths") == "No trial has ended."


def test_a_study_of_which_all_trials_failed_has_a_page(make_trial, read):
    page = read(Report().add(StudyResult.of(Study(lengths=3, repetitions=1), [make_trial(3, 0, "failed")])).html())
    assert "MemoryError: no room" in page.text("Failed and diverged")


def test_a_search_says_why_it_ended(make_trial, read):
    result = search_of(make_trial, name="looking")
    page = read(Report().add(result).html())
    assert f"The search ended: {result.ended}." in page.text("The answer")
    assert "memspan span search.toml" in page.text("How it was made")


def test_a_comparison_names_its_pairs_and_shows_each(make_trial, brief, read):
    comparison = Comparison(cell=("rnn", "gru"), budget=16, longest=8)
    results = tuple(search_of(make_trial, cell=cell, good=good) for cell, good in (("rnn", 6), ("gru", 2)))
    compared = Compared(("rnn", "gru"), results, comparison=comparison)
    page = read(Report().add(compared).html())
    assert page.headings[:4] == ["The answer", "Spans", "Ratios of spans", "Each configuration"]
    for line in compared.sentence.splitlines():
        assert line in page.text("The answer")
    assert "memspan compare comparison.toml" in page.text("How it was made")
    assert {"rnn", "gru"} <= {*page.text("Trials").split()}


def test_studies_stand_side_by_side(several, make_trial, brief, read):
    other = StudyResult.of(
        Study(lengths=3, repetitions=2, task="adding/any"), [make_trial(3, k) for k in range(2)]
    )
    page = read(Report().add(several, "first").add(other, "second").html())
    assert page.headings[0] == "Side by side"
    overview = page.text("Side by side")
    assert "The tasks differ" in overview
    assert overview.index("first") < overview.index("second")


@pytest.mark.slow
def test_the_why_has_the_verdict_the_evidence_and_the_remedies(read):
    fields = {"hidden": 8, "optimizer": "sgd", "learning_rate": 0.01, "updates": 60, "init": "orthogonal"}
    result = run_study(Study(lengths=(2, 12), repetitions=2, **fields), progress=False)
    explanations = explain(result, progress=False)
    page = read(Report().add(result, explanations=explanations).html())
    limit = next(one for one in explanations if one.evidence)
    why = page.text("Why it stops there")
    assert why.startswith(str(limit))
    assert all(f"{remedy}: {remedy.expected}" in why for remedy in limit.remedies)
    assert f"Why it stops at T = {limit.length}: {limit.verdict}." in page.text("The answer")
    assert "Evidence of every network" in why
    alone = read(Report().add(explanations).html())
    assert str(limit) in alone.text("Verdicts")


def test_chapters_have_tags_by_which_they_are_selected():
    text = Report().add("one", tags="rnn").add("a text", tags=["draft", "rnn"]).html()
    assert re.findall(r'<button type="button" data-tag="(.*?)"', text) == ["draft", "rnn"]
    assert re.findall(r'<article id="\w+" data-tags="(.*?)"', text) == ["rnn", "draft|rnn"]


def test_an_author_adds_figures_texts_tables_and_objects_of_notebooks(result, read):
    figure = Figure()
    figure.subplots().plot([1, 2])
    object_ = type("Thing", (), {"_repr_html_": lambda self: "<b>bold</b>"})()
    report = Report().add(figure, "My figure").add("a < b\n\nsecond").add(result.table()).add(object_)
    page = read(report.html())
    assert page.headings == ["Figure", "Text", "Table", "Thing"]
    assert page.text("Text").startswith("a < b second")
    assert "2/3" in page.text("Table")
    assert ("b", {}) in page.tags


@pytest.mark.parametrize("thing", [None, 3, {"a": 1}, [1], np.zeros(2), object()])
def test_what_cannot_be_shown_is_refused_at_once(thing):
    with pytest.raises(InvalidArgument, match=r"^thing must be a result of memspan"):
        Report().add(thing)


@pytest.mark.parametrize(
    ("changes", "name"),
    [({"title": 3}, "title"), ({"tags": [3]}, "tags"), ({"explanations": [3]}, "explanations")],
)
def test_wrong_arguments_are_named(changes, name, result):
    with pytest.raises(InvalidArgument, match=f"^{name} must be"):
        Report().add(result, **changes)
    with pytest.raises(InvalidArgument, match=r"^title must be a text"):
        Report(3)


def test_save_writes_the_page_and_large_tables_beside_it(result, tmp_path, monkeypatch, read):
    monkeypatch.setattr("memspan.report.page.LARGEST_LINK", 100)
    path = Report().add(result).save(tmp_path / "answer.html")
    assert path == tmp_path / "answer.html"
    page = read(path.read_text(encoding="utf-8"))
    beside = {file.name for file in tmp_path.iterdir()} - {"answer.html"}
    assert beside == {href for href in page.links.values() if not href.startswith("data:")}
    assert (tmp_path / "answer-trials.csv").read_text().splitlines()[0].startswith("T,repetition,outcome")


def test_bad_paths_are_refused(tmp_path):
    report = Report().add("a text")
    with pytest.raises(InvalidArgument, match=r"^path must be a path"):
        report.save("")
    with pytest.raises(InvalidArgument, match=r"^path must be a regular file"):
        report.save(tmp_path)
    with pytest.raises(FileNotFoundError):
        report.save(tmp_path / "no" / "a.html")


def test_a_notebook_shows_the_page_in_a_frame(result):
    shown = Report("<t>").add("text")._repr_html_()
    assert shown.startswith('<iframe srcdoc="&lt;!DOCTYPE html&gt;')
    assert "<h1" not in shown


def test_the_record_in_the_store_tells_versions_and_machine(tmp_path, read):
    from memspan import Store

    result = run_study(Study(lengths=2, repetitions=1, updates=5), tmp_path / "s.sqlite", progress=False)
    with Store(tmp_path / "s.sqlite") as store:
        (overview,) = store.overviews()
    made = read(Report().add(result, overview=overview).html()).text("How it was made")
    for value in (overview.versions.python, overview.versions.numpy, overview.versions.machine, overview.created):
        assert value in made
    assert "engine compiled" in made
