import pytest

from memspan import CELLS, Configuration
from memspan.figures.atlas import draw_atlas
from memspan.reproduce import Options, Page, Verdict
from memspan.reproduce import atlas as module
from memspan.study.comparison import parameters_of

AGREES, DIFFERS, UNDECIDED, _ = Verdict


def test_every_cell_is_searched_on_every_task_with_about_as_many_weights():
    found = module.searches(seed=3)
    assert [(name, search.cell) for name, search in found] == [
        (name, cell) for name in module.TASKS for cell in CELLS
    ]
    for _, search in found:
        assert abs(parameters_of(search.configuration) / module.PARAMETERS - 1) < 0.07
        assert search.seed == 3


@pytest.fixture
def small(monkeypatch):
    """The measurements of two cells on one task, trained for a moment."""
    monkeypatch.setattr(module, "CELLS", ("rnn", "lstm"))
    monkeypatch.setattr(module, "TASKS", {"recall": {"task": "recall", "updates": 5}})
    monkeypatch.setattr(module, "SEARCH", {"budget": "8", "repetitions": 2, "groups": 2, "longest": 20})
    monkeypatch.setattr(module, "PARAMETERS", 60)
    return module.measure(Options(progress="none"))


def test_what_is_measured_can_be_written_drawn_and_judged(small):
    assert [row["cell"] for row in small] == ["rnn", "lstm"]
    page = Page.made(module.REPRODUCTION, Options(), small, 1.0)
    again = Page.read(module.REPRODUCTION, page.json())
    assert again.markdown() == page.markdown()
    assert f"| rnn | {small[0]['short']} |" in page.markdown()
    assert "![" in page.markdown()
    assert [finding.verdict for finding in page.findings] == [
        DIFFERS
    ]  # an LSTM of five updates has learnt nothing
    assert len(module.picture(small).rows()) == 2


def test_a_cell_whose_trainings_all_fail_has_no_span(request, monkeypatch):
    made = Configuration.make_network

    def make_network(configuration, length, rng):
        if configuration.cell == "rnn":
            raise MemoryError("no room")
        return made(configuration, length, rng)

    monkeypatch.setattr(Configuration, "make_network", make_network)
    failed, other = request.getfixturevalue("small")
    assert {failed[name] for name in ("span", "low", "high", "fits", "trainings")} == {None}
    assert other["trainings"] > 0
    page = Page.made(module.REPRODUCTION, Options(), [failed, other], 1.0)
    assert "| rnn | – |" in page.markdown()
    assert [finding.verdict for finding in module.judge([failed | {"cell": "lstm"}])] == [UNDECIDED]
    for rows, cells in (([failed, other], ["lstm", "rnn"]), ([failed], ["rnn"])):
        ax = draw_atlas(module.picture(rows)).axes[0]
        assert [label.get_text() for label in ax.get_yticklabels()] == cells
        assert ax.texts[-1].get_text() == "–"
        ax.figure.draw_without_rendering()


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(6.0, 9.0, AGREES), (6.0, None, AGREES), (2.0, 9.0, UNDECIDED), (None, 5.0, DIFFERS)],
)
def test_the_lstm_must_solve_short_lengths(low, high, verdict):
    row = {"task": "recall", "cell": "lstm", "shortest": 1, "low": low, "high": high, "short": "some"}
    assert [finding.verdict for finding in module.judge([row, row | {"cell": "gru"}])] == [verdict]
