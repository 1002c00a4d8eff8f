"""Measure what an update of an LSTM in PyTorch or JAX costs in memspan, against the built-in lstm.

    python benchmarks/own_cell_costs.py [--rounds 7]

Ten networks of 32 units train side by side on recall at T = 50, in batches of 64 in float32: batches, loss,
gradient, clipping and a step of Adam, on one thread. PyTorch's LSTM comes as `nn.LSTM`, as `nn.LSTMCell` step by
step, and as a cell of one's own in PyTorch's operations; JAX's as the cells of equinox and flax, and as a cell of
one's own. Each is trained by every form of the engine that its library allows. In each round all of them are timed
in turn, and the time is the median over the rounds. Times are those of the processor, so other programs disturb
them little; what JAX takes to compile is left out. The script takes about two minutes and writes
results/own_cell_costs.json and .md.
"""

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import equinox
import jax
import jax.numpy as jnp
import numpy as np
import torch
from flax import linen

import memspan.jax
import memspan.torch
from memspan import LSTM, Adam, Batches, Chain, ClipByNorm, Ensemble, MSELoss, Recall
from memspan.foreign import ForeignNetwork, Form, time_forms

RESULTS = Path(__file__).parent / "results"
NETWORKS, LENGTH, BATCH, HIDDEN, UPDATES = 10, 50, 64, 32, 5
BUILT_IN = ("memspan", "built-in lstm, compiled", "kernel")


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


def layer(features: int, outputs: int, hidden: int = 32) -> memspan.torch.Sequence:
    return memspan.torch.Sequence(torch.nn.LSTM(features, hidden), hidden, outputs)


def cell(features: int, outputs: int, hidden: int = 32) -> memspan.torch.Steps:
    return memspan.torch.Steps(torch.nn.LSTMCell(features, hidden), hidden, outputs)


def own(features: int, outputs: int, hidden: int = 32) -> memspan.torch.Steps:
    return memspan.torch.Steps(OwnLSTM(features, hidden), hidden, outputs, state=(hidden, hidden))


def of_equinox(features: int, outputs: int, hidden: int = 32, *, key: jax.Array) -> memspan.jax.Steps:
    return memspan.jax.Steps(equinox.nn.LSTMCell(features, hidden, key=key), hidden, outputs, key=key)


def of_flax(features: int, outputs: int, hidden: int = 32, *, key: jax.Array) -> memspan.jax.Steps:
    return memspan.jax.Steps(linen.OptimizedLSTMCell(hidden), hidden, outputs, key=key, features=features)


@jax.tree_util.register_dataclass
@dataclass
class JaxLSTM:
    """The same in JAX."""

    W: jax.Array
    R: jax.Array
    b: jax.Array

    def __call__(self, x: jax.Array, state: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        """Take one step: x `[B, F]` and (h, c) give the next (h, c)."""
        h, c = state
        i, f, g, o = jnp.split(x @ self.W + h @ self.R + self.b, 4, axis=-1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        return jax.nn.sigmoid(o) * jnp.tanh(c), c


def own_in_jax(features: int, outputs: int, hidden: int = 32, *, key: jax.Array) -> memspan.jax.Steps:
    shapes, bound = ((features, 4 * hidden), (hidden, 4 * hidden), (4 * hidden,)), hidden**-0.5
    keys = jax.random.split(key, 3)
    each = zip(keys, shapes, strict=True)
    parts = (jax.random.uniform(one, shape, minval=-bound, maxval=bound) for one, shape in each)
    return memspan.jax.Steps(JaxLSTM(*parts), hidden, outputs, state=(hidden, hidden), key=key)


OWN = "a cell of one's own"
MODELS: dict[str, dict[str, Callable[..., Any]]] = {
    "PyTorch": {"nn.LSTM": layer, "nn.LSTMCell": cell, OWN: own},
    "JAX": {"equinox.nn.LSTMCell": of_equinox, "flax.linen.OptimizedLSTMCell": of_flax, OWN: own_in_jax},
}
PACKAGES: dict[str, Any] = {"PyTorch": memspan.torch, "JAX": memspan.jax}


def forms_of(library: str) -> list[Form]:
    kind = PACKAGES[library].Form
    return [kind(name, 1 if name == "loop" else NETWORKS) for name in kind.NAMES]


def networks_of(library: str, factory: Callable[..., Any]) -> list[ForeignNetwork]:
    make_network = PACKAGES[library].make_network
    return [make_network(factory, 1, 1, hidden=HIDDEN, rng=seed) for seed in range(NETWORKS)]


def training(models: Sequence[LSTM | ForeignNetwork], engine: str | Form) -> Callable[[], object]:
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


Timed = dict[tuple[str, str, str], Callable[[], object]]
"""What is timed, by library, model and form."""


def prepared() -> tuple[Timed, list[str]]:
    """Return what is timed, and the forms that a library does not allow, with its reason."""
    built_in = [LSTM(1, HIDDEN, 1, dtype="float32", rng=seed) for seed in range(NETWORKS)]
    timed: Timed = {BUILT_IN: training(built_in, "compiled")}
    failed: list[str] = []
    batch = next(Batches(Recall(), LENGTH, BATCH, 0, "float32"))
    for library, models in MODELS.items():
        for name, factory in models.items():
            networks = networks_of(library, factory)
            reasons = {form.name: why for form, why in time_forms(networks, MSELoss(), batch).failed.items()}
            failed += [f"{name} of {library}, {form}: {why}" for form, why in reasons.items()]
            for form in forms_of(library):
                if form.name not in reasons:
                    timed[library, name, form.name] = training(networks_of(library, factory), form)
    return timed, failed


def table(library: str, found: dict[tuple[str, str, str], float]) -> list[str]:
    """The lines of a table: milliseconds, and the ratio to the built-in lstm."""
    unit, forms = found[BUILT_IN], [form.name for form in forms_of(library)]
    lines = [f"| {library} | {' | '.join(forms)} |", f"|---|{'---:|' * len(forms)}"]
    for name in MODELS[library]:
        times = [found.get((library, name, form)) for form in forms]
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
    unit = found[BUILT_IN]
    of_torch = torch.__version__.partition("+")[0]
    libraries = f"PyTorch {of_torch}, JAX {jax.__version__}, numpy {np.__version__}"
    about = (
        f"{platform.machine()}, Python {platform.python_version()}, {libraries}; processor time, medians of "
        f"{rounds} rounds; {NETWORKS} networks, T = {LENGTH}, batch {BATCH}, {HIDDEN} units, float32, one thread."
    )
    tables = {library: table(library, found) for library in MODELS}
    lines = [
        *("# What an update of an LSTM in PyTorch or JAX costs", "", about, ""),
        f"The built-in lstm takes {unit:.2f} ms for an update of one network. The tables have milliseconds, and",
        "in parentheses the ratio to the built-in lstm; the fastest form of each model is in bold:",
        *(line for each in tables.values() for line in ("", *each)),
        *("", "PyTorch has no rule for some operations under vmap:", ""),
        *(f"- {line}" for line in failed),
    ]
    print("\n".join(lines))
    times = [
        {"library": library, "model": name, "form": form, "ms": took, "ratio": took / unit}
        for (library, name, form), took in found.items()
    ]
    result = {
        "about": about,
        "built_in_ms": unit,
        "times": times,
        "tables": {library: "\n".join(each) for library, each in tables.items()},
        "failed": failed,
    }
    (RESULTS / "own_cell_costs.json").write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    (RESULTS / "own_cell_costs.md").write_text("\n".join(lines) + "\n", "utf-8")


if __name__ == "__main__":
    main()
