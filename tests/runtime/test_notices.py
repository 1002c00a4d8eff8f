import io
import sys

import pytest

from memspan.runtime.notices import say


class Full(io.StringIO):
    """What is written to is full."""

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
