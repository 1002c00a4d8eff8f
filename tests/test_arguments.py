"""Nonsense in any argument of what is public is refused in memspan's own words, before anything is done."""

import copy
import functools
import re

import numpy as np
import pytest

from memspan import (
    GRU,
    LSTM,
    RNN,
    SGD,
    Adam,
    ArrayTask,
    Attribution,
    Batches,
    Chain,
    ClipByNorm,
    ClipByValue,
    Configuration,
    Copying,
    Ensemble,
    GradientFlow,
    Jacobians,
    Learner,
    LyapunovExponents,
    MeanField,
    MemoryCapacity,
    MemspanError,
    Momentum,
    MSELoss,
    Network,
    Recall,
    RMSprop,
    Saturation,
    SigmoidCrossEntropy,
    SoftmaxCrossEntropy,
    SolvedShare,
    Study,
    Twins,
    cornn,
    estimate_span,
    explain,
    generate_samples,
    get_task,
    gradient_check,
    label_gradient,
    label_signal,
    leaky,
    longest_solved,
    lstm,
    predict,
    recurrent_spectra,
    run_study,
    try_remedies,
)
from memspan.figures.style import new_figure
from memspan.training.optimizers import NoState

NONSENSE = [
    -1,
    -0.5,
    "nonsense",
    b"x",
    object(),
    [],
    {},
    float("nan"),
    MSELoss,
    np.ones(3),
    np.ma.ones((4, 1)),
    len,
]
"""Each is right for a few arguments, which say so."""

X, Y = np.ones((3, 4, 1)), np.ones((4, 1))
SIZES = {"input_size": 1, "hidden_size": 3, "output_size": 1}
NETWORK = {"init": "uniform", "gain": 1.0, "dtype": "float64", "output_steps": None, "rng": 0}
FIT = {
    "updates": 1,
    "evaluate_every": 1,
    "evaluation_batches": 1,
    "final_batches": 1,
    "stop_when_solved": True,
    "progress": False,
    "observe": None,
    "flow_every": 0,
}


def model():
    return RNN(1, 4, 1, rng=0)


def forwarded(network=None):
    network = network or model()
    network.forward(X)
    return network


def backwarded():
    network = forwarded()
    network.backward(Y)
    return network


def stream():
    return Batches(Recall(), length=3, batch=4, rng=1)


def parts():
    options = {"evaluation": None, "task": None, "threshold": 0.9, "engine": "readable", "memory": 2**30}
    options["truncate"] = 2
    return {"model": model(), "loss": MSELoss(), "batches": stream(), "optimizer": SGD(0.1), **options}


def learner():
    return Learner(**parts())


def ensemble():
    return Ensemble([model()], MSELoss(), [stream()], SGD(0.1), engine="readable")


def parts_of_ensemble():
    given = parts()
    return {"models": [given.pop("model")], **given, "batches": [stream()]}


def jacobians():
    return Jacobians.of(model(), X)


def axes():
    return new_figure().subplots()


@functools.cache
def studied():
    return run_study(Study(hidden=2, updates=2, lengths=[2, 3], repetitions=1), progress=False)


