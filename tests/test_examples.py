"""The examples run, as they are."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.mark.slow
def test_latched(tmp_path):
    command = [sys.executable, str(EXAMPLES / "latched.py"), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (tmp_path / "latched.png").stat().st_size > 10_000
    accuracy, loss = map(
        float, re.search(r"repetition 4: unsolved .* accuracy (\S+), loss (\S+) on", done.stdout).groups()
    )
    assert abs(loss - 1 / 12) < 0.01  # it keeps the sign alone
    assert abs(accuracy - 0.2) < 0.03
