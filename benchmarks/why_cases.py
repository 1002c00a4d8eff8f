"""Cases of training that stops for a known reason: each cause was established by intervention.

    python benchmarks/why_cases.py list                  print the cases
    python benchmarks/why_cases.py causes [NAME ...]     train the cases and their interventions
    python benchmarks/why_cases.py causes --again ...    also those whose results are stored

A case is a configuration and a length at which most networks fail (or solve, where that is the case). An
*intervention* changes one thing about it. The *causes* of a case are the names of those interventions with
which at least half of eight networks solve the length. Several interventions may have the same name. They are
tried from the smallest on, until one lets half solve. The other causes are tried all the same. So a case may
have two causes, and it has none where no single change is enough. Where nothing helps and no single input
says anything about the label (`SILENT`), the cause is `no signal`.

- `budget`: ten times the updates, or thirty times.
- `noise`: sixteen times the batch, or sixty-four times. (A smaller learning rate with more updates also
  lessens the noise. It is no proof of it, because it cures too large steps as well.)
- `vanishing`: R at the critical gain, where R is smaller. `exploding`: the same where R is larger, or a clip
  where there is none. The critical gain is not sought where a task answers at more than three steps.
- `saturation`: W and V with gain 1 where theirs is larger, R unchanged. Inputs that a task multiplies by
  `scale` count as gain.
- `unstable`: a third of the learning rate with four times the updates, or a thirtieth with twice as many.
- `noise jump`: only for Adam and tanh networks of which half are thrown on shuffled labels within the updates
  given (`thrown`, see docs/adam.md). A third of the learning rate with three times the updates, or with R at
  the critical gain. The first of these is much the same as the first for `unstable`, so such a case often has
  both causes.
- `capacity`: four or eight times the units, with the same spectral radius of R.

The field `expected` was written before the interventions of a case were trained. The cases of the parts
`held-out` and `fresh` are each for one look at finished criteria. The results are in `results/why_causes.json`,
and are a function of the case. All of them take about 45 minutes on one core.
"""

import json
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from memspan import Configuration, InvalidArgument
from memspan.cells import CELLS
from memspan.diagnostics.spectra import recurrent_spectra
from memspan.study.group import run_group, untrained
from memspan.tasks import Batch, Batches
from memspan.training.ensemble import Ensemble

RESULTS = Path(__file__).parent / "results" / "why_causes.json"
REPETITIONS = 8
HALF = REPETITIONS // 2
EVERY = 10  # updates between two looks at the spectral radius
THROWN = 1.5  # the spectral radius above which R has been thrown
SILENT = "parity", "delayed-xor"
"""Tasks in which no single input says anything about the label."""
FEW_ANSWERS = 3
"""The most steps at which a task answers for which the critical gain is sought."""
DEAREST = 5.0
"""Seconds on one core, estimated, above which only the smallest intervention of a cause is tried."""
NO_SIGNAL, SOLVED = "no signal", "solved"

Fields = Mapping[str, Any]


@dataclass(frozen=True)
class Case:
    """A configuration at one length.

    Attributes
    ----------
    name : str
    kind : str
        What is wrong; cases of one kind differ in length, seed or a number.
    part : str
        `tuning`, `held-out`, or `fresh`.
    length : int
    fields : mapping
        The keyword arguments of `Configuration`.
    expected : tuple of str
        The causes that were expected before the interventions were trained.
    """

    name: str
    kind: str
    part: str
    length: int
    fields: Fields
    expected: tuple[str, ...]

    @property
    def configuration(self) -> Configuration:
        """The configuration without any change."""
        return Configuration(**self.fields)


def cases_of(part: str, kind: str, expected: str, lengths: tuple[int, ...], **fields: Any) -> Iterator[Case]:
    """One case for each length."""
    for length in lengths:
        yield Case(f"{kind}, T = {length}", kind, part, length, fields, tuple(expected.split(", ")))


GENTLE: dict[str, Any] = {"optimizer": "momentum", "learning_rate": 0.03, "hidden": 16, "updates": 300}


