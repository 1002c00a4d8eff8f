"""The label signal and the label gradient: against closed forms, central differences, and the other engine."""

from dataclasses import replace

import numpy as np
import pytest

from memspan import CELLS, InvalidArgument, LabelGradient, LabelSignal, Network, Twins, get_task
from memspan import label_gradient as gradient_of
from memspan import label_signal as signal_of
from memspan.diagnostics.label import label_engine
from memspan.runtime import memory

OF_EACH_STRUCTURE = ("rnn", "lstm", "gru", "gru-before", "lstm-peephole", "lru")
"""Cells whose kernel in float64 the tests of the engine need as well; compiling takes long."""
COMPILED = [pytest.param(cell, marks=[] if cell in OF_EACH_STRUCTURE else pytest.mark.faults) for cell in CELLS]
SEVERAL = ("copying/tcn", "memory-capacity", "delayed-xor", "order/pascanu-2", "latch/3a", "adding/any")
"""Tasks with several outputs, several answers, a mask, or twins of each kind."""


def network_for(task, length, cell="rnn", hidden=6, seed=0, **how):
    shape = task.shape(length)
    sizes = {"output_steps": shape.output_steps, "rng": seed, "init": "uniform", "gain": 2.0}
    return Network(cell, shape.features, hidden, shape.outputs, **(sizes | how))


def linear(rho, hidden=8, seed=0):
    """A linear network whose R is `rho` times an orthogonal matrix."""
    network = Network("rnn-linear", 1, hidden, 1, rng=seed)
    network.R = rho * np.linalg.qr(np.random.default_rng(seed).standard_normal((hidden, hidden)))[0]
    return network


def gaussian(variance, hidden, seed=0):
    """A tanh network whose R has independent normal elements; `variance` is H times their variance."""
    network = Network("rnn", 1, hidden, 1, rng=seed)
    network.R = np.random.default_rng(seed).standard_normal((hidden, hidden)) * np.sqrt(variance / hidden)
    return network


def recall(length, pairs=128, seed=0, parts=16):
    return Twins.of(get_task("recall"), length, pairs, seed, parts)


@pytest.mark.parametrize("cell", COMPILED)
@pytest.mark.parametrize("name", ["recall", "copying/tcn"])
def test_both_engines_find_the_same_gradient(cell, name):
    task = get_task(name)
    network, twins = network_for(task, 5, cell), Twins.of(task, 5, 32, 0, parts=4)
    compiled, readable = gradient_of(network, twins), gradient_of(network, twins, engine="readable")
    assert compiled.parts.shape == readable.parts.shape == (4, network.layout.size)
    scale = np.abs(readable.parts).max()
    assert scale > 0
    assert np.abs(compiled.parts - readable.parts).max() <= 1e-10 * scale
    assert compiled.theta == pytest.approx(readable.theta, rel=1e-10)
    assert compiled.z == pytest.approx(readable.z, rel=1e-9)


@pytest.mark.parametrize("cell", COMPILED)
@pytest.mark.parametrize("name", ["recall", "copying/tcn"])
def test_both_engines_find_the_same_signal(cell, name):
    task = get_task(name)
    network, twins = network_for(task, 5, cell), Twins.of(task, 5, 32, 0, parts=4)
    compiled, readable = signal_of(network, twins), signal_of(network, twins, engine="readable")
    assert compiled.s.shape == readable.s.shape
    assert np.abs(compiled.s - readable.s).max() <= 1e-10 * np.abs(readable.s).max()
    np.testing.assert_allclose(compiled.power, readable.power, rtol=1e-9)


def test_a_prepared_engine_serves_other_networks_and_other_lengths():
    engine = label_engine(gaussian(1.0, 6))
    for seed, length in ((1, 4), (2, 9)):
        network, twins = gaussian(1.0, 6, seed), recall(length, 32)
        assert np.array_equal(gradient_of(network, twins, engine=engine).parts, gradient_of(network, twins).parts)


@pytest.mark.parametrize("name", SEVERAL)
@pytest.mark.parametrize("cell", ["rnn", "lstm"])
def test_the_gradient_of_each_part_agrees_with_central_differences(name, cell):
    """Of -½ Σ weights·ŷ, along random directions; dL/dŷ is back-propagated through every answer."""
    task = get_task(name)
    length = max(4, task.least_length)
    network, twins = network_for(task, length, cell, seed=3), Twins.of(task, length, 16, 0, parts=2)
    found = gradient_of(network, twins, engine="readable").parts

    def f(parameters, part):
        moved = network.astype(np.float64)
        moved.parameters[:] = parameters
        weights = twins.weights[..., part, :]
        return -0.5 * (weights * moved.forward(twins.x[:, part]).reshape(weights.shape)).sum()

    rng, h = np.random.default_rng(1), 1e-5
    for number in range(2):
        for _ in range(3):
            direction = rng.standard_normal(network.layout.size)
            ends = (f(network.parameters + sign * h * direction, twins.part(number)) for sign in (1, -1))
            slope = (next(ends) - next(ends)) / (2 * h)
            scale = np.linalg.norm(found[number]) * np.linalg.norm(direction)
            assert abs(found[number] @ direction - slope) <= 1e-7 * scale


