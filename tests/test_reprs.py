"""What a user makes says in one line what it is."""

import numpy as np
import pytest

from memspan import (
    CELLS,
    INITIALIZERS,
    LOSSES,
    LSTM,
    TASKS,
    Adam,
    Attribution,
    Batches,
    Chain,
    ClipByNorm,
    Configuration,
    Ensemble,
    GradientFlow,
    Jacobians,
    Learner,
    LyapunovExponents,
    MeanField,
    MSELoss,
    Recall,
    Saturation,
    Study,
    Twins,
    explain,
    label_gradient,
    label_signal,
    predict,
    recurrent_spectra,
    run_study,
)
from memspan.training.optimizers import RULES
from memspan.why import noise_jump

NETWORK = LSTM(1, 4, 1, rng=0)
NETWORK.forward(np.ones((50, 8, 1)))
GRADS = NETWORK.backward(np.ones((8, 1)))
BATCHES = Batches(Recall(), 3, 2, 0)
OPTIMIZER = Chain(ClipByNorm(1.0), Adam())
JACOBIANS = Jacobians.of(NETWORK, np.ones((50, 8, 1)))
PREDICTION = predict(Configuration(hidden=2, optimizer="sgd", updates=30), longest=3, budget=16, progress=False)
JUMP = predict(Configuration(hidden=8, updates=30), longest=5, progress=False)
EXPLANATION = explain(
    run_study(Study(hidden=2, updates=2, lengths=3, repetitions=1), progress=False), progress=False
)[0]
LEARNER = Learner(NETWORK, MSELoss(), BATCHES, OPTIMIZER)
TWINS = Twins.of(Recall(), 3, 16)
THINGS = [
    *(Attribution.of(GRADS), Attribution.of(GRADS).R),
    *(
        NETWORK,
        NETWORK.trace,
        GRADS,
        GradientFlow.of(GRADS),
        GradientFlow.of(GRADS).spread,
        BATCHES,
        OPTIMIZER,
        LEARNER,
    ),
    Ensemble([LSTM(1, 4, 1, rng=0)], MSELoss(), [BATCHES], OPTIMIZER),
    *(EXPLANATION, *EXPLANATION.evidence, *EXPLANATION.remedies, *EXPLANATION.criteria),
    *(JACOBIANS, LyapunovExponents.of(JACOBIANS), Saturation.of(NETWORK, np.ones((50, 8, 1)))),
    *(TWINS, label_gradient(NETWORK, TWINS, engine="readable"), label_signal(NETWORK, TWINS, engine="readable")),
    *(MeanField(1.0, 100), *recurrent_spectra(NETWORK).values()),
    *(PREDICTION, *PREDICTION.needed.values()),
    *(JUMP, *JUMP.needed.values(), noise_jump(0.01, hidden=32, batch=64, length=30)),
    *(*CELLS.values(), *TASKS.values(), *INITIALIZERS.values()),
    *(rule(0.1) for rule in RULES.values()),
    *(loss() for loss in LOSSES.values()),
]


@pytest.mark.parametrize("thing", THINGS, ids=lambda thing: type(thing).__name__)
def test_it_is_one_short_line_without_addresses(thing):
    assert len(repr(thing)) <= 100
    assert "\n" not in repr(thing)
    assert " at 0x" not in repr(thing)


def test_the_line_has_what_tells_it_apart():
    assert (
        repr(noise_jump(0.01, hidden=32, batch=64, length=30))
        == "<NoiseJump: half of the networks within 785 updates>"
    )
    assert repr(CELLS["lstm"]) == "<Cell lstm: gates i, f, g, o; states a, c>"
    assert repr(BATCHES) == "<Batches of recall, T = 3, B = 2, float64>"
    assert repr(OPTIMIZER) == f"Chain({ClipByNorm(1.0)!r}, {Adam()!r})"
    assert repr(INITIALIZERS["orthogonal"]) == "<Initializer: R orthogonal, W and V uniform>"
    assert repr(LEARNER.ensemble) == "<Ensemble of 1 network of lstm, 0 updates>"