def tuning() -> Iterator[Case]:
    """The cases on which criteria may be tuned."""

    def of(kind: str, expected: str, *lengths: int, **fields: Any) -> Iterator[Case]:
        return cases_of("tuning", kind, expected, lengths, **GENTLE | fields)

    yield from of("tanh near the critical gain", SOLVED, 6, 12, init="glorot")
    yield from of(
        "linear orthogonal, 20 updates", "budget", 15, 25, cell="rnn-linear", init="orthogonal", updates=20
    )
    yield from of("tanh, few updates", "budget", 7, 9, hidden=32, updates=40)
    yield from of("tanh, radius 0.5", "vanishing", 14, 16)
    yield from of("tanh, radius 0.3", "vanishing", 10, 14, recurrent_gain=0.65)
    yield from of("tanh, large learning rate", "unstable", 8, 12, init="glorot", learning_rate=1.0)
    adam: dict[str, Any] = {"optimizer": "adam"}
    yield from of("tanh, large learning rate, Adam", "unstable", 8, 12, init="glorot", learning_rate=0.3, **adam)
    linear: dict[str, Any] = {"cell": "rnn-linear", "init": "orthogonal", "hidden": 32, "clip": 0}
    yield from of("linear, radius 1.3, no clip", "exploding", 20, 30, recurrent_gain=1.3, **linear)
    steep: dict[str, Any] = {"hidden": 32, "recurrent_gain": 1.8, "clip": 0, "updates": 300}
    yield from of("tanh, radius 1.2, no clip", "exploding", 34, **steep)
    few: dict[str, Any] = {"task": "memory-capacity", "cell": "rnn-linear", "init": "orthogonal", "hidden": 2}
    yield from of("too few linear units for all delays", "capacity", 6, 8, updates=600, **few, **adam)
    yield from of("tanh, W and V times 40", "saturation", 6, 12, init="glorot", gain=40, recurrent_gain=1 / 40)
    yield from of("parity", NO_SIGNAL, 12, 16, task="parity", init="glorot", updates=100)
    yield from of("tanh, batch 1", "noise", 6, 9, batch=1, updates=600)
    study: dict[str, Any] = {"hidden": 32, "learning_rate": 0.01, "updates": 1500}
    yield from of("the first study", "noise jump, unstable", 30, **study, **adam)
    quick: dict[str, Any] = {"hidden": 32, "learning_rate": 0.02, "updates": 400}
    yield from of("tanh, Adam at 0.02", "noise jump, unstable", 25, **quick, **adam)

    # The second round of tuning. These and the cases of `held_out`, after their one look, are for it as well.
    calm: dict[str, Any] = adam | {"learning_rate": 0.003, "hidden": 32}
    yield from of("gru, Adam, few updates", "budget", 6, 9, cell="gru", updates=100, **calm)
    yield from of("lstm, Adam, few updates", "budget", 8, 12, cell="lstm", updates=60, **calm)
    yield from of("tanh, Adam, few updates", "budget", 10, 16, init="glorot", updates=60, **calm)
    yield from of("tanh, Adam, small R", "vanishing", 12, 20, recurrent_gain=0.4, updates=400, **calm)
    yield from of("gru, Adam, long", "vanishing", 20, 40, cell="gru", updates=400, **calm)
    yield from of(
        "gru, Adam, batch 1", "noise", 4, 6, cell="gru", updates=600, batch=1, **calm | {"learning_rate": 0.03}
    )
    yield from of("leaky, SGD, batch 1", "noise", 5, 8, cell="leaky", optimizer="sgd", learning_rate=0.3, batch=1)
    yield from of("mgu, large learning rate, Adam", "unstable", 6, 10, cell="mgu", learning_rate=0.2, **adam)
    yield from of("lstm, large learning rate, SGD", "unstable", 8, cell="lstm", optimizer="sgd", learning_rate=20)
    yield from of(
        "linear, fewer units than steps", "capacity", 9, 12, cell="rnn-linear", init="orthogonal", hidden=4
    )
    many: dict[str, Any] = {"task": "memory-capacity", "hidden": 2, "updates": 600} | adam
    yield from of("gru, few units for all delays", "capacity", 5, cell="gru", **many)
    yield from of("lstm, few units for all delays", "capacity", 7, cell="lstm", **many)
    ordered: dict[str, Any] = {"task": "order/pascanu-3", "hidden": 1, "updates": 600} | adam
    yield from of("gru of 1 unit, order of three", "capacity", 10, cell="gru", **ordered | {"learning_rate": 0.02})
    yield from of("relu, identity, gain 2, no clip", "exploding", 8, cell="rnn-relu", recurrent_gain=2, clip=0)
    yield from of("tanh, gain 6, no clip", "exploding", 10, recurrent_gain=6, clip=0)
    yield from of("mgu, W and V times 50", "saturation", 5, 8, cell="mgu", gain=50, recurrent_gain=1 / 50, **adam)


