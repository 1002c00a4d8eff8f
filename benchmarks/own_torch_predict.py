"""Measure what a prediction for a PyTorch LSTM costs in memspan, against that for the built-in lstm.

    python benchmarks/own_torch_predict.py [--rounds 5]

The updates that networks of 32 units need to leave the plateau of recall at T = 20 are predicted, with momentum
and 1,500 updates given, as `memspan predict` does for each network and length. PyTorch's LSTM comes as `nn.LSTM`
and as a cell of one's own in PyTorch's operations, each with the initial weights of the built-in lstm. Times are
those of the processor, for one network, as medians over the rounds. The script takes about a minute and writes
results/own_torch_predict.json.
"""

import argparse
import json
import platform
import statistics
import time
from pathlib import Path

import numpy as np
import torch

from memspan import LSTM, Recall
from memspan.network import Model
from memspan.torch import Steps, TorchNetwork, to_torch
from memspan.why.plateau import Descent
from memspan.why.predict import needed_by
from own_cell_costs import OwnLSTM

RESULTS = Path(__file__).parent / "results"
NETWORKS, LENGTH, HIDDEN, GIVEN = 4, 20, 32, 1500
MOMENTUM = Descent(rate=0.3, batch=64, clip=1.0, delay=9.0)


def own(network: LSTM) -> Steps:
    """Return the cell of one's own with the weights of the built-in lstm."""
    cell = OwnLSTM(1, HIDDEN)
    model = Steps(cell, HIDDEN, 1, state=(HIDDEN, HIDDEN)).double()
    values = {
        cell.W.weight: network.W.T,
        cell.W.bias: network.bs[:, 0],
        cell.R.weight: network.R.T,
        model.read_out.weight: network.V.T,
        model.read_out.bias: network.by[:, 0],
    }
    with torch.no_grad():
        for parameter, value in values.items():
            parameter.copy_(torch.from_numpy(value.copy()))
    return model


def prediction(networks: list[Model]) -> tuple[float, list[float]]:
    """The processor time of a prediction for one network, and the updates that each needs."""
    began = time.process_time()
    found = needed_by(networks, Recall(), LENGTH, MOMENTUM, GIVEN)
    return (time.process_time() - began) / len(networks), found.updates.tolist()


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    built_in = [LSTM(1, HIDDEN, 1, rng=seed) for seed in range(NETWORKS)]
    models: dict[str, list[Model]] = {
        "built-in": [*built_in],
        "nn.LSTM": [TorchNetwork(to_torch(one), 1, 1) for one in built_in],
        "own": [TorchNetwork(own(one), 1, 1) for one in built_in],
    }
    for networks in models.values():
        prediction(networks)  # the first call compiles
    turns = [{name: prediction(networks) for name, networks in models.items()} for _ in range(rounds)]
    seconds = {name: statistics.median(turn[name][0] for turn in turns) for name in models}
    needed = {name: np.array(turns[0][name][1]) for name in models}
    apart = max(np.abs(updates / needed["built-in"] - 1).max() for updates in needed.values())
    versions = f"Python {platform.python_version()}, PyTorch {torch.__version__.partition('+')[0]}"
    about = (
        f"{platform.machine()}, {versions}, numpy {np.__version__}; processor time of one network, medians of "
        f"{rounds} rounds; T = {LENGTH}, {HIDDEN} units"
    )
    result = {
        "about": about,
        "seconds": seconds,
        "ratio": {name: took / seconds["built-in"] for name, took in seconds.items()},
        "needed": {name: updates.tolist() for name, updates in needed.items()},
        "largest_difference": float(apart),
    }
    print(json.dumps(result, indent=1))
    (RESULTS / "own_torch_predict.json").write_text(json.dumps(result, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
