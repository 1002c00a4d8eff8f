import io
import sys
from ctypes import c_uint64

import pytest

from memspan.runtime import notices
from memspan.runtime.notices import say


class Full(io.StringIO):
    """A stream on a full disk."""

    def write(self, text):
        raise OSError(28, "No space left on device")


def closed():
    stream = io.StringIO()
    stream.close()
    return stream


def test_a_line_is_said_on_standard_error(capsys):
    say("a line")
    assert capsys.readouterr() == ("", "a line\n")


@pytest.mark.parametrize("stream", [None, Full(), closed()], ids=["none", "full", "closed"])
def test_that_nobody_can_read_it_is_no_error(monkeypatch, capsys, stream):
    monkeypatch.setattr(sys, "stderr", stream)
    say("a line")
    assert capsys.readouterr().out == ""


def test_processes_that_share_their_marks_say_a_line_once(capsys, monkeypatch):
    monkeypatch.setattr(notices, "_here", notices._Here())
    marks = (c_uint64 * notices.MARKS)()
    for _ in range(2):  # as in two workers
        notices.share_marks(marks)
        notices.say_once("first")
        notices.say_once("second")
    assert capsys.readouterr().err == "first\nsecond\n"
