"""Interrupt a study with Ctrl-C or SIGTERM, once, twice and three times.

    python tests/faults/interrupts.py

memspan must exit with code 130, print the command that resumes the study, keep all finished trials and leave no
process running.
"""

import signal
import tempfile
import time
from functools import partial
from pathlib import Path

import psutil
from common import coordinator, rows_in, small_study, stored, undisturbed, workers_of
from servers import wait_until


def interrupt(folder: Path, number: int, times: int, workers: int) -> tuple[str, bool]:
    """Return a line about the interrupted study, and whether memspan behaved correctly."""
    study = small_study(400)
    store = folder / "store.sqlite"
    default = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # background jobs of a shell ignore SIGINT
    running = coordinator(study, folder, "store.sqlite", "--workers", str(workers), before=default)
    wait_until(lambda: rows_in(store) > 0)
    children = workers_of(running.pid)
    began = time.monotonic()
    for _ in range(times):
        psutil.Process(running.pid).send_signal(number)
        time.sleep(0.05)
    _, err = running.communicate(timeout=120)
    took = time.monotonic() - began
    _, alive = psutil.wait_procs(children, timeout=30)
    kept = rows_in(store)
    right = (
        running.returncode == 130
        and not alive
        and "memspan study resume faults --store store.sqlite" in err
        and "Traceback" not in err
        and 0 < kept < 400
    )
    line = f"ended with {running.returncode} after {took:.2f} s, {kept} trials kept, {len(alive)} workers left; "
    return line + repr(err), right


if __name__ == "__main__":
    wrong = 0
    for number in (signal.SIGINT, signal.SIGTERM):
        for times in (1, 2, 3):
            for workers in (0, 2):
                with tempfile.TemporaryDirectory() as name:
                    found, right = interrupt(Path(name), number, times, workers)
                print(f"{'PASS' if right else 'FAIL'}: {number.name} x {times}, {workers} workers: {found}")
                wrong += not right
    study = small_study(40)
    with tempfile.TemporaryDirectory() as name:
        running = coordinator(study, Path(name))
        wait_until(lambda: rows_in(Path(name) / "store.sqlite") > 0)
        running.send_signal(signal.SIGINT)
        running.communicate()
        coordinator(study, Path(name)).communicate()
        right = stored(Path(name) / "store.sqlite", study) == undisturbed(study)
    print(f"{'PASS' if right else 'FAIL'}: a resumed study equals an undisturbed one")
    raise SystemExit(wrong or not right)