def held_out() -> Iterator[Case]:
    """The cases for one look at finished criteria."""

    def of(kind: str, expected: str, *lengths: int, **fields: Any) -> Iterator[Case]:
        return cases_of("held-out", kind, expected, lengths, **GENTLE | fields)

    adam: dict[str, Any] = {"optimizer": "adam", "learning_rate": 0.01}
    rmsprop: dict[str, Any] = {"optimizer": "rmsprop", "updates": 300}

    yield from of("gru, adding", SOLVED, 4, cell="gru", task="adding/any", **adam)
    yield from of("lru", SOLVED, 6, cell="lru", **adam)
    yield from of("tanh, W and V times 0.03", SOLVED, 6, gain=0.03, recurrent_gain=60)

    short: dict[str, Any] = {"hidden": 32, "updates": 100}
    yield from of("gru, 100 updates", "budget", 7, cell="gru", **short)
    yield from of("mgu, 100 updates", "budget", 6, cell="mgu", **short)
    yield from of("lstm, 100 updates", "budget", 10, cell="lstm", **short)
    yield from of("lru, 60 updates", "budget", 12, cell="lru", hidden=32, updates=60)
    yield from of("tanh, clip 0.02", "budget", 6, 8, init="glorot", clip=0.02)

    yield from of("gru, long", "vanishing", 18, 22, cell="gru")
    yield from of("mgu, long", "vanishing", 18, cell="mgu")
    yield from of("tanh, latch, small R", "vanishing", 14, task="latch/3a", recurrent_gain=0.5)

    steep: dict[str, Any] = {"cell": "rnn-linear", "init": "identity", "recurrent_gain": 1.4, "clip": 0}
    yield from of("linear identity, latch, no clip", "exploding", 10, 14, task="latch/3a", **steep)
    relu: dict[str, Any] = {"cell": "rnn-relu", "recurrent_gain": 1.8, "clip": 0, "updates": 600}
    yield from of("relu identity, no clip", "exploding", 5, 6, **relu)

    yield from of(
        "gru, large learning rate, RMSprop", "unstable", 8, 10, cell="gru", **rmsprop | {"learning_rate": 0.15}
    )
    yield from of(
        "lstm, large learning rate, RMSprop", "unstable", 8, cell="lstm", **rmsprop | {"learning_rate": 0.2}
    )
    yield from of("lstm, large learning rate", "unstable", 6, cell="lstm", hidden=32, learning_rate=3)

    symbols: dict[str, Any] = {"task_parameters": {"items": 2, "symbols": 4}, "updates": 300, "hidden": 2}
    copying = adam | symbols | {"learning_rate": 0.03}
    yield from of("gru of 2 units, copying", "capacity", 2, 4, cell="gru", task="copying/tcn", **copying)
    yield from of("lstm of 2 units, copying", "capacity", 3, cell="lstm", task="copying/urnn", **copying)
    yield from of("tanh, 2 units, copying", "capacity", 2, init="glorot", task="copying/urnn", **copying)

    yield from of("lstm, all but R times 40", "saturation", 5, cell="lstm", gain=40, recurrent_gain=1 / 40, **adam)
    yield from of(
        "gru, adding, all weights times 40", "saturation", 4, 5, cell="gru", task="adding/any", gain=40, **adam
    )
    large: dict[str, Any] = {"gain": 100, "recurrent_gain": 1 / 100}
    yield from of(
        "leaky, latch, W and V times 100", "saturation", 8, 12, cell="leaky", task="latch/3a", **large | adam
    )

    hidden_label: dict[str, Any] = {"task": "delayed-xor", "updates": 50}
    yield from of("gru, delayed xor", NO_SIGNAL, 15, 25, cell="gru", **hidden_label)
    yield from of("lstm, delayed xor", NO_SIGNAL, 15, cell="lstm", **hidden_label)
    yield from of("linear, delayed xor", NO_SIGNAL, 6, cell="rnn-linear", init="orthogonal", **hidden_label)

    yield from of("tanh, latch with noisy labels, batch 1", "noise", 6, 8, task="latch/3c", init="glorot", batch=1)
    yield from of("gru, batch 1", "noise", 3, 4, cell="gru", learning_rate=0.1, batch=1, updates=600)

    quick: dict[str, Any] = {"optimizer": "adam", "learning_rate": 0.02, "hidden": 32}
    yield from of("tanh, second number, Adam", "noise jump, unstable", 16, 22, task="recall/kth", **quick)
    yield from of("tanh, adding, Adam", "noise jump, unstable", 10, task="adding/any", **quick)


