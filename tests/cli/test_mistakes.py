"""What is answered to a command line with a mistake in it."""

import pytest

CASES = {
    "show": "Unknown command 'show'. Did you mean `memspan study show`?",
    "run": "Unknown command 'run'. Did you mean `memspan study run`?",
    "train --cell lstm": "Unknown command 'train'. Did you mean `memspan study run`?",
    "stdy": "Unknown command 'stdy'. Did you mean `memspan study --help`?",
    "lstm": "Unknown command 'lstm'. Did you mean `memspan study run --cell lstm`?",
    "help": "Unknown command 'help'. Did you mean `memspan --help`?",
    "-v": "Unknown command '-v'. Did you mean `memspan --version`?",
    "--lr 0.1": "Unknown command '--lr'. Did you mean `memspan span --learning-rate`?",
    "gates.toml": "Unknown command 'gates.toml'. Did you mean `memspan study run gates.toml`?",
    "gradient": "Unknown command 'gradient'. Did you mean `memspan gradcheck`?",
    "study --task recall": "Unknown command '--task'. Did you mean `memspan study run --task`?",
    "study recall": "Unknown command 'recall'. Did you mean `memspan study run --task recall`?",
    "study shw": "Unknown command 'shw'. Did you mean `memspan study show`?",
    "study help": "Unknown command 'help'. Did you mean `memspan study --help`?",
    "store list": "Unknown command 'list'. Did you mean `memspan store ls`?",
    "study run --lr 0.1": "Unknown option --lr. Did you mean --learning-rate?",
    "study run --lr=0.1": "Unknown option --lr. Did you mean --learning-rate?",
    "study run --epochs 3": "Unknown option --epochs. Did you mean --updates?",
    "study run --steps 3": "Unknown option --steps. Did you mean --updates?",
    "study run --Hidden 3": "Unknown option --Hidden. Did you mean --hidden?",
    "study run --tolerence 0.1": "Unknown option --tolerence. Did you mean --task-parameters.tolerance?",
    "study run --banana 3": "Unknown option --banana. See `memspan study run --help`.",
    "study run -x 3": "Unknown option -x. See `memspan study run --help`.",
    "gradcheck --seq-len 3": "Unknown option --seq-len. Did you mean --length?",
    "gradcheck lstm": "Unexpected 'lstm'. Did you mean --cell lstm?",
    "store ls x": "`memspan store ls` takes no argument 'x'. See `memspan store ls --help`.",
    "store export x": "`memspan store export` needs --output. See `memspan store export --help`.",
    "store doctor x.sqlite": "Unexpected 'x.sqlite'. Did you mean --store x.sqlite?",
    "study run --activation relu": "Unknown option --activation. Did you mean --cell?",
    "gradcheck --cell": "--cell needs a value",
    "gradcheck --gain x": "--gain must be a number, got 'x'",
    "gradcheck --format x": "Unknown option --format. See `memspan gradcheck --help`.",
    "study run --workers two": "--workers must be a whole number, got 'two'",
    "bench --size 5 5": "--size needs 3 values, got 2",
    "bench --size 5 5 x": "--size must be a whole number, got 'x'",
    "reproduce adding": "NAME must be one of assignment, adding-1997, order-1997, copying-baseline, ",
    "cells lstmm": "cell must be one of rnn, rnn-relu, rnn-linear, leaky, lstm, ",
}


@pytest.mark.parametrize("line", CASES)
def test_a_mistake_is_answered_with_what_was_meant_in_one_line(memspan_, tmp_path, line):
    code, out, err = memspan_(line)
    assert (code, out) == (2, "")
    assert err.startswith(f"memspan: {CASES[line]}")
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("gradcheck --cell lstmm", "lstm"),
        ("gradcheck --task addding", "adding/any"),
        ("study run --cell elman", "rnn"),
        ("study run --optimizer adamw", "adam"),
        ("reproduce adding", "adding-1997"),
        ("bench --engine numba", "compiled"),
        ("tasks addding", "adding/any"),
        ("cells lstmm", "lstm"),
        ("study run --task-parameters.tolerence 0.1", "tolerance"),
    ],
)
def test_a_wrong_value_is_answered_with_the_one_that_was_meant(memspan_, line, meant):
    code, _, err = memspan_(line)
    assert code == 2
    assert err.endswith(f"; did you mean {meant!r}?\n")


@pytest.mark.parametrize(
    ("line", "begin"),
    [
        ("study run --keep-weights -1", "--keep-weights must be "),
        ("study run --keep-weights=-1", "--keep-weights must be "),
        ("study run --hidden 8,0", "--hidden must be "),
        ("study run --task-parameters.tolerance 2", "--task-parameters.tolerance must be "),
        ("gradcheck --recurrent-gain 0", "--recurrent-gain must be "),
        ("flow --length 0", "--length must be "),
        ("compare --cell rnn,rnn", "--cell must be different from each other, got 'rnn,rnn'"),
        (
            "compare --cell rnn gru --tune clip",
            "--tune must be a field with its values, such as learning_rate=0.001,",
        ),
        (
            "span --budget abc",
            "--budget must be a whole number of trainings, such as 160, or of time steps, such as ",
        ),
        ("span --first-length 50 --longest 20", "--first-length must be at most 20, the longest length, got 50"),
    ],
)
def test_an_error_names_the_option_that_was_typed(memspan_, line, begin):
    code, _, err = memspan_(line)
    assert code == 2
    assert err.startswith(f"memspan: {begin}")


def test_an_error_in_a_file_names_the_key_of_the_file(memspan_, tmp_path):
    (tmp_path / "study.toml").write_text("keep_weights = -1\n")
    assert memspan_("study run study.toml --hidden 3")[2].startswith("memspan: keep_weights must be ")


@pytest.mark.parametrize("size", ["--length 1000000000000", "--hidden 100000000"])
def test_more_than_fits_into_any_memory_is_one_line(memspan_, tmp_path, size):
    code, out, err = memspan_(f"flow --cell rnn {size}")
    assert code in (2, 4)
    assert out == ""
    assert err.startswith("memspan: ")
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
