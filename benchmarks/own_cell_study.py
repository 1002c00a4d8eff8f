"""Time a whole study of a PyTorch cell: one model after the other, against the engine that memspan chooses.

    python benchmarks/own_cell_study.py [--rounds 3]

The cell is an LSTM of 32 units in PyTorch's own operations, on recall at T = 10, 20 and 40: ten repetitions of
each with 200 updates of batches of 64 in float32, on all cores. The threshold of 1 keeps every trial training to
the end, so both runs make the same number of updates. A round runs the study in a new store with the loop
recorded, and in a new store with nothing recorded, where memspan times the engines first; this time counts. The
times are medians over the rounds. The script writes results/own_cell_study.json and .md.
"""

import argparse
import json
import platform
import statistics
import tempfile
import time
from pathlib import Path

import torch

from memspan import Store, Study, StudyResult, run_study
from memspan.execution.teams import available_cores
from memspan.study.engines import workload_of
from memspan.study.identity import canonical
from memspan.torch import Steps

RESULTS = Path(__file__).parent / "results"
STUDY = Study(
    cell="own_cell_study:own", lengths=(10, 20, 40), repetitions=10, updates=200, threshold=1, name="own-cell"
)


class OwnLSTM(torch.nn.Module):
    """An LSTM cell as a user would write it."""

    def __init__(self, features: int, hidden: int) -> None:
        super().__init__()
        self.W = torch.nn.Linear(features, 4 * hidden)
        self.R = torch.nn.Linear(hidden, 4 * hidden, bias=False)

    def forward(self, x: torch.Tensor, state: tuple[torch.Tensor, torch.Tensor]) -> tuple[torch.Tensor, ...]:
        """Take one step: x `[B, F]` and (h, c) give the next (h, c)."""
        h, c = state
        i, f, g, o = (self.W(x) + self.R(h)).chunk(4, dim=-1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(c), c


def own(features: int, outputs: int, hidden: int = 32) -> Steps:
    """The factory of the models."""
    return Steps(OwnLSTM(features, hidden), hidden, outputs, state=(hidden, hidden))


def run(engines: dict[str, str]) -> tuple[StudyResult, float]:
    """Run the study in a new store with these engines recorded; return it and the seconds that it took."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "store.sqlite")
        with Store(path, create=True) as store:
            store.enter(STUDY, engines=engines)
        began = time.perf_counter()
        result = run_study(STUDY, path, workers=available_cores(), progress=False)
        return result, time.perf_counter() - began


def row(*cells: str) -> str:
    """A row of the table."""
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    loop = {canonical(workload_of(STUDY.configuration)): "loop"}
    turns = []
    for _ in range(rounds):
        turn = {}
        for name, engines in (("loop", loop), ("chosen", {})):
            result, seconds = run(engines)
            cpu = sum(trial.cpu_seconds for trial in result.trials)
            turn[name] = {"engine": result.trials[0].engine, "seconds": seconds, "cpu_seconds": cpu}
            print(name, turn[name], flush=True)
        turns.append(turn)
    found = {
        f"{name}_{what}": statistics.median(turn[name][what] for turn in turns)
        for name in ("loop", "chosen")
        for what in ("seconds", "cpu_seconds")
    }
    ratio = found["loop_seconds"] / found["chosen_seconds"]
    cpu_ratio = found["loop_cpu_seconds"] / found["chosen_cpu_seconds"]
    engines = ", ".join(sorted({turn["chosen"]["engine"] for turn in turns}))
    about = (
        f"{platform.machine()}, {available_cores()} cores, Python {platform.python_version()}, PyTorch "
        f"{torch.__version__.partition('+')[0]}; medians of {rounds} rounds; an LSTM of 32 units in PyTorch's "
        "operations, recall at T = 10, 20 and 40, 10 repetitions of 200 updates, batch 64, float32."
    )
    lines = [
        *("# A whole study of a PyTorch cell", "", about, ""),
        "| | engine | wall-clock time | processor time of the trials |",
        "|---|---|---:|---:|",
        row(
            "one model after the other",
            "loop",
            f"{found['loop_seconds']:.1f} s",
            f"{found['loop_cpu_seconds']:.1f} s",
        ),
        row(
            "memspan's choice", engines, f"{found['chosen_seconds']:.1f} s", f"{found['chosen_cpu_seconds']:.1f} s"
        ),
        row("ratio", "", f"**{ratio:.2f}**", f"**{cpu_ratio:.2f}**"),
        "",
        "The wall-clock time includes the start of the processes and, in the second row, the choice itself. Other",
        "programs ran on the machine, so the processor time is the more exact.",
    ]
    print("\n".join(lines))
    result = {"about": about, "engines": engines, **found, "ratio": ratio, "cpu_ratio": cpu_ratio, "turns": turns}
    (RESULTS / "own_cell_study.json").write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    (RESULTS / "own_cell_study.md").write_text("\n".join(lines) + "\n", "utf-8")


if __name__ == "__main__":
    main()
