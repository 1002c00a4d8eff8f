"""`memspan predict`."""

import csv
import json
import re
import shlex

import pytest

from memspan import Configuration, predict
from memspan.cli.app import new_app

SMALL = "--hidden 8 --updates 60 --longest 6"
MOMENTUM = {"optimizer": "momentum", "learning_rate": 0.03}


def examples():
    """The commands in the help."""
    text = new_app()["predict"].help or ""
    return [line.split("memspan ")[1] for line in text.splitlines() if line.strip().startswith("memspan predict")]


def expected(**fields):
    configuration = Configuration(**({"hidden": 8, "updates": 60} | MOMENTUM | fields))
    return predict(configuration, longest=6, progress=False)


def test_the_prediction_is_printed_and_nothing_is_written(memspan_, tmp_path):
    code, out, err = memspan_(f"predict {SMALL}")
    assert (code, err) == (0, "")
    found = expected()
    assert str(found) in " ".join(out.split())
    assert "rnn, 8 hidden" in out
    for length in found.needed:
        assert re.search(rf"│ {length} +│", out)
    assert list(tmp_path.iterdir()) == []


def test_json_is_a_list_with_one_entry_for_each_configuration(memspan_):
    code, out, err = memspan_(f"predict {SMALL} --gain 0.5,1 --json")
    assert (code, err) == (0, "")

    def refuse(constant):
        raise AssertionError(constant)

    found = json.loads(out, parse_constant=refuse)
    assert found == json.loads(json.dumps([expected(gain=gain).numbers() for gain in (0.5, 1.0)]))
    assert [one["configuration"]["gain"] for one in found] == [0.5, 1]


def test_adam_and_gradient_descent_together(memspan_, tmp_path):
    command = "predict --optimizer adam,momentum --hidden 8 --learning-rate 0.02 --updates 60 --longest 7 -o new"
    code, out, err = memspan_(command)
    assert (code, err) == (0, "")
    text = " ".join(out.split())
    for optimizer in ("adam", "momentum"):
        one = Configuration(hidden=8, updates=60, optimizer=optimizer, learning_rate=0.02)
        assert str(predict(one, longest=7, progress=False)) in text
    assert "thrown in time" in text
    assert "leave in time" in text
    with (tmp_path / "new" / "needed.csv").open(encoding="utf-8") as file:
        found = {row["configuration"] for row in csv.DictReader(file)}
    assert found == {"optimizer adam", "optimizer momentum"}


@pytest.mark.parametrize("example", examples())
def test_the_examples_of_the_help_run(memspan_, example):
    small = {"--cell": "rnn", "--batch": "16,64", "--updates": "30,60"}
    words = shlex.split(example)
    for place, word in enumerate(words):
        if word in small:
            words[place + 1] = small[word]
    updates = [] if "--updates" in words else ["--updates", "60"]
    code, _, err = memspan_([*words, *updates, "--hidden", "8", "--longest", "6"])
    assert (code, err) == (0, "")


def test_there_are_examples():
    assert len(examples()) == 4


def test_the_figure_is_written_where_it_is_asked_for(memspan_, tmp_path):
    code, out, _ = memspan_("predict --hidden 8 --longest 6 --updates 30,60 -o new")
    assert code == 0
    assert out.splitlines()[-1].replace("\\", "/") == "new/needed.png"
    folder = tmp_path / "new"
    assert sorted(path.name for path in folder.iterdir()) == ["needed.csv", "needed.png", "needed.svg"]
    assert (folder / "needed.png").read_bytes().startswith(b"\x89PNG")
    with (folder / "needed.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    found = expected(updates=30)
    assert [int(row["length"]) for row in rows if row["given"] == "30"] == sorted(found.needed)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            "--optimizer rmsprop",
            "--optimizer must be sgd or momentum, whose step follows the size of the gradient",
        ),
        ("--optimizer momentum,rmsprop", "`memspan span` measures the span"),
        (
            "--optimizer adam --cell rnn,gru",
            "--cell must be rnn, for which the jump by noise was measured, got gru",
        ),
        ("--optimizer adam --learning-rate 0.5", "--learning-rate must be from 0.003 to 0.03"),
        ("--width 0", "--width must be"),
        ("--longest 0", "--longest must be a whole number of at least 1, got 0"),
        ("--cell rnn,nothing", "--cell must be one of rnn"),
        ("--task recal", "did you mean"),
        ("--lengths 5", "--lengths"),
        ("--seed 1,2,3,4,5,6,7,8,9", "at most 8 in one figure, got 9"),
    ],
)
def test_wrong_options_are_refused_and_nothing_is_written(memspan_, tmp_path, options, message):
    code, out, err = memspan_(f"predict {options} -o new")
    assert (code, out) == (2, "")
    assert message in " ".join(err.split())
    assert list(tmp_path.iterdir()) == []
