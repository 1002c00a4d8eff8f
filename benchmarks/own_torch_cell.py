"""Measure what an update of a PyTorch LSTM costs in memspan, against the built-in lstm.

    python benchmarks/own_torch_cell.py [--rounds 7]

Ten networks of 32 units train side by side on recall at T = 50, in batches of 64 in float32: batches, loss,
gradient, clipping and a step of Adam, on one thread. PyTorch's LSTM comes as `nn.LSTM`, as `nn.LSTMCell` step by
step, and as a cell of one's own in PyTorch's operations; each is trained by every form of the engine that PyTorch
allows. In each round all of them are timed in turn, and the time is the median over the rounds. Times are those of
the processor, so other programs disturb them little. The script takes about a minute and writes
results/own_torch_cell.json and .md.
"""

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

from memspan import LSTM, Adam, Batches, Chain, ClipByNorm, Ensemble, MSELoss, Recall
from memspan.foreign import time_forms
from memspan.torch import Form, Steps, TorchNetwork, make_network
from memspan.torch import Sequence as Layer

RESULTS = Path(__file__).parent / "results"
NETWORKS, LENGTH, BATCH, HIDDEN, UPDATES = 10, 50, 64, 32, 5
BUILT_IN = "built-in lstm, compiled"


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


def layer(features: int, outputs: int, hidden: int = 32) -> Layer:
    return Layer(torch.nn.LSTM(features, hidden), hidden, outputs)


def cell(features: int, outputs: int, hidden: int = 32) -> Steps:
    return Steps(torch.nn.LSTMCell(features, hidden), hidden, outputs)


def own(features: int, outputs: int, hidden: int = 32) -> Steps:
    return Steps(OwnLSTM(features, hidden), hidden, outputs, state=(hidden, hidden))


MODELS = {"nn.LSTM": layer, "nn.LSTMCell": cell, "a cell of one's own": own}
FORMS = (Form("loop"), Form("vmap-grad", NETWORKS), Form("vmap-forward", NETWORKS))


def networks_of(factory: Callable[..., torch.nn.Module]) -> list[TorchNetwork]:
    return [make_network(factory, 1, 1, hidden=HIDDEN, rng=seed) for seed in range(NETWORKS)]


def training(models: Sequence[LSTM | TorchNetwork], engine: str | Form) -> Callable[[], object]:
    """Training by some updates, without evaluation but for a single batch at the end."""
    streams = [Batches(Recall(), LENGTH, BATCH, seed, "float32") for seed in range(NETWORKS)]
    tests = [Batches(Recall(), LENGTH, 1, 100 + seed, "float32") for seed in range(NETWORKS)]
    optimizer = Chain(ClipByNorm(1.0), Adam(1e-3))
    ensemble = Ensemble(models, MSELoss(), streams, optimizer, evaluation=tests, engine=engine)
    return lambda: ensemble.fit(UPDATES, final_batches=1, progress=False, stop_when_solved=False)


def milliseconds(train: Callable[[], object]) -> float:
    """The processor time of one update of one network."""
    began = time.process_time()
    train()
    return 1e3 * (time.process_time() - began) / (UPDATES * NETWORKS)


def prepared() -> tuple[dict[tuple[str, str], Callable[[], object]], dict[str, dict[str, str]]]:
    """What is timed, by model and form, and the forms that PyTorch does not allow, with its reason."""
    built_in = [LSTM(1, HIDDEN, 1, dtype="float32", rng=seed) for seed in range(NETWORKS)]
    timed, failed = {(BUILT_IN, "kernel"): training(built_in, "compiled")}, {}
    batch = next(Batches(Recall(), LENGTH, BATCH, 0, "float32"))
    for name, factory in MODELS.items():
        reasons = {
            form.name: why for form, why in time_forms(networks_of(factory), MSELoss(), batch).failed.items()
        }
        failed[name] = reasons
        for form in FORMS:
            if form.name not in reasons:
                timed[name, form.name] = training(networks_of(factory), form)
    return timed, failed


def table(found: dict[tuple[str, str], float]) -> list[str]:
    """The lines of the table: milliseconds, and the ratio to the built-in lstm."""
    unit = found[BUILT_IN, "kernel"]
    lines = [f"| | {' | '.join(form.name for form in FORMS)} |", f"|---|{'---:|' * len(FORMS)}"]
    for name in MODELS:
        times = [found.get((name, form.name)) for form in FORMS]
        least = min(took for took in times if took is not None)
        texts = ("no rule" if took is None else f"{took:.2f} ({took / unit:.1f})" for took in times)
        shown = (f"**{text}**" if took == least else text for text, took in zip(texts, times, strict=True))
        lines.append(f"| {name} | {' | '.join(shown)} |")
    return lines


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    timed, failed = prepared()
    for train in timed.values():
        train()  # the first call may compile, and touches its memory for the first time
    turns = [{key: milliseconds(train) for key, train in timed.items()} for _ in range(rounds)]
    found = {key: statistics.median(turn[key] for turn in turns) for key in timed}
    unit = found[BUILT_IN, "kernel"]
    of_torch = torch.__version__.partition("+")[0]
    versions = f"Python {platform.python_version()}, PyTorch {of_torch}, numpy {np.__version__}"
    about = (
        f"{platform.machine()}, {versions}; processor time, medians of {rounds} rounds; {NETWORKS} networks, "
        f"T = {LENGTH}, batch {BATCH}, {HIDDEN} units, float32, one thread."
    )
    lines = [
        *("# What an update of a PyTorch LSTM costs", "", about, ""),
        f"The built-in lstm takes {unit:.2f} ms for an update of one network. The table has milliseconds, and in",
        "parentheses the ratio to the built-in lstm; the fastest form of each model is in bold:",
        *("", *table(found), ""),
        "PyTorch has no rule for some operations under vmap:",
        *("", *(f"- {name}, {form}: {why}" for name, reasons in failed.items() for form, why in reasons.items())),
    ]
    print("\n".join(lines))
    times = [
        {"model": name, "form": form, "ms": took, "ratio": took / unit} for (name, form), took in found.items()
    ]
    result = {
        "about": about,
        "built_in_ms": unit,
        "times": times,
        "table": "\n".join(table(found)),
        "failed": failed,
    }
    (RESULTS / "own_torch_cell.json").write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    (RESULTS / "own_torch_cell.md").write_text("\n".join(lines) + "\n", "utf-8")


if __name__ == "__main__":
    main()
