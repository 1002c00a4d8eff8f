"""With --json, standard output is one JSON document, and standard error has the rest."""

import json
import shutil

import pytest

from memspan import Search, Store, Study, load_study, run_search, run_study

from .test_help import LEAVES

TINY = {"hidden": 2, "updates": 1, "evaluation_samples": 10, "final_batches": 1, "batch": 2}
FEW = "--hidden 2 --updates 1 --evaluation-samples 10 --final-batches 1 --batch 2 --workers 0"
WITHOUT = {"report", "study schema", "store export", "store rm", "new cell", "new task", "completion"}
"""The first prints JSON always. The others change files."""

LINES = {
    "span": f"span {FEW} --budget 8 --longest 4 --repetitions 2 --groups 2 --json",
    "compare": f"compare {FEW} --cell rnn,gru --budget 8 --longest 4 --repetitions 2 --groups 2 --json",
    "predict": "predict --hidden 2 --updates 2 --longest 3 --width 5 --json",
    "explain": "explain one --networks 1 --json",
    "study run": f"study run {FEW} --lengths 3 --repetitions 2 --cell rnn,gru --json",
    "study extend": "study extend one --repetitions 3 --workers 0 --json",
    "study resume": "study resume one --workers 0 --json",
    "study status": "study status one --json",
    "study show": "study show one --json",
    "store ls": "store ls --json",
    "store show": "store show one --json",
    "store doctor": "store doctor --json",
    "tasks": "tasks recall --json",
    "cells": "cells lstm --json",
    "flow": "flow --length 3 --hidden 2 --json",
    "gradcheck": "gradcheck --length 3 --hidden 2 --json",
    "check": "check rnn --json",
    "reproduce": "reproduce --json",
    "doctor": "doctor --quick --json",
    "bench": "bench --cell rnn --size 2 2 2 --engine readable --quick --json",
}
MORE = [
    "study run --lengths 3 --hidden 2 --updates 1 --workers 0 --dry-run --json",
    "study status --json",
    "study status searched --json",
    "study show searched --json",
    "store show searched --json",
    "tasks --json",
    "tasks adding --json",
    "tasks recall --plot --json",
    "tasks adding/hs97 --length 30 --json",
    "cells --json",
    "gradcheck --length 3 --hidden 2 --output sweep --json",
    "study show one --output figures --json",
]


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    place = tmp_path_factory.mktemp("stored") / "memspan.sqlite"
    run_study(Study(**TINY, lengths=(3, 5), repetitions=2, name="one"), place, progress=False)
    few = {"budget": "8", "longest": 4, "repetitions": 2, "groups": 2}
    run_search(Search(**TINY, **few, name="searched"), place, progress=False)
    return place


@pytest.fixture
def printed(memspan_, stored, tmp_path):
    """Run a command line beside a store, and return exit code, document and standard error."""
    shutil.copy(stored, tmp_path)

    def run(line):
        code, out, err = memspan_(line)
        return code, json.loads(out, parse_constant=pytest.fail), err

    return run


def test_every_command_that_another_program_may_read_has_it():
    have = {
        path
        for path, leaf in LEAVES.items()
        if any("--json" in argument.names for argument in leaf.assemble_argument_collection())
    }
    assert have == {*LINES} == {*LEAVES} - WITHOUT


@pytest.mark.parametrize("line", [*LINES.values(), *MORE])
def test_standard_output_is_one_document(printed, line):
    code, document, err = printed(line)
    assert code == 0
    assert document
    assert isinstance(document, dict | list)
    assert "{" not in err


def test_a_study_is_printed_with_its_spans_and_lengths(printed, stored):
    _, found, _ = printed("study show one --json")
    result = load_study(stored, "one")
    assert found["name"] == "one"
    assert found["sentence"] == result.sentence
    assert (found["trials"], found["done"], found["complete"], found["failures"]) == (4, 4, True, [])
    assert [row["length"] for row in found["lengths"]] == [3, 5]
    assert [row["trials"] for row in found["lengths"]] == [2, 2]
    assert [row["configuration"] for row in found["spans"]] == [1]
    assert found["spans"][0]["high"] == result.estimate.high
    assert Study(**found["study"]).with_(name="one") == result.study


def test_several_configurations_have_a_span_each(printed):
    _, found, _ = printed(LINES["study run"])
    assert [(one["configuration"], one["cell"]) for one in found["spans"]] == [(1, "rnn"), (2, "gru")]
    assert [(one["configuration"], one["cell"]) for one in found["lengths"]] == [(1, "rnn"), (2, "gru")]


def test_a_search_is_printed_with_why_it_ended(printed, stored):
    _, shown, _ = printed("study show searched --json")
    _, status, _ = printed("study status searched --json")
    result = load_study(stored, "searched")
    assert shown["ended"] == status["ended"] == result.ended
    assert shown["trainings"] == shown["done"] == shown["trials"] == status["done"]
    assert Search(**shown["search"]) == result.search


def test_the_status_of_an_unfinished_study_has_the_command_that_continues_it(printed, tmp_path):
    with Store(tmp_path / "memspan.sqlite") as store:
        store.enter(Study(**TINY, lengths=(3,), repetitions=2, name="begun"))
    _, found, _ = printed("study status begun --json")
    assert (found["done"], found["trials"], found["complete"]) == (0, 2, False)
    assert found["command"] == "memspan study resume begun"
    _, found, _ = printed("study status one --json")
    assert (found["command"], found["complete"]) == (None, True)


def test_a_broken_contract_is_in_the_document_and_in_the_exit_code(printed, tmp_path):
    (tmp_path / "wrong_json.py").write_text(
        "from dataclasses import replace\n\nfrom memspan.cells import CELLS\n\n"
        "mine = replace(CELLS['rnn'], name='mine', forward=CELLS['rnn-relu'].forward)\n"
    )
    code, found, _ = printed("check wrong_json:mine --json")
    assert code == 1
    assert {*found["broken"][0]} == {"contract", "rule", "found", "cause"}


def test_a_damaged_store_is_in_the_document_and_in_the_exit_code(printed, tmp_path):
    place = tmp_path / "memspan.sqlite"
    place.write_bytes(place.read_bytes()[:-4096])
    code, found, err = printed("store doctor --json")
    assert (code, found["sound"]) == (3, False)
    assert found["complaints"]
    assert err.startswith("memspan: memspan.sqlite is damaged:")


def test_a_task_alone_has_a_sequence(printed):
    _, found, _ = printed("tasks recall --length 5 --json")
    assert (len(found["x"]), found["steps"]) == (5, 5)
    assert found["relevant"][0] is True
    _, found, _ = printed("tasks --length 3 --json")
    short = next(one for one in found["tasks"] if one["name"] == "adding/hs97")
    assert (short["least_length"], short["trivial_risk"]) == (20, None)


@pytest.mark.parametrize("command", ["span", "compare --cell rnn,gru", "study run"])
def test_one_document_and_lines_of_events_exclude_each_other(memspan_, tmp_path, command):
    code, out, err = memspan_(f"{command} --json --progress json --workers 0")
    assert (code, out) == (2, "")
    assert err == "memspan: --json prints one document, --progress json a line for each event. Choose one.\n"
    assert list(tmp_path.iterdir()) == []