def fresh() -> Iterator[Case]:
    """Another set of cases for one look at finished criteria.

    A case is a configuration that solves the length, with one fault planted in it. The fault is what was expected
    as the cause. No case was dropped or changed after its interventions had been trained.
    """

    def of(kind: str, expected: str, *lengths: int, **fields: Any) -> Iterator[Case]:
        return cases_of("fresh", kind, expected, lengths, **GENTLE | fields)

    adam: dict[str, Any] = {"optimizer": "adam", "learning_rate": 0.01}
    rmsprop: dict[str, Any] = {"optimizer": "rmsprop", "learning_rate": 0.01}
    sgd: dict[str, Any] = {"optimizer": "sgd", "learning_rate": 0.3}

    # Healthy configurations, most of which have one fault below.
    slstm: dict[str, Any] = {"cell": "slstm", "task": "recall/distractors", **adam}
    ugrnn_latch: dict[str, Any] = {"cell": "ugrnn", "task": "latch/3a", **sgd}
    ugrnn_order: dict[str, Any] = {"cell": "ugrnn", "task": "order/pascanu-3", **rmsprop}
    delays: dict[str, Any] = {"task": "memory-capacity"}
    linear_delays: dict[str, Any] = {"cell": "rnn-linear", "init": "orthogonal", **delays, **sgd}
    tanh_delays: dict[str, Any] = {"init": "orthogonal", **delays}
    tanh_order: dict[str, Any] = {"task": "order/pascanu-2", "init": "glorot"}
    relu_order: dict[str, Any] = {"cell": "rnn-relu", "task": "order/pascanu-2"}
    relu_latch: dict[str, Any] = {"cell": "rnn-relu", "task": "latch/3b"}
    relu_adding: dict[str, Any] = {"cell": "rnn-relu", "task": "adding/any", "hidden": 32, **adam}
    peephole: dict[str, Any] = {"cell": "lstm-peephole", "task": "order/pascanu-2"}
    before: dict[str, Any] = {"cell": "gru-before", "task": "recall/kth", **adam}
    numbers: dict[str, Any] = {"optimizer": "adam", "learning_rate": 0.02, "updates": 600, **delays}
    two_symbols: dict[str, Any] = {"task_parameters": {"items": 2, "symbols": 3}, **adam}

    yield from of("slstm, distractors", SOLVED, 8, **slstm)
    yield from of("linear, all delays, gradient descent", SOLVED, 8, **linear_delays)
    yield from of("relu, latch", SOLVED, 14, **relu_latch)
    yield from of("ugrnn, order, RMSprop", SOLVED, 20, **ugrnn_order)

    yield from of("slstm, distractors, 15 updates", "budget", 8, 16, **slstm | {"updates": 15})
    yield from of(
        "ugrnn, adding, 60 updates", "budget", 3, 6, cell="ugrnn", task="adding/any", **adam | {"updates": 60}
    )
    yield from of("tanh, all delays, 40 updates", "budget", 4, 6, **tanh_delays | {"updates": 40})
    yield from of("ugrnn, latch, small steps", "budget", 8, 12, **ugrnn_latch | {"learning_rate": 0.004})
    yield from of("peepholes, order, 12 updates", "budget", 10, 14, **peephole | adam | {"updates": 12})
    yield from of(
        "relu, adding, 120 updates", "budget", 4, 6, **relu_adding | {"learning_rate": 0.005, "updates": 120}
    )

    yield from of("linear, all delays, batch 1", "noise", 8, 10, batch=1, **linear_delays)
    yield from of(
        "mgu, latch with noisy labels, batch 1", "noise", 8, 12, cell="mgu", task="latch/3c", batch=1, **rmsprop
    )
    yield from of("slstm, distractors, batch 1", "noise", 8, 16, batch=1, **slstm)
    yield from of("ugrnn, order, batch 1", "noise", 14, 18, batch=1, **ugrnn_order)
    yield from of("gru-before, second number, batch 1", "noise", 5, 6, batch=1, **before)

    yield from of("relu, order, R times 0.1", "vanishing", 12, 14, recurrent_gain=0.1, **relu_order | adam)
    yield from of("linear, all delays, R times 0.15", "vanishing", 10, 12, recurrent_gain=0.15, **linear_delays)
    yield from of("tanh, order, R times 0.1", "vanishing", 10, 12, recurrent_gain=0.1, **tanh_order)
    slow: dict[str, Any] = {"optimizer": "rmsprop", "learning_rate": 0.003, "updates": 600, "init": "orthogonal"}
    yield from of(
        "tanh, second number, R times 0.3", "vanishing", 8, 12, task="recall/kth", recurrent_gain=0.3, **slow
    )

    yield from of("linear, delays, radius 1.8", "exploding", 8, 10, recurrent_gain=1.8, clip=0, **linear_delays)
    yield from of("relu, order, no clip", "exploding", 10, 14, clip=0, **relu_order)
    yield from of("tanh, order, R times 4", "exploding", 10, 14, recurrent_gain=4, clip=0, **tanh_order)
    yield from of("relu, latch, no clip", "exploding", 14, 20, clip=0, **relu_latch)

    def larger(factor: float) -> dict[str, Any]:
        return {"gain": factor, "recurrent_gain": 1 / factor}

    yield from of(
        "ugrnn, order, W and V times 1000",
        "saturation",
        10,
        20,
        **ugrnn_order | {"task": "order/pascanu-2"} | larger(1000),
    )
    yield from of("slstm, distractors, W and V times 60", "saturation", 8, 16, **slstm | larger(60))
    yield from of(
        "tanh, all delays, W and V times 40",
        "saturation",
        4,
        6,
        **tanh_delays | rmsprop | {"learning_rate": 0.005, "init": "glorot"} | larger(40),
    )
    yield from of(
        "leaky, order, W and V times 200",
        "saturation",
        10,
        12,
        cell="leaky",
        task="order/pascanu-2",
        **adam | larger(200),
    )

    yield from of("ugrnn, latch, gradient descent at 30", "unstable", 8, 12, **ugrnn_latch | {"learning_rate": 30})
    yield from of(
        "linear, all delays, gradient descent at 3", "unstable", 8, 10, **linear_delays | {"learning_rate": 3}
    )
    yield from of(
        "peepholes, order, RMSprop at 0.5", "unstable", 10, 14, **peephole | rmsprop | {"learning_rate": 0.5}
    )
    yield from of(
        "lru, all delays, Adam at 3", "unstable", 5, 8, cell="lru", **delays, **adam | {"learning_rate": 3}
    )
    yield from of("relu, latch, momentum at 1", "unstable", 8, 14, **relu_latch | {"learning_rate": 1.0})

    fast: dict[str, Any] = {"optimizer": "adam", "init": "orthogonal", "hidden": 32}
    jump = "noise jump, unstable"
    yield from of(
        "tanh orthogonal, Adam at 0.02", jump, 20, 24, 28, batch=16, **fast, learning_rate=0.02, updates=1000
    )
    yield from of(
        "tanh orthogonal, all delays, Adam at 0.02",
        jump,
        13,
        14,
        batch=8,
        **fast,
        **delays,
        learning_rate=0.02,
        updates=1000,
    )
    yield from of(
        "tanh orthogonal, adding halves, Adam at 0.02",
        jump,
        8,
        9,
        task="adding/halves",
        batch=32,
        **fast,
        learning_rate=0.02,
        updates=2500,
    )

    yield from of("lru of 2 units, all delays", "capacity", 6, 7, cell="lru", **delays, **adam | {"hidden": 2})
    yield from of("ugrnn of 2 units, all delays", "capacity", 4, 5, cell="ugrnn", hidden=2, **numbers)
    yield from of(
        "slstm of 1 unit, selective copying",
        "capacity",
        4,
        6,
        cell="slstm",
        task="selective-copying",
        hidden=1,
        **two_symbols,
    )
    yield from of(
        "linear, 2 units, copying",
        "capacity",
        2,
        4,
        cell="rnn-linear",
        init="orthogonal",
        task="copying/urnn",
        hidden=2,
        **two_symbols | {"task_parameters": {"items": 2, "symbols": 4}},
    )

    yield from of(
        "ugrnn, parity, RMSprop", NO_SIGNAL, 12, 20, cell="ugrnn", task="parity", **rmsprop | {"updates": 60}
    )
    yield from of(
        "slstm, delayed xor", NO_SIGNAL, 15, 25, cell="slstm", task="delayed-xor", **adam | {"updates": 60}
    )
    yield from of(
        "relu, parity, gradient descent",
        NO_SIGNAL,
        12,
        20,
        cell="rnn-relu",
        task="parity",
        **sgd | {"updates": 100},
    )


