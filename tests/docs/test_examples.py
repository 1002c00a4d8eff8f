"""The examples run, as they are."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.slow
def test_latched(tmp_path):
    command = [sys.executable, str(EXAMPLES / "latched.py"), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (tmp_path / "latched.png").stat().st_size > 10_000
    losses = [float(loss) for loss in re.findall(r"1/\d+: repetition \d+, unsolved .* loss (\S+) on", done.stdout)]
    assert len(losses) == 3
    assert losses[0] > 0.3  # it keeps nothing
    assert 1 / 27 < losses[1] < 1 / 6  # little more or less than the sign
    assert losses[1] > losses[2]