DESCENT = Configuration(hidden=2, optimizer="sgd", updates=30)
PUBLIC = {
    "Network": (Network, lambda: {"cell": "rnn", **SIZES, **NETWORK}),
    "RNN": (RNN, lambda: {**SIZES, **NETWORK, "activation": "tanh"}),
    "LSTM": (LSTM, lambda: {**SIZES, **NETWORK, "forget_bias": 1.0}),
    "GRU": (GRU, lambda: {**SIZES, **NETWORK}),
    "forward": (lambda x: model().forward(x), lambda: {"x": X}),
    "predict": (lambda x: model().predict(x), lambda: {"x": X}),
    "backward": (lambda d_loss: forwarded().backward(d_loss), lambda: {"d_loss": Y}),
    "an initial state": (lambda state: model().forward(X, state), lambda: {"state": np.zeros((1, 4, 4))}),
    "a last state": (lambda d: forwarded().backward(Y, d), lambda: {"d": np.zeros((1, 4, 4))}),
    "truncate": (lambda k: forwarded().backward(Y, truncate=k), lambda: {"k": 2}),
    "update": (lambda lr: backwarded().update(lr), lambda: {"lr": 0.1}),
    "set_weights": (lambda weights: model().set_weights(weights), lambda: {"weights": model().get_weights()}),
    "astype": (lambda dtype: model().astype(dtype), lambda: {"dtype": "float32"}),
    "with_output_steps": (lambda steps: model().with_output_steps(steps), lambda: {"steps": 2}),
    "a weight": (lambda W: setattr(model(), "W", W), lambda: {"W": np.ones((1, 4))}),
    "a gradient": (lambda d_V: backwarded().grads.update(d_V=d_V), lambda: {"d_V": np.ones((4, 1))}),
    "gate": (lambda name: forwarded(LSTM(1, 4, 1, rng=0)).trace.gate(name), lambda: {"name": "f"}),
    "state": (lambda name: forwarded().trace.state(name), lambda: {"name": "a"}),
    "masked": (MSELoss, lambda: {"masked": False}),
    "MSELoss": (MSELoss().forward, lambda: {"y_hat": Y, "y": Y}),
    "SigmoidCrossEntropy": (SigmoidCrossEntropy().forward, lambda: {"y_hat": Y, "y": Y}),
    "SoftmaxCrossEntropy": (SoftmaxCrossEntropy().forward, lambda: {"y_hat": np.eye(2), "y": np.eye(2)}),
    "Batches": (Batches, lambda: {"task": Recall(), "length": 3, "batch": 4, "rng": 0, "dtype": "float32"}),
    "ArrayTask": (
        ArrayTask,
        lambda: {
            "x": np.arange(24.0).reshape(6, 2, 2),
            "y": np.array([0, 1, 0, 1, 0, 1]),
            "held_out": 0.5,
            "noise": 1.0,
            "family": "mine",
            "source": "this test",
        },
    ),
    "sample": (Recall().sample, lambda: {"length": 3, "batch": 4, "rng": 0}),
    "generate_samples": (generate_samples, lambda: {"batch_size": 4, "seq_length": 3, "rng": 0}),
    "accuracy": (Recall().accuracy, lambda: {"y_hat": Y, "y": Y}),
    "get_task": (get_task, lambda: {"name": "recall", "tolerance": 0.1}),
    "Copying": (Copying, lambda: {"variant": "urnn", "items": 3, "symbols": 4}),
    "capacity": (MemoryCapacity.capacity, lambda: {"y_hat": np.ones((60, 3)), "y": np.ones((60, 3))}),
    "Learner": (Learner, parts),
    "Ensemble": (Ensemble, parts_of_ensemble),
    "Learner.fit": (lambda **how: learner().fit(**how), lambda: FIT),
    "Ensemble.fit": (lambda **how: ensemble().fit(**how), lambda: FIT),
    "Learner.evaluate": (lambda batches: learner().evaluate(batches), lambda: {"batches": 1}),
    "Ensemble.evaluate": (lambda **how: ensemble().evaluate(**how), lambda: {"batches": 1, "members": None}),
    "Learner.predict": (lambda x: learner().predict(x), lambda: {"x": X}),
    "plot_loss": (lambda ax: learner().plot_loss(ax), lambda: {"ax": axes()}),
    "plot_predictions": (lambda **how: learner().plot_predictions(**how), lambda: {"batches": 1, "ax": axes()}),
    "SGD": (SGD, lambda: {"learning_rate": 0.1}),
    "Momentum": (Momentum, lambda: {"learning_rate": 0.1, "momentum": 0.5}),
    "RMSprop": (RMSprop, lambda: {"learning_rate": 0.1, "decay": 0.9, "epsilon": 1e-8}),
    "Adam": (Adam, lambda: {"learning_rate": 0.1, "beta1": 0.9, "beta2": 0.99, "epsilon": 1e-8}),
    "ClipByNorm": (ClipByNorm, lambda: {"limit": 1.0}),
    "ClipByValue": (ClipByValue, lambda: {"limit": 1.0}),
    "Chain": (lambda clip, rule: Chain(clip, rule), lambda: {"clip": ClipByNorm(1.0), "rule": SGD(0.1)}),
    "Chain.init": (Chain(Adam()).init, lambda: {"parameters": np.ones(3)}),
    "Chain.step": (
        lambda gradient: Chain(SGD(0.1)).step(gradient, NoState()),
        lambda: {"gradient": np.ones(3)},
    ),
    "Attribution.of": (Attribution.of, lambda: {"gradients": backwarded().grads}),
    "GradientFlow.of": (GradientFlow.of, lambda: {"gradients": backwarded().grads}),
    "Jacobians": (Jacobians, lambda: {"J": np.ones((3, 1, 2, 2))}),
    "Jacobians.of": (Jacobians.of, lambda: {"network": model(), "x": X}),
    "products": (lambda lags: jacobians().products(lags), lambda: {"lags": [1, 3]}),
    "singular_values": (lambda lags: jacobians().singular_values(lags), lambda: {"lags": [1, 3]}),
    "LyapunovExponents.of": (
        LyapunovExponents.of,
        lambda: {"jacobians": jacobians(), "k": 2, "discard": 1, "rng": 0},
    ),
    "LyapunovExponents.largest": (
        LyapunovExponents.largest,
        lambda: {"network": model(), "x": X, "discard": 1, "rng": 0},
    ),
    "interval": (lambda level: LyapunovExponents.of(jacobians()).interval(level), lambda: {"level": 0.9}),
    "recurrent_spectra": (recurrent_spectra, lambda: {"network": model()}),
    "Twins.of": (
        Twins.of,
        lambda: {"task": Recall(), "length": 3, "pairs": 32, "rng": 0, "parts": 4},
    ),
    "label_gradient": (
        label_gradient,
        lambda: {"network": model(), "twins": Twins.of(Recall(), 3, 16), "engine": "readable"},
    ),
    "label_signal": (
        label_signal,
        lambda: {"network": model(), "twins": Twins.of(Recall(), 3, 16), "engine": "readable"},
    ),
    "MeanField": (MeanField, lambda: {"recurrent": 1.0, "length": 3, "hidden": 4, "input": 0.1, "readout": 1.0}),
    "MeanField.of": (MeanField.of, lambda: {"network": model(), "length": 3}),
    "Saturation.of": (Saturation.of, lambda: {"network": model(), "x": X}),
    "gradient_check": (gradient_check, lambda: {"model": model(), "x": X, "y": Y, "loss": MSELoss(), "rng": 0}),
    "SolvedShare.of": (SolvedShare.of, lambda: {"solved": 1, "trials": 2}),
    "estimate_span": (
        estimate_span,
        lambda: {"lengths": [5, 10], "solved": [3, 1], "trials": [4, 4], "share": 0.5, "level": 0.95},
    ),
    "SpanEstimate.curve": (estimate_span([5, 10], [3, 1], 4).curve, lambda: {"lengths": [5, 10]}),
    "longest_solved": (longest_solved, lambda: {"shares": {5: SolvedShare.of(1, 2)}, "least": 0.5}),
    "leaky": (leaky, lambda: {"alpha": 0.5}),
    "cornn": (cornn, lambda: {"dt": 0.1, "gamma": 1.0, "epsilon": 1.0}),
    "lstm": (lstm, lambda: {"forget_bias": 1.0}),
    "predict before training": (
        predict,
        lambda: {"configuration": DESCENT, "width": 0.5, "longest": 3, "budget": 16, "progress": False},
    ),
    "explain": (
        explain,
        lambda: {"result": studied(), "lengths": [2], "networks": 1, "progress": False},
    ),
    "try_remedies": (
        try_remedies,
        lambda: {"result": studied(), "rounds": 1, "networks": 1, "longest": 4, "workers": 0, "progress": False},
    ),
    "only": (Study().only, lambda: {"place": 0}),
    "label": (Study().label, lambda: {"configuration": 0}),
    "with_": (Study().with_, lambda: {"hidden": 3, "gain": 1.0, "cell": "rnn", "lengths": (3, 4), "name": "mine"}),
}
"""A call, and its arguments as they should be."""

