"""Time the engines beside PyTorch, JAX and the roofline, for all cells and sizes, on one core and on all.

    python benchmarks/engine.py

The script takes about a quarter of an hour. It runs `memspan bench` with more rounds, prints its tables, and
writes them to benchmarks/results/ together with every round and the bar chart. It skips PyTorch and JAX if they
are not installed.
"""

from pathlib import Path

from rich.console import Console

from memspan.bench import SIZES, Case, core_numbers, measure, save, work
from memspan.runtime.progress import progress

RESULTS = Path(__file__).parent / "results"
CELLS = ("rnn", "gru", "lstm")
ROUNDS = 7


def main() -> None:
    cases, cores = [Case(cell, *size) for cell in CELLS for size in SIZES], core_numbers()
    with progress(work(cases, cores, ROUNDS), "timing", "rounds") as tell:
        found = measure(cases, cores=cores, rounds=ROUNDS, tell=tell)
    save(found, RESULTS)
    console = Console(width=180)
    for number in found.cores:
        console.print(found.table(number))
    for line in (*found.remarks, *found.wrong):
        print(line)


if __name__ == "__main__":
    main()
