"""Workers of programs that cannot be imported, or that start workers when they are imported."""

import subprocess
import sys

import pytest

STUDY = """
from memspan import Study, run_study

run_study(Study(lengths=[2], repetitions=1, hidden=4, updates=5), workers=2, progress=False)
"""


def test_a_program_on_standard_input_has_no_workers():
    done = subprocess.run([sys.executable, "-"], input=STUDY, capture_output=True, text=True)
    assert done.stderr.count("Traceback") == 1
    assert "workers must be 0 for a program that is not in a file" in done.stderr.splitlines()[-1]


@pytest.mark.slow
def test_a_script_without_a_guard_ends_with_one_error(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(STUDY)
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True)
    assert done.stderr.count("Traceback") == 1  # the program's own, and none of a worker
    assert "`if __name__ == '__main__':`" in done.stderr  # below it Python's resource tracker may warn