RIGHT = {
    ("LSTM", "forget_bias"): (-1, -0.5),
    ("lstm", "forget_bias"): (-1, -0.5),
    ("longest_solved", "shares"): ({},),
    ("SpanEstimate.curve", "lengths"): ([], np.ones(3)),
    ("Learner.fit", "observe"): (MSELoss, len),
    ("Ensemble.fit", "observe"): (MSELoss, len),
    ("Chain", "clip"): (len,),
    ("Chain.init", "parameters"): (np.ones(3),),
    ("Chain.step", "gradient"): (np.ones(3),),
    ("with_", "name"): ("nonsense", b"x"),
    ("ArrayTask", "family"): ("nonsense",),
    ("ArrayTask", "source"): ("nonsense",),
}
"""What of the nonsense makes sense after all: for `len`, only the call would tell."""


def is_right(case, argument, value):
    return any(
        type(value) is type(right) and np.array_equal(value, right) for right in RIGHT.get((case, argument), ())
    )


@pytest.mark.slow
@pytest.mark.parametrize("case", PUBLIC)
def test_nonsense_is_refused_by_the_name_of_the_argument(case):
    call, arguments = PUBLIC[case]
    call(**arguments())
    for argument in arguments():
        for value in NONSENSE:
            if is_right(case, argument, value):
                continue
            with pytest.raises(MemspanError) as refused:
                call(**{**arguments(), argument: copy.copy(value)})
            assert re.search(r" must be |^\w+ takes ", str(refused.value))
