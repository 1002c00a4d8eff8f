"""Crash and restart PostgreSQL in the middle of a study, which must wait and go on.

python tests/faults/postgres_restarted.py
"""

import tempfile
import time
from pathlib import Path

from common import compare, coordinator, small_study, stored, undisturbed
from servers import postgres_server, wait_until

from memspan import Store


def postgres_restarted(folder: Path, trials: int = 80) -> tuple[str, bool]:
    """Return a line about the results, and whether they are right."""
    study = small_study(trials)
    expected = undisturbed(study)
    with postgres_server(folder) as server:
        with Store(server.url, create=True):
            pass
        running = coordinator(study, folder, server.url)
        times = []
        for more in (1, trials // 3):
            wait_until(lambda more=more: _rows(server.url) >= more)
            server.stop("immediate")
            time.sleep(2)
            server.start()
            times.append(_rows(server.url))
        _, err = running.communicate(timeout=600)
        found = stored(server.url, study)
    right = running.returncode == 0 and found == expected and times[0] < trials
    return (
        f"restarted at {times} trials; ended with {running.returncode}; {compare(found, expected)}; {err}",
        right,
    )


def _rows(url: str) -> int:
    with Store(url) as store:
        return sum(overview.done for overview in store.overviews())


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        found, right = postgres_restarted(Path(name))
    print(f"{'PASS' if right else 'FAIL'}: {found}")
    raise SystemExit(not right)
