"""Compare the estimated memory of training with the peak memory of a process, for fourteen configurations.

    python tests/faults/memory_estimate.py

Each configuration runs in a new process, whose peak resident size is read from /proc. Linux only.
"""

import subprocess
import sys

CONFIGURATIONS = {
    "small rnn": ({"cell": "rnn"}, 40, 10),
    "wide rnn": ({"cell": "rnn", "hidden": 512}, 100, 4),
    "long rnn": ({"cell": "rnn", "hidden": 64}, 2000, 4),
    "lstm": ({"cell": "lstm", "hidden": 128}, 200, 8),
    "wide lstm": ({"cell": "lstm", "hidden": 256}, 400, 2),
    "long lstm": ({"cell": "lstm", "hidden": 32, "batch": 128}, 2000, 2),
    "gru, float64": ({"cell": "gru", "hidden": 128, "dtype": "float64"}, 300, 4),
    "small gru, float64": ({"cell": "gru", "hidden": 64, "dtype": "float64"}, 300, 4),
    "large batch": ({"cell": "lstm", "hidden": 64, "batch": 1024}, 200, 2),
    "many networks": ({"cell": "rnn", "hidden": 256}, 20, 100),
    "many short networks": ({"cell": "rnn", "hidden": 256}, 4, 100),
    "large evaluation": ({"cell": "rnn", "evaluation_samples": 20000}, 100, 5),
    "copying": ({"cell": "lstm", "task": "copying/urnn", "hidden": 64}, 500, 4),
    "adding": ({"cell": "gru", "task": "adding/hs97", "hidden": 64, "batch": 256}, 500, 8),
}
MEASURE = """\
import re, psutil
from pathlib import Path
from memspan import Configuration
from memspan.execution.memory import bytes_of
from memspan.study.group import run_group
fields, length, members = {fields!r}, {length}, {members}
small = Configuration(**fields | {{"hidden": 2, "batch": 1, "evaluation_samples": 1}}, updates=1)
warm = 21 if "task" in fields else 2
run_group(small, warm, [0])
base = psutil.Process().memory_info().rss
configuration = Configuration(**fields, updates=2, evaluate_every=1, final_batches=2, threshold=1.0)
estimate = base + bytes_of(configuration, {length}, {members})
found = run_group(configuration, {length}, range({members}))
assert all(trial.outcome == "unsolved" for trial in found), found[0]
# Not getrusage: its maximum includes the memory of the parent before this program was executed.
(peak,) = re.findall(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())
print(base, estimate, 1024 * int(peak))
"""


def measured(fields: dict, length: int, members: int) -> tuple[int, int, int]:
    """The bytes of a process before training, the estimated peak, and the peak."""
    code = MEASURE.format(fields=fields, length=length, members=members)
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    base, estimate, peak = map(int, found.stdout.split())
    return base, estimate, peak


if __name__ == "__main__":
    wrong = 0
    print("configuration       base   estimate       peak   estimate / peak   arrays alone")
    for name, (fields, length, members) in CONFIGURATIONS.items():
        base, estimate, peak = measured(fields, length, members)
        ratio, alone = estimate / peak, (estimate - base) / (peak - base)
        wrong += not 0.8 <= ratio <= 1.2
        sizes = "   ".join(f"{size / 2**20:4.0f} MiB" for size in (base, estimate, peak))
        print(f"{name:16}  {sizes}   {ratio:15.2f}   {alone:12.2f}", flush=True)
    print(f"{'FAIL' if wrong else 'PASS'}: {wrong} of {len(CONFIGURATIONS)} are off by more than 20 %")
    raise SystemExit(wrong > 0)
