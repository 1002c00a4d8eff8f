"""Every exit code is documented, and a command ends with it."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from processes import without_compiling

from memspan.cli.exit_codes import EXIT_CODES, ExitCode

from .test_help import help_of

PAGE = Path(__file__).parents[2] / "docs" / "command-line.md"


def test_the_help_and_the_documentation_have_every_code():
    in_help = dict(re.findall(r"• (\d+): (.*\S)", help_of("")))
    in_page = dict(re.findall(r"^\| (\d+) \| (.*) \|$", PAGE.read_text(), re.MULTILINE))
    assert in_page == {str(int(code)): meaning for code, meaning in EXIT_CODES.items()}
    assert in_help == {code: meaning.replace("`", "") for code, meaning in in_page.items()}
    assert [*EXIT_CODES] == [*ExitCode]


def test_0_success(memspan_):
    assert memspan_("cells")[0] == ExitCode.SUCCESS == 0


def test_1_the_answer_is_no(memspan_, tmp_path):
    (tmp_path / "wrong.py").write_text(
        "from dataclasses import replace\n\nfrom memspan.cells import CELLS\n\n\n"
        "def backward(*values):\n    d_s, *others = CELLS['rnn'].backward(*values)\n"
        "    return (tuple(2 * one for one in d_s), *others)\n\n\n"
        "mine = replace(CELLS['rnn'], name='mine', backward=backward)\n"
    )
    assert memspan_("check wrong:mine")[0] == ExitCode.NO == 1


def test_2_invalid_input(memspan_):
    assert memspan_("cells --hidden 0")[0] == ExitCode.INVALID == 2


def test_3_a_file_that_is_not_memspans(memspan_, tmp_path):
    (tmp_path / "memspan.sqlite").write_text("mine " * 50)
    assert memspan_("store ls")[0] == ExitCode.UNREADABLE == 3


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), MemoryError("all is taken")])
def test_4_the_machine_failed(memspan_, monkeypatch, error):
    def fail(*arguments):
        raise error

    monkeypatch.setattr("memspan.cli.gradcheck.gradient_check", fail)
    code, out, err = memspan_("gradcheck")
    assert code == ExitCode.MACHINE == 4
    assert (out, err.count("\n")) == ("", 1)


def test_130_interrupted(memspan_, monkeypatch):
    def interrupt(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("memspan.cli.gradcheck.gradient_check", interrupt)
    assert memspan_("gradcheck") == (130, "", "memspan: interrupted\n")
    assert ExitCode.INTERRUPTED == 130


SLOW = """
import time
import memspan.cli.gradcheck
memspan.cli.gradcheck.gradient_check = lambda *of: (print("now", flush=True), time.sleep(60))
from memspan.cli import main
main()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX only")
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_130_after_a_signal(name, tmp_path):
    line = [sys.executable, "-c", SLOW, "gradcheck", "--length", "3"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(line, cwd=tmp_path, **pipes) as process:
        assert process.stdout.readline() == "now\n"
        process.send_signal(getattr(signal, name))
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out, without_compiling(err)) == (130, "", "memspan: interrupted\n")


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX only")
def test_141_the_reader_closed_the_pipe(tmp_path):
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as pipe:
        done = subprocess.run(
            [sys.executable, "-m", "memspan", "cells"],
            stdout=pipe,
            stderr=subprocess.PIPE,
            cwd=tmp_path,
            check=False,
        )
    assert (done.returncode, done.stderr) == (141, b"")