CASES = (*tuning(), *held_out(), *fresh())


# ---------------------------------------------------------------------------------------- the interventions


def interventions(case: Case) -> dict[str, list[dict[str, Any]]]:
    """The changes of fields for each cause that can be tried on the case, the smallest first."""
    now = case.configuration
    lr, updates, batch = now.learning_rate, now.updates, now.batch
    critical, larger = critical_gain(case)
    found: dict[str, list[dict[str, Any]]] = {
        "budget": [{"updates": 10 * updates}, {"updates": 30 * updates}],
        "noise": [{"batch": 16 * batch}, {"batch": 64 * batch}],
        "vanishing": [critical] if critical and larger else [],
        "saturation": unsaturated(now),
        "exploding": ([] if now.clip else [{"clip": 1.0}]) + ([critical] if critical and not larger else []),
        "unstable": [
            {"learning_rate": lr / 3, "updates": 4 * updates},
            {"learning_rate": lr / 30, "updates": 2 * updates},
        ],
        "capacity": [wider(now, factor) for factor in (4, 8)],
    }
    if now.optimizer == "adam" and now.cell == "rnn":
        found["noise jump"] = [{"learning_rate": lr / 3, "updates": 3 * updates}]
        found["noise jump"] += [critical | {"learning_rate": lr / 3}] if critical else []
    return {
        name: [smallest] + [one for one in larger_ones if seconds(case, one) <= DEAREST]
        for name, (smallest, *larger_ones) in ((name, changes) for name, changes in found.items() if changes)
    }


