import os
import subprocess
import sys
from ctypes import c_uint64

import pytest

from memspan.runtime import notices


def test_processes_that_share_their_marks_say_a_line_once(capsys, monkeypatch):
    monkeypatch.setattr(notices, "_here", notices._Here())
    marks = (c_uint64 * notices.MARKS)()
    for _ in range(2):  # as in two workers
        notices.share_marks(marks)
        notices.say_once("first")
        notices.say_once("second")
    assert capsys.readouterr().err == "first\nsecond\n"


@pytest.mark.skipif(os.name == "nt", reason="needs a POSIX shell")
@pytest.mark.parametrize("closed", ["2>&-", "2>&- 0<&-"])
def test_a_study_is_run_and_stored_without_standard_error(tmp_path, closed):
    run = "-m memspan study run --lengths 2 --repetitions 1 --hidden 4 --updates 5 --store s.sqlite --workers"
    for workers in ("0", "1"):
        command = f"{sys.executable} {run} {workers} --output drawn --name w{workers} {closed}"
        done = subprocess.run(command, shell=True, cwd=tmp_path, capture_output=True, text=True)
        assert (done.returncode, "length" in done.stdout) == (0, True)
    command = [sys.executable, "-m", "memspan", "study", "status", "--store", "s.sqlite"]
    kept = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "w0" in kept.stdout
    assert "w1" in kept.stdout
