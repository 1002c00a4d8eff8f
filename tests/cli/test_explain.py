"""`memspan explain`."""

import json

import pytest

from memspan import Search, Store, Study, explain, run_search, run_study, try_remedies

WEAK = {"hidden": 16, "optimizer": "momentum", "learning_rate": 0.03, "updates": 400, "recurrent_gain": 0.3}
WEAK |= {"evaluation_samples": 100, "final_batches": 4}
ONE = Study(**WEAK, lengths=[2, 6], repetitions=2, name="one")
TWO = Study(**{**WEAK, "recurrent_gain": [0.3, 2], "lengths": 5, "repetitions": 2, "name": "two"})


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    place = tmp_path_factory.mktemp("stored") / "memspan.sqlite"
    for study in (ONE, TWO):
        run_study(study, place, progress=False)
    few = {"budget": "16", "repetitions": 2, "groups": 2, "first_length": 3, "longest": 12}
    run_search(Search(**WEAK, **few, name="search"), place, progress=False)
    return place


@pytest.fixture
def here(stored, tmp_path):
    """A copy of the store in the present folder."""
    (tmp_path / "memspan.sqlite").write_bytes(stored.read_bytes())
    return tmp_path


def result_of(folder, name):
    with Store(folder / "memspan.sqlite") as opened:
        return opened.find(name).result()


def test_the_table_the_verdict_and_the_remedies_are_printed(memspan_, here):
    code, out, _ = memspan_("explain one")
    assert code == 0
    found = explain(result_of(here, "one"), progress=False)
    words = " ".join(out.split())
    assert " ".join(str(found[1]).split()) in words
    for number, remedy in enumerate(found[1].remedies, start=1):
        assert f"{number}. {remedy}" in words
    assert "vanishing" in out


def test_json_is_a_list_with_one_entry_for_each_configuration_and_length(memspan_, here):
    code, out, err = memspan_("explain two --json")
    assert (code, err) == (0, "")
    numbers = json.loads(out)
    assert numbers == [one.numbers() | {"tried": []} for one in explain(result_of(here, "two"), progress=False)]
    assert [one["configuration"]["recurrent_gain"] for one in numbers] == [0.3, 2]
    assert [one["verdict"] for one in numbers] == ["budget", "solved"]


@pytest.mark.slow
def test_remedies_are_tried_and_their_trainings_stored(memspan_, here):
    command = "explain two --configuration 1 --try --rounds 1 --workers 0"
    code, out, _ = memspan_(command)
    assert code == 0
    (attempt,) = try_remedies(result_of(here, "two").parts[0], rounds=1, progress=False)
    assert " ".join(str(attempt).split()) in " ".join(out.split())
    with Store(here / "memspan.sqlite") as opened:
        assert len(opened.names()) == 4
    _, out, _ = memspan_(f"{command} --json")
    (one,) = json.loads(out)
    assert one["tried"] == [attempt.numbers()]


def test_several_studies_and_searches_and_chosen_lengths(memspan_, here):
    _, out, _ = memspan_("explain one --lengths 6 --networks 1 --json")
    (found,) = json.loads(out)
    assert (found["length"], found["evidence"]["verdicts"]) == (6, {"vanishing": 1})
    _, out, _ = memspan_("explain two search --json")
    lengths = [row.length for row in result_of(here, "search").summaries()]
    assert [one["length"] for one in json.loads(out)] == [5, 5, *lengths]


@pytest.mark.slow
def test_a_page_of_figures_is_drawn(memspan_, here):
    code, out, _ = memspan_("explain one --output why")
    assert code == 0
    pictures = list((here / "why").glob("*.png"))
    assert len(pictures) == 1
    assert list((here / "why").glob("*.gif"))
    assert str(pictures[0].relative_to(here)) in out


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("explain", "Which study? Choose one of"),
        ("explain nothing", "nothing"),
        ("explain one --configuration 2", "--configuration must be at most 1, got 2"),
        ("explain one --lengths 6,7", "--lengths must be lengths of the study with a finished trial, got 7"),
        ("explain one --networks 0", "--networks"),
        ("explain one --try --rounds 0", "--rounds"),
        ("explain one --try --workers -1", "--workers"),
        ("explain one --try --budget few", "--budget"),
        ("explain one --lengths 6,x", "--lengths must be whole numbers"),
    ],
)
def test_what_is_refused(memspan_, here, command, message):
    code, out, err = memspan_(command)
    assert code == 2
    assert out == ""
    assert message in err


def test_without_a_store(memspan_, tmp_path):
    code, _, err = memspan_("explain")
    assert code == 2
    assert "memspan.sqlite" in err
