"""Tables in narrow terminals and in pipes."""

import os
import re
import shutil
import subprocess
import sys

import pytest

from memspan import Study, run_study

from .test_help import GROUPS, LEAVES

TABLES = [
    "cells",
    "cells lstm",
    "tasks",
    "tasks recall",
    "tasks adding/hs97",
    "gradcheck --length 3 --hidden 2",
    "flow --length 4 --hidden 2",
    "check rnn",
    "reproduce",
    "doctor --quick",
    "predict --hidden 2 --updates 2 --longest 3 --width 5",
    "store ls",
    "store show mine",
    "study show mine",
    "study status",
    "study status mine",
    "explain mine --networks 1",
]
BOX = re.compile("[─━│┃┏┓┗┛┡┩╇┳┻┼├┤┌┐└┘┬┴╭╮╰╯╞╡╪═╈╉╊╋]")

EMPTY = {"needed", "1/κ"}
"""Headings of columns without a number, which a narrow terminal does not show."""


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """A study with a long name and many varying fields."""
    place = tmp_path_factory.mktemp("stored") / "memspan.sqlite"
    few = {"updates": 1, "evaluation_samples": 10, "final_batches": 1, "repetitions": 2, "batch": 2}
    study = Study(**few, lengths=(2, 3), test_lengths=(5, 6), cell=("rnn", "gru"), hidden=(2, 3), name="mine")
    run_study(study, place, progress=False)
    return place


def words(text):
    return BOX.sub(" ", text).split()


def run_at(width, line, memspan_, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(width))
    return memspan_(line)


@pytest.mark.parametrize("line", TABLES)
def test_a_table_is_readable_at_40_columns(memspan_, monkeypatch, tmp_path, stored, line):
    shutil.copy(stored, tmp_path)
    wide, narrow = (run_at(width, line, memspan_, monkeypatch) for width in (118, 40))
    assert wide[0] == narrow[0] == 0
    printed = [one for one in narrow[1].splitlines() if BOX.search(one) or ":" in one]
    assert "…" not in narrow[1]
    if not line.startswith("cells lstm"):  # whose equations are no table
        assert max(map(len, printed)) <= 40
    short = {word for word in words(wide[1]) if len(word) <= 14}
    assert short - EMPTY <= {word.removesuffix(":") for word in words(narrow[1])} | {*words(narrow[1])}


@pytest.mark.parametrize("line", [*TABLES, "", *GROUPS, "cells --help", "study run --help", "banana"])
def test_no_colours_reach_a_pipe(memspan_, tmp_path, stored, line):
    shutil.copy(stored, tmp_path)
    _, out, err = memspan_(line)
    assert "\x1b" not in out + err


@pytest.mark.parametrize("path", LEAVES)
def test_a_help_is_not_wider_than_the_terminal(memspan_, monkeypatch, path):
    monkeypatch.setenv("COLUMNS", "40")
    code, out, _ = memspan_(f"{path} --help")
    assert code == 0
    assert max(len(line) for line in out.splitlines()) <= 40
    assert "…" not in out


def on_a_terminal(line, folder, **settings):
    """Return what a command prints on a terminal of 40 columns."""
    import fcntl
    import pty
    import struct
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 40, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "NO_COLOR")}
    command = [sys.executable, "-m", "memspan", *line.split()]
    with subprocess.Popen(
        command, stdout=theirs, stderr=theirs, stdin=theirs, cwd=folder, env=environment | settings
    ) as process:
        os.close(theirs)
        printed = b""
        while True:
            try:
                part = os.read(ours, 4096)
            except OSError:  # the other end is closed
                break
            if not part:
                break
            printed += part
        os.close(ours)
    assert process.returncode == 0
    return printed.decode()


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX only")
def test_no_color_is_obeyed_on_a_terminal_and_its_width_too(tmp_path, stored):
    shutil.copy(stored, tmp_path)
    coloured = re.compile(r"\x1b\[[0-9;]*(3[0-9]|4[0-9]|9[0-7])[0-9;]*m")
    line = "study show mine --configuration 1"
    assert coloured.search(on_a_terminal(line, tmp_path, TERM="xterm-256color"))
    printed = on_a_terminal(line, tmp_path, TERM="xterm-256color", NO_COLOR="1")
    assert not coloured.search(printed)
    plain = re.sub(r"\x1b\[[0-9;]*m", "", printed)
    assert max(len(one.rstrip("\r")) for one in plain.split("\n")) <= 40
    assert "95 % interval: 0.00-0.66" in plain
