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
BATCHES = Batches(Recall(), 3, 2, 0)
OPTIMIZER = Chain(ClipByNorm(1.0), Adam())


def network():
    network = LSTM(1, 4, 1, rng=0)
    network.forward(np.ones((50, 8, 1)))
    grads = network.backward(np.ones((8, 1)))
    attribution, flow = Attribution.of(grads), GradientFlow.of(grads)
    return [network, network.trace, grads, attribution, attribution.R, flow, flow.spread]


def training():
    learner = Learner(NETWORK, MSELoss(), BATCHES, OPTIMIZER)
    return [BATCHES, OPTIMIZER, learner, Ensemble([LSTM(1, 4, 1, rng=0)], MSELoss(), [BATCHES], OPTIMIZER)]


def diagnostics():
    x, twins = np.ones((50, 8, 1)), Twins.of(Recall(), 3, 16)
    jacobians = Jacobians.of(NETWORK, x)
    labels = (diagnose(NETWORK, twins, engine="readable") for diagnose in (label_gradient, label_signal))
    return [
        *(jacobians, LyapunovExponents.of(jacobians), Saturation.of(NETWORK, x)),
        *(twins, *labels, MeanField(1.0, 100), *recurrent_spectra(NETWORK).values()),
    ]


def explanation():
    result = run_study(Study(hidden=2, updates=2, lengths=3, repetitions=1), progress=False)
    found = explain(result, progress=False)[0]
    return [found, *found.evidence, *found.remedies, *found.criteria]


def prediction():
    descent = predict(Configuration(hidden=2, optimizer="sgd", updates=30), longest=3, budget=16, progress=False)
    jump = predict(Configuration(hidden=8, updates=30), longest=5, progress=False)
    law = noise_jump(0.01, hidden=32, batch=64, length=30)
    return [descent, *descent.needed.values(), jump, *jump.needed.values(), law]


def named():
    return [
        *(*CELLS.values(), *TASKS.values(), *INITIALIZERS.values()),
        *(rule(0.1) for rule in RULES.values()),
        *(loss() for loss in LOSSES.values()),
    ]


@pytest.mark.parametrize("things", [network, training, diagnostics, explanation, prediction, named])
def test_each_is_one_short_line_without_addresses(things):
    found = things()
    assert found
    for thing in found:
        line = repr(thing)
        assert len(line) <= 100, line
        assert "\n" not in line
        assert " at 0x" not in line


def test_the_line_has_what_tells_it_apart():
    assert (
        repr(noise_jump(0.01, hidden=32, batch=64, length=30))
        == "<NoiseJump: half of the networks within 785 updates>"
    )
    assert repr(CELLS["lstm"]) == "<Cell lstm: gates i, f, g, o; states a, c>"
    assert repr(BATCHES) == "<Batches of recall, T = 3, B = 2, float64>"
    assert repr(OPTIMIZER) == f"Chain({ClipByNorm(1.0)!r}, {Adam()!r})"
    assert repr(INITIALIZERS["orthogonal"]) == "<Initializer: R orthogonal, W and V uniform>"
    learner = Learner(NETWORK, MSELoss(), BATCHES, OPTIMIZER)
    assert repr(learner.ensemble) == "<Ensemble of 1 network of lstm, 0 updates>"