def critical_gain(case: Case) -> tuple[dict[str, Any], bool]:
    """The change to the critical gain of R, and whether it makes R larger. No change where no gain is found."""
    now = case.configuration
    answers = now.make_task().shape(case.length).output_steps or 1
    if not CELLS[now.cell].recurrent_gates or answers > FEW_ANSWERS:
        return {}, False  # the search would take minutes
    try:
        there = now.with_(init="critical", recurrent_gain=1.0)
        size, wanted = (np.linalg.norm(one.make_network(case.length, 0).R) for one in (now, there))
    except InvalidArgument:  # the task's label is not seen in the state
        return {}, False
    if now.init is None:
        return {"init": "critical", "recurrent_gain": 1.0}, bool(wanted > size)
    return {"recurrent_gain": float(now.recurrent_gain * wanted / size)}, bool(wanted > size)


def unsaturated(now: Configuration) -> list[dict[str, Any]]:
    """W and V so small that the inputs do not saturate the units, with the same R."""
    scale = getattr(now.make_task(), "scale", 1.0)
    if now.gain * scale <= 1 or now.init in ("orthogonal", "identity"):  # whose gain is that of R
        return []
    return [{"gain": 1 / scale, "recurrent_gain": now.recurrent_gain * now.gain * scale}]


def wider(now: Configuration, factor: int) -> dict[str, Any]:
    """More units with the same spectral radius: that of U(-0.2, 0.2) grows with the root of their number."""
    grows = (now.init or CELLS[now.cell].init) == "uniform" and CELLS[now.cell].recurrent_gates
    same = {"recurrent_gain": now.recurrent_gain / factor**0.5} if grows else {}
    return {"hidden": factor * now.hidden, **same}


def seconds(case: Case, changes: Fields) -> float:
    """An estimate of the time to train all repetitions to the end, on one core."""
    now = case.configuration.with_(**changes)
    steps = now.make_task().shape(case.length).steps
    size = len(CELLS[now.cell].gates) * now.hidden * (now.hidden + 40)
    return 1e-10 * REPETITIONS * now.updates * now.batch * steps * size


