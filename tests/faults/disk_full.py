"""Fill the disk of the store while a study runs.

    python tests/faults/disk_full.py

memspan must print a clear message and keep the stored results, and the study can be finished later. The disk is
simulated by a limit on the size of files, and for root also by a small file system in memory.
"""

import os
import resource
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from common import compare, coordinator, rows_in, small_study, stored, undisturbed


def file_size_limit(folder: Path, trials: int = 120) -> tuple[str, bool]:
    """Limit the size of files to 100 kB."""
    most = 100_000
    return _fill(folder, trials, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most, most)), lambda: None)


def small_file_system(folder: Path, trials: int = 120) -> tuple[str, bool] | None:
    """Put the store on a file system of 200 kB, which is enlarged later; None if it cannot be mounted."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(folder)]
    if os.geteuid() or subprocess.run(mount, capture_output=True).returncode:
        return None
    try:
        larger = ["mount", "-o", "remount,size=30m", str(folder)]
        return _fill(folder, trials, None, lambda: subprocess.run(larger, check=True))
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def _fill(
    folder: Path, trials: int, limit: Callable[[], None] | None, free: Callable[[], object]
) -> tuple[str, bool]:
    study = small_study(trials)
    expected = undisturbed(study)
    running = coordinator(study, folder, before=limit)
    _, err = running.communicate(timeout=600)
    messages = [line for line in err.splitlines() if line.startswith("memspan: ")]
    before = rows_in(folder / "store.sqlite")
    kept = stored(folder / "store.sqlite", study)
    sound = all(expected[key] == text for key, text in kept.items())
    free()
    resumed = coordinator(study, folder)
    resumed.communicate(timeout=600)
    found = stored(folder / "store.sqlite", study)
    right = running.returncode == 4 and 0 < before < trials and sound and found == expected
    clean = "Traceback" not in err
    return f"ended with {running.returncode}, {before} trials kept: {messages}; then {compare(found, expected)}", (
        right and clean and resumed.returncode == 0
    )


if __name__ == "__main__":
    codes = []
    for fault in (file_size_limit, small_file_system):
        with tempfile.TemporaryDirectory() as name:
            outcome = fault(Path(name))
        if outcome is None:
            print(f"SKIP: {fault.__name__}: needs root and the right to mount")
            continue
        print(f"{'PASS' if outcome[1] else 'FAIL'}: {fault.__name__}: {outcome[0]}")
        codes.append(not outcome[1])
    raise SystemExit(any(codes))