@pytest.mark.parametrize("name", ["recall", *SEVERAL])
def test_the_label_gradient_of_the_readout_is_the_label_signal_at_the_end(name):
    task = get_task(name)
    length = max(4, task.least_length)
    network, twins = network_for(task, length), Twins.of(task, length, 32, 0, parts=4)
    d_V = network.layout.views(gradient_of(network, twins, engine="readable").gradient).V
    np.testing.assert_allclose(signal_of(network, twins).s[-1], d_V, rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("rho", [0.3, 1.0, 1.4])
def test_the_signal_of_a_linear_network_is_exact(rho):
    network, twins = linear(rho), recall(60)
    found, s = signal_of(network, twins, engine="readable").s[..., 0], (twins.y**2).mean() * network.W[0]
    for t in range(60):
        np.testing.assert_allclose(found[t], s, rtol=0, atol=1e-11 * np.linalg.norm(s) + 1e-16)
        s = s @ network.R


def test_the_label_gradient_of_a_linear_network_is_exact():
    """E[y ŷ] = E y² W R^(T-1) V: Θ is the sum of squares of its three derivatives."""
    network, T = linear(0.9), 7
    twins = recall(T, 256)
    y2 = (twins.y**2).mean()
    powers = [np.linalg.matrix_power(network.R, k) for k in range(T)]
    w, V = network.W[0], network.V[:, 0]
    gradient = gradient_of(network, twins, engine="readable")
    found = network.layout.views(gradient.gradient)
    expected = {
        "V": w @ powers[T - 1],
        "W": powers[T - 1] @ V,
        "R": sum(np.outer(w @ powers[k], powers[T - 2 - k] @ V) for k in range(T - 1)),
    }
    for name, derivative in expected.items():
        mine = getattr(found, name).reshape(derivative.shape)
        np.testing.assert_allclose(mine, y2 * derivative, rtol=0, atol=1e-12 * np.abs(y2 * derivative).max())
    theta = y2**2 * sum((derivative**2).sum() for derivative in expected.values())
    total = sum((getattr(found, name) ** 2).sum() for name in expected)
    assert total == pytest.approx(theta, rel=1e-10)
    assert gradient.theta == pytest.approx(theta, rel=1e-3)


def test_a_signal_far_below_the_rounding_of_a_covariance_is_measured():
    """The difference of their states has a recursion, because tanh p - tanh q = sinh(p - q) / (cosh p cosh q)."""
    network, twins = gaussian(0.4, 32), recall(60, 64)
    found = signal_of(network, twins)
    W, R, b = network.W, network.R, network.bs.ravel()
    x = twins.x.reshape(60, twins.parts, 2, -1)
    (first, second), d = (x[:, :, k].reshape(60, -1, 1) for k in (0, 1)), np.zeros((64, 32))
    a, other = np.zeros((64, 32)), np.zeros((64, 32))
    weights = twins.weights.reshape(twins.parts, 2, -1)[:, 0].reshape(-1, 1)
    for t in range(60):
        p, q = first[t] @ W + a @ R + b, second[t] @ W + other @ R + b
        d = np.sinh((first[t] - second[t]) @ W + d @ R) / (np.cosh(p) * np.cosh(q))
        a, other = np.tanh(p), np.tanh(q)
    s = -(weights * d).sum(axis=0) / (2 * twins.parts)
    assert 1e-28 < found.power[-1] < 1e-20
    assert np.linalg.norm(found.s[-1, :, 0] - s) < 1e-3 * np.linalg.norm(s)


def test_the_signal_after_t_steps_is_that_of_the_length_t():
    network = gaussian(0.8, 16)
    found = signal_of(network, recall(12, 1024)).power
    for t in (1, 3, 6, 11):
        assert found[t] == pytest.approx(signal_of(network, recall(t + 1, 1024, seed=1)).power[-1], rel=0.05)


def test_the_power_of_several_outputs_is_the_mean_over_them():
    """A chain of H units holds the last H inputs: exactly H - 1 of the labels of memory-capacity."""
    task, T, H = get_task("memory-capacity"), 12, 5
    outputs = task.shape(T).outputs
    network = Network("rnn-linear", 1, H, outputs, rng=0)
    network.R, network.W = np.eye(H, k=1), np.eye(1, H)
    twins = Twins.of(task, T, 2048, 0)
    expected = (H - 1) / outputs * (twins.y**2).mean()
    assert signal_of(network, twins, engine="readable").power[-1] == pytest.approx(expected, rel=0.05)


def test_the_power_of_several_equal_answers_is_that_of_one():
    twins, K = recall(6, 64), 3
    network = linear(1.0)
    network.R = np.eye(8)  # it forgets nothing, and rotates nothing
    repeated = np.stack([twins.weights] * K) / K
    several = replace(twins, weights=repeated, y=np.stack([twins.y] * K), variance=twins.variance / K)
    one, many = (signal_of(network, each, engine="readable") for each in (twins, several))
    assert many.s.shape == (4, 8, 1)
    np.testing.assert_allclose(many.power, one.power[:4], rtol=1e-10)


def independent(twins, seed):
    """The same sequences, with the labels of other twins: there is nothing to learn."""
    other = recall(len(twins.x), twins.x.shape[1] // 2, 1000 + seed, twins.parts)
    return replace(twins, weights=other.weights, y=other.y)


def test_labels_that_belong_to_other_sequences_have_no_significant_gradient():
    network = gaussian(1.0, 12, 3)
    engine = label_engine(network)
    found = [gradient_of(network, independent(recall(6, 64, k), k), engine=engine) for k in range(100)]
    theta = np.array([one.theta for one in found])
    assert abs(theta.mean()) < 4 * theta.std() / 10
    assert (theta < 0).any()
    assert sum(one.z >= 2.5 for one in found) <= 3
    assert np.median([one.z for one in found]) < 1


@pytest.mark.parametrize(("variance", "length"), [(1.0, 6), (0.4, 20), (0.1, 15)])
def test_a_gradient_is_significant_however_small_it_is(variance, length):
    found = gradient_of(gaussian(variance, 12, 3), recall(length))
    assert found.z > 2.5
    assert 0 < found.theta < 1


def test_theta_is_the_mean_product_of_two_different_parts():
    parts = np.random.default_rng(0).standard_normal((5, 3))
    products = [parts[i] @ parts[j] for i in range(5) for j in range(5) if i != j]
    found = LabelGradient(parts)
    assert found.theta == pytest.approx(np.mean(products), rel=1e-12)
    assert found.noise == pytest.approx(parts.var(axis=0, ddof=1).sum() / 5, rel=1e-12)
    assert LabelGradient(np.ones((4, 2))).z == np.inf
    assert LabelGradient(np.array([[1.0], [-1.0]])).z == 0


def test_a_float32_network_is_measured_in_float64():
    network = gaussian(0.4, 8).astype(np.float32)
    found = gradient_of(network, recall(30, 32))
    assert found.parts.dtype == np.float64
    assert found.z > 2.5
    assert signal_of(network, recall(30, 32)).s.dtype == np.float64


def test_an_unknown_engine_is_refused():
    network, twins = gaussian(1.0, 4), recall(3, 16)
    for measure in (gradient_of, signal_of):
        with pytest.raises(InvalidArgument, match="engine must be one of compiled, readable, got 'fast'"):
            measure(network, twins, engine="fast")


@pytest.mark.parametrize(
    ("network", "rule"),
    [
        (Network("rnn", 2, 4, 1, rng=0), "network must be one whose input_size is 1, got 2"),
        (None, "network must be a Network, got None"),
        (Network("rnn", 1, 4, 1, rng=0, dtype="complex128"), "network must be one with real weights"),
    ],
)
def test_a_network_that_does_not_fit_is_refused(network, rule):
    for measure in (gradient_of, signal_of):
        with pytest.raises(InvalidArgument, match=rule):
            measure(network, recall(3, 16))


def test_a_network_with_other_answers_has_no_label_gradient():
    for network in (Network("rnn", 1, 4, 2, rng=0), Network("rnn", 1, 4, 1, output_steps=2, rng=0)):
        with pytest.raises(InvalidArgument, match="those of the twins, 1 and None, got"):
            gradient_of(network, recall(3, 16))


def test_an_engine_for_another_shape_is_refused():
    with pytest.raises(InvalidArgument, match="engine must be one for networks of this shape"):
        gradient_of(gaussian(1.0, 6), recall(3, 16), engine=label_engine(gaussian(1.0, 5)))


def test_states_larger_than_the_memory_are_refused(monkeypatch):
    twins = recall(100, 64)
    monkeypatch.setattr(memory, "total", lambda: 1 << 20)
    with pytest.raises(InvalidArgument, match="twins must be small enough for the memory of this machine"):
        signal_of(gaussian(1.0, 32), twins)


def test_reprs():
    assert repr(LabelGradient(np.array([[1.0], [3.0]]))) == "<LabelGradient: Θ = 3, z = 1.73>"
    assert repr(LabelSignal(np.ones((3, 2, 1)), np.array([1.0, 0.5, 0.25]))) == (
        "<LabelSignal over 3 steps: P = 0.25 after the last one>"
    )