# ---------------------------------------------------------------------------------------------- the trainings


def solved(configuration: Configuration, length: int) -> int:
    """Train all repetitions, as a study does, and return how many solve the length."""
    return sum(trial.outcome == SOLVED for trial in run_group(configuration, length, range(REPETITIONS)))


def thrown(configuration: Configuration, length: int) -> int:
    """Train all repetitions on shuffled labels, and return how many have their R thrown (see docs/adam.md)."""
    networks, batches, held = zip(
        *(untrained(configuration, length, one) for one in range(REPETITIONS)), strict=True
    )
    shuffled = [_shuffled(each, one) for one, each in enumerate(batches)]
    loss, rule = configuration.make_task().make_loss(), configuration.make_optimizer()
    ensemble = Ensemble(networks, loss, shuffled, rule, evaluation=held)
    far = np.zeros(REPETITIONS, bool)

    def look() -> bool:
        if ensemble.members[0].updates % EVERY == 0:
            far[:] |= [recurrent_spectra(network)["a"].radius > THROWN for network in networks]
        return bool(far.all())

    ensemble.fit(
        configuration.updates,
        evaluate_every=configuration.updates,
        stop_when_solved=False,
        progress=False,
        observe=look,
    )
    return int(far.sum())


def _shuffled(batches: Batches, seed: int) -> Iterator[Batch]:
    rng = np.random.default_rng(seed)
    for x, y in batches:
        yield Batch(x, y[rng.permutation(len(y))])


def examined(case: Case) -> dict[str, Any]:
    """Train the case and its interventions."""
    now = case.configuration
    before = solved(now, case.length)
    row: dict[str, Any] = {
        "kind": case.kind,
        "part": case.part,
        "length": case.length,
        "fields": dict(case.fields),
    }
    row |= {"expected": case.expected, "repetitions": REPETITIONS, "solved": before, "interventions": []}
    if before >= HALF:
        return row | {"causes": [SOLVED]}
    changes, causes = interventions(case), []
    if "noise jump" in changes:
        row["thrown"] = thrown(now, case.length)
        if row["thrown"] < HALF:
            del changes["noise jump"]
    for cause, tries in changes.items():
        for change in tries:
            after = solved(now.with_(**change), case.length)
            row["interventions"].append({"cause": cause, "change": change, "solved": after})
            if after >= HALF:
                causes.append(cause)
                break
    if not causes and now.task in SILENT:
        causes = [NO_SIGNAL]
    return row | {"causes": causes}


def inputs(row: Fields) -> tuple[Any, ...]:
    """What the result of a case depends on."""
    return row["length"], dict(row["fields"])


def causes(names: list[str], again: bool) -> None:
    """Examine the cases that have one of these names or kinds, or all, and store the results after each."""
    known: dict[str, Any] = json.loads(RESULTS.read_text("utf-8")) if RESULTS.exists() else {}
    chosen = [case for case in CASES if not names or case.name in names or case.kind in names]
    began = time.process_time()
    for case in chosen:
        there = known.get(case.name)
        if there is None or again or inputs(there) != (case.length, dict(case.fields)):
            known[case.name] = json.loads(json.dumps(examined(case)))
            ordered = {one.name: known[one.name] for one in CASES if one.name in known}
            RESULTS.write_text(json.dumps(ordered, indent=1) + "\n", "utf-8")
        row = known[case.name]
        helps = " ".join(f"{one['cause']}:{one['solved']}" for one in row["interventions"])
        mark = "" if set(row["causes"]) == set(case.expected) else "  <-- expected " + ", ".join(case.expected)
        found = ", ".join(row["causes"]) or "nothing alone"
        print(f"{case.name:45s} {row['solved']} | {helps} | {found}{mark}", flush=True)
    print(f"{len(chosen)} cases in {time.process_time() - began:.0f} s of processor time")


def main() -> None:
    command, *names = sys.argv[1:] or ["list"]
    if command == "causes":
        causes([name for name in names if name != "--again"], "--again" in names)
    else:
        for case in CASES:
            print(f"{case.part:9s} {case.name:45s} {', '.join(case.expected):22s} {dict(case.fields)}")


if __name__ == "__main__":
    main()
