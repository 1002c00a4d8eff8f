"""Time the README's study, written in PyTorch as usual, against `memspan study run` and `memspan span`.

    python benchmarks/study_in_torch.py [--repetitions 10] [--width 0.15]

Network, initial weights, optimiser, clipping, batches, early stopping and evaluation are the same. PyTorch trains
one network after the other on its default number of threads. memspan trains on all cores with a kernel compiled
beforehand, and also records the gradient at every time step. Its time includes this and the start of its
processes, but no figures. The search finds the same T50 as the two grids, to `width`.
"""

import argparse
import json
import time
from pathlib import Path

import torch
from torch import nn

from memspan import Study, estimate_span, find_span, run_study
from memspan.execution.teams import available_cores
from memspan.training.ensemble import MARGIN

RESULTS = Path(__file__).parent / "results" / "study_in_torch.json"


class Recaller(nn.Module):
    """A recurrent network that reads a sequence and predicts after the last step."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.rnn = nn.RNN(1, hidden)
        self.read_out = nn.Linear(hidden, 1)
        for name, parameter in self.named_parameters():
            if "bias" in name:
                nn.init.zeros_(parameter)
            else:
                nn.init.uniform_(parameter, -0.2, 0.2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Predict `[B, 1]` from `[T, B, 1]`."""
        states, _ = self.rnn(x)
        return self.read_out(states[-1])


def sample(length: int, batch: int) -> tuple[torch.Tensor, torch.Tensor]:
    x = 2 * torch.rand(length, batch, 1) - 1
    return x, x[0]


@torch.no_grad()
def accuracies(model: nn.Module, study: Study, length: int, batches: int) -> torch.Tensor:
    """The accuracy on each of some fresh batches."""
    tolerance, found = study.configuration.make_task().tolerance, []
    for _ in range(batches):
        x, y = sample(length, study.evaluation_samples)
        found.append(((model(x) - y).abs() <= tolerance).float().mean())
    return torch.stack(found)


def confirmed(model: nn.Module, study: Study, length: int) -> bool:
    """Whether training may stop: the accuracy lies clearly above the threshold."""
    if accuracies(model, study, length, 1).mean() < study.threshold:
        return False
    found = accuracies(model, study, length, study.final_batches)
    return bool(found.mean() >= study.threshold + MARGIN * found.std() / len(found) ** 0.5)


def train(study: Study, length: int, repetition: int) -> bool:
    """Train a network and return whether it solved the length."""
    torch.manual_seed(1000 * length + repetition)
    model = Recaller(study.hidden)
    optimizer = torch.optim.Adam(model.parameters(), study.learning_rate)
    loss = nn.MSELoss()
    for update in range(1, study.updates + 1):
        x, y = sample(length, study.batch)
        optimizer.zero_grad()
        loss(model(x), y).backward()
        nn.utils.clip_grad_norm_(model.parameters(), study.clip)
        optimizer.step()
        if update % study.evaluate_every == 0 and confirmed(model, study, length):
            break
    return bool(accuracies(model, study, length, study.final_batches).mean() >= study.threshold)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--repetitions", type=int, default=10)
    parser.add_argument("--width", type=float, default=0.15)
    options = parser.parse_args()
    study = Study(repetitions=options.repetitions)
    run_study(study.with_(lengths=(5,), repetitions=2, updates=1), progress=False)  # compiles the kernel

    started = time.perf_counter()
    result = run_study(study, workers=available_cores(), progress=False)
    ours = time.perf_counter() - started
    started = time.perf_counter()
    search = find_span(study.configuration, options.width, workers=available_cores(), progress=False)
    searching = time.perf_counter() - started
    theirs, solved = 0.0, {}
    for length in study.lengths:
        started = time.perf_counter()
        solved[length] = sum(train(study, length, repetition) for repetition in range(study.repetitions))
        theirs += time.perf_counter() - started
        print(f"T={length}: PyTorch solved {solved[length]} of {study.repetitions}", flush=True)

    rows = {row.length: row.share.solved for row in result.summaries()}
    print(f"memspan, {available_cores()} processes: {ours:.1f} s, solved {rows}")
    print(f"PyTorch {torch.__version__}, {torch.get_num_threads()} threads: {theirs:.1f} s, solved {solved}")
    print(f"ratio: {theirs / ours:.1f}")
    of_torch = estimate_span(list(solved), list(solved.values()), study.repetitions)
    print(f"memspan, grid: {result.estimate}\nPyTorch, grid: {of_torch}")
    print(f"memspan, search: {searching:.1f} s, {search.estimate}")
    print(f"the grid in PyTorch over the search: {theirs / searching:.1f}")
    spans = {"memspan_span": result.estimate, "pytorch_span": of_torch, "search_span": search.estimate}
    found = {"memspan_s": ours, "pytorch_s": theirs, "ratio": theirs / ours, "cores": available_cores()}
    found |= {"pytorch": torch.__version__, "repetitions": study.repetitions}
    found |= {"memspan_solved": rows, "pytorch_solved": solved}
    found |= {name: span.short for name, span in spans.items()}
    found |= {"search_s": searching, "search_trainings": search.path.trainings, "width": options.width}
    found |= {"search_ratio": theirs / searching}
    RESULTS.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
