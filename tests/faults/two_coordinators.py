"""Run two coordinators on the same study and store: no errors, no duplicates, and the results of one run.

python tests/faults/two_coordinators.py
"""

import tempfile
from pathlib import Path

from common import compare, coordinator, small_study, stored, undisturbed


def two_coordinators(folder: Path, trials: int = 40) -> tuple[str, bool]:
    """Return a line about the results, and whether they are right."""
    study = small_study(trials)
    expected = undisturbed(study)
    both = [coordinator(study, folder) for _ in range(2)]
    ends = [(running.communicate(timeout=600)[1].strip(), running.returncode) for running in both]
    found = stored(folder / "store.sqlite", study)
    right = found == expected and [code for _, code in ends] == [0, 0]
    return f"ended with {ends}; {compare(found, expected)}", right


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        found, right = two_coordinators(Path(name))
    print(f"{'PASS' if right else 'FAIL'}: {found}")
    raise SystemExit(not right)
