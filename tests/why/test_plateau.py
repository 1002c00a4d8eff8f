"""The parts of the equation against differences, and its solution against gradient descent."""

import numpy as np
import pytest

from memspan import Chain, ClipByNorm, Momentum, MSELoss, Network, get_task
from memspan.diagnostics import Twins
from memspan.engines.compiled import CompiledEngine
from memspan.engines.readable import backpropagate, unroll
from memspan.tasks import Batches
from memspan.why.plateau import LEFT, WINDOW, Descent, Plateau, averaged, left_at

RATE, CLIP, DELAY = 0.03, 1.0, 9.0
TASKS = {
    "recall": 5,
    "parity": 4,  # sigmoid
    "order/pascanu-2": 10,  # softmax
    "adding/hs97": 20,  # masked, of several output steps
    "memory-capacity": 4,  # several outputs
    "delayed-xor": 3,  # sigmoid, of several output steps
    "copying/tcn": 2,  # softmax, of several output steps, which differ
}
every_task = pytest.mark.parametrize("name", TASKS)


def network_for(name, length, seed=0, hidden=5, cell="rnn"):
    shape = get_task(name).shape(length)
    network = Network(cell, shape.features, hidden, shape.outputs, rng=seed)
    return network.with_output_steps(shape.output_steps)


def case(name, seed=0, pairs=16, **options):
    """Some networks of a task, their plateau, and their weights `[2, P]`, away from the trivial answer."""
    task, length = get_task(name), TASKS[name]
    networks = [network_for(name, length, seed + k, **options) for k in range(2)]
    plateau = Plateau(networks[0], task, length, Twins.of(task, length, pairs, 3, parts=8))
    return plateau, np.stack([network.parameters for network in networks]), task


def direction(theta, seed=5):
    u = np.random.default_rng(seed).standard_normal(theta.shape)
    return u / np.linalg.norm(u, axis=1, keepdims=True)


def expected_loss(plateau, theta, task):
    """The loss of the sequences without its linear part, and with the linear part that the twins give, `[M]`."""
    twins, loss, found = plateau.twins, task.make_loss(), []
    T = TASKS[task.name]
    answer = np.broadcast_to(task.trivial_answer(T)[..., np.newaxis, :], twins.y.shape).copy()
    at_answer, d = loss.forward(answer, twins.y), loss.backward()
    K = plateau.engine.output_steps
    for row in theta:
        y_hat = unroll(
            plateau.engine.layout.cell, plateau.engine.layout.views(row), twins.x, K or 1
        ).y_hat.reshape(answer.shape)
        away = y_hat - answer
        bent = loss.forward(y_hat, twins.y) - at_answer - np.sum(d * away)
        found.append(task.trivial_risk(T) + bent + np.sum(twins.weights * away) / twins.parts)
    return np.array(found)


CASES = [*((name, "rnn") for name in TASKS), ("recall", "lstm"), ("recall", "lru")]


@pytest.mark.parametrize(("name", "cell"), CASES)
def test_the_pull_is_the_slope_of_the_expected_loss(name, cell):
    """The linear recurrent unit has per-unit weights, which stand behind the readout in the flat vector."""
    plateau, theta, task = case(name, cell=cell)
    share, pull = plateau._pull(theta, plateau._states(theta))
    np.testing.assert_allclose(share * task.trivial_risk(TASKS[name]), expected_loss(plateau, theta, task), 1e-12)
    u, h = direction(theta), 1e-5
    slope = (expected_loss(plateau, theta + h * u, task) - expected_loss(plateau, theta - h * u, task)) / (2 * h)
    np.testing.assert_allclose(-(pull * u).sum(axis=1), slope, rtol=1e-6, atol=1e-9)
    assert abs(slope).max() > 1e-4


@every_task
def test_the_drift_of_the_noise_is_the_slope_of_the_squared_gradient(name):
    plateau, theta, _ = case(name)
    _, drift = plateau._noise(theta)
    u, h = direction(theta), 1e-4
    slope = (plateau._noise(theta + h * u)[0] - plateau._noise(theta - h * u)[0]) / (2 * h)
    np.testing.assert_allclose((drift * u).sum(axis=1), slope, rtol=2e-4)


@pytest.mark.parametrize(("name", "tolerance"), [("recall", 1e-9), ("delayed-xor", 0.2), ("copying/tcn", 0.3)])
def test_the_squared_gradient_of_single_predictions_is_that_of_the_curvature(name, tolerance):
    """Σ h |∇ŷ|² over the answers of a sequence, with the curvature h; of several answers some are looked at."""
    plateau, theta, task = case(name)
    T, layout, K = TASKS[name], plateau.engine.layout, plateau.engine.output_steps or 1
    answer = task.trivial_answer(T).reshape(K, -1)
    size = []
    for x, _ in plateau._singles:
        trace = unroll(layout.cell, layout.views(theta[0]), x, K)
        for k in range(K):
            curvature = _curvature(task, answer[k]) / K
            for value, vector in zip(*np.linalg.eigh(curvature), strict=True):
                upstream = np.zeros((K, 1, layout.outputs))
                upstream[k, 0] = np.sqrt(max(value, 0)) * vector.T
                gradient = backpropagate(layout.views(theta[0]), trace, upstream).total()
                size.append(np.sum(gradient**2) / len(plateau._singles))
    assert plateau._noise(theta)[0][0] == pytest.approx(sum(size), rel=tolerance)


def _curvature(task, answer):
    """Of a single answer: 2 for the squared error, p (1 - p), or diag(p) - p pᵀ."""
    if task.name == "recall":
        return np.array([[2.0]])
    if task.name == "delayed-xor":
        p = 1 / (1 + np.exp(-answer))
        return np.diag(p * (1 - p))
    p = np.exp(answer - answer.max())
    p /= p.sum()
    return np.diag(p) - np.outer(p, p)


def test_tau_is_twice_the_variance_of_the_label_or_1():
    """The covariance of dL/dŷ is the curvature for both cross-entropies. The loss is a mean over K answers."""
    recall, _, _ = case("recall")
    assert recall._tau == pytest.approx(2 * np.mean(recall.twins.y**2), rel=1e-9)
    for name in ("parity", "order/pascanu-2", "delayed-xor", "copying/tcn"):
        plateau, _, _ = case(name, pairs=64)
        assert plateau._tau == pytest.approx(1 / (plateau.engine.output_steps or 1), rel=0.02), name


def test_the_decay_is_that_of_the_theory():
    """κ = 2 η² E y² D / B with D = E|∇ŷ|² / |V|² over W, R and b_s."""
    plateau, theta, _ = case("recall")
    B, rate = 32, 0.2
    found = plateau.decay(theta, Descent(rate, B))
    for row, kappa in zip(theta, found, strict=True):
        weights = plateau.engine.layout.views(row)
        sizes = []
        for x, _ in plateau._singles:
            trace = unroll(plateau.engine.layout.cell, weights, x, 1)
            one = plateau.engine.layout.views(backpropagate(weights, trace, np.ones((1, 1, 1))).total())
            sizes.append(np.sum(one.W**2) + np.sum(one.R**2) + np.sum(one.bs**2))
        D = np.mean(sizes) / np.sum(weights.V**2)
        assert kappa == pytest.approx(2 * rate**2 * np.mean(plateau.twins.y**2) * D / B, rel=1e-4)


@pytest.mark.parametrize("name", ["recall", "memory-capacity", "adding/hs97"])
def test_the_readout_moves_as_in_many_tiny_steps(name):
    """The squared error is linear in the readout, so the exponential step is exact."""
    plateau, theta, _ = case(name)
    states, rate = plateau._states(theta), np.array([0.3, 0.1])
    noise = 1e-3 * np.random.default_rng(0).standard_normal(theta[:, plateau.read_out.places].shape)
    steps, count = np.array([20.0, 7.0]), 4000
    found = plateau._relaxed(theta, states, rate, noise, steps)
    moving = theta.copy()
    for _ in range(count):
        _, upstream = plateau._errors(moving, states)
        M = len(theta)
        read, back = states.reshape(M, -1, states.shape[-1]), upstream.reshape(M, -1, upstream.shape[-1])
        pull = -np.einsum("mbh,mbo->mho", read, back)
        moving[:, plateau.read_out.places] += (steps / count)[:, None, None] * (rate[:, None, None] * pull - noise)
    expected = (moving - theta)[:, plateau.read_out.places]
    np.testing.assert_allclose(found, expected, atol=2e-3 * abs(expected).max())


def test_gradient_descent_in_tiny_steps_follows_the_integration():
    """Without noise, clip and momentum, updates times the learning rate are what is predicted."""
    task, length, tiny = get_task("recall"), 6, 0.03
    networks = [network_for("recall", length, seed, hidden=16) for seed in range(3)]
    twins = Twins.of(task, length, 64, 0)
    theta = np.stack([network.parameters for network in networks])
    plateau = Plateau(networks[0], task, length, twins)
    predicted = (plateau.leave(theta, Descent(0.3, np.inf), 2000.0) - WINDOW / 2) * 0.3
    engine = CompiledEngine(networks[0].layout, np.dtype(float), MSELoss())
    left = np.full(len(theta), np.inf)
    for update in range(5000):
        found = engine.differentiate(theta, [(twins.x, twins.y)] * len(theta))
        left = np.where(np.isinf(left) & (found.losses < LEFT * task.trivial_risk(length)), update * tiny, left)
        if np.isfinite(left).all():
            break
        theta = theta - tiny * found.gradients
    np.testing.assert_allclose(predicted, left, rtol=0.1)


def trained(networks, task, length, batch, most):
    """The update at which each network leaves the plateau in training, and its loss at the end, as a share.

    It leaves when the mean loss of a window falls below a share of the trivial risk.
    """
    theta, rule = np.stack([n.parameters for n in networks]), Chain(ClipByNorm(CLIP), Momentum(RATE, 0.9))
    engine = CompiledEngine(networks[0].layout, np.dtype(np.float64), task.make_loss())
    batches = [Batches(task, length, batch, 100 + k, "float64") for k in range(len(networks))]
    state, losses = rule.init(theta), []
    for _ in range(most):
        found = engine.differentiate(theta, [next(one) for one in batches])
        step = rule.step(found.gradients, state)
        theta, state = theta + step.change, step.state
        losses.append(found.losses / task.trivial_risk(length))
    means = np.stack([np.convolve(one, np.ones(WINDOW) / WINDOW, "valid") for one in np.transpose(losses)])
    x, y = task.sample(length, 2000, 7)
    share = engine.differentiate(theta, [(x, y)] * len(theta)).losses / task.trivial_risk(length)
    return np.where((means < LEFT).any(axis=1), (means < LEFT).argmax(axis=1) + WINDOW, np.inf), share


def test_networks_in_training_leave_when_it_is_predicted():
    task, length = get_task("recall"), 8
    networks = [network_for("recall", length, seed, hidden=16) for seed in range(10)]
    plateau = Plateau(networks[0], task, length, Twins.of(task, length, 64, 0))
    theta = np.stack([network.parameters for network in networks])
    descent = Descent(RATE / (1 - 0.9), 64, CLIP, DELAY)
    predicted, (measured, _) = plateau.leave(theta, descent, 600.0), trained(networks, task, length, 64, 600)
    assert np.median(predicted) > 60
    within = (predicted < 2 * measured) & (measured < 2 * predicted)
    assert within.mean() >= 0.8, (predicted, measured)


def test_noise_keeps_small_batches_on_the_plateau_and_large_ones_leave():
    task, length = get_task("recall"), 9
    networks = [network_for("recall", length, seed, hidden=16) for seed in (1, 2)]
    plateau = Plateau(networks[0], task, length, Twins.of(task, length, 64, 0))
    theta = np.stack([network.parameters for network in networks])
    small, large = (Descent(RATE / (1 - 0.9), batch, CLIP, DELAY) for batch in (4, 512))
    assert np.isinf(plateau.leave(theta, small, 1e5)).all()
    predicted = plateau.leave(theta, large, 1e5)
    assert (predicted < 1000).all()
    assert (plateau.decay(theta, small) * predicted > 3).all()
    assert (trained(networks, task, length, 4, 2000)[1] > 0.98).all()
    measured, _ = trained(networks, task, length, 512, 600)
    assert (measured < 600).all()


def test_more_updates_than_the_limit_are_infinite_and_other_networks_do_not_matter():
    plateau, theta, _ = case("recall", hidden=16)
    descent = Descent(0.3, 64, CLIP, DELAY)
    both = plateau.leave(theta, descent, 1000.0)
    assert np.isfinite(both).all()
    np.testing.assert_array_equal(both, [plateau.leave(row[None], descent, 1000.0)[0] for row in theta])
    assert plateau.leave(theta, descent, both.min())[both.argmin()] == both.min()
    assert np.isinf(plateau.leave(theta, descent, both.min() - 1)).all()


def test_a_clip_and_a_smaller_rate_take_longer():
    plateau, theta, _ = case("recall", hidden=16)
    fast = plateau.leave(theta, Descent(0.3, 64), 1e4)
    assert (plateau.leave(theta, Descent(0.3, 64, 0.02), 1e4) > 2 * fast).all()
    assert (plateau.leave(theta, Descent(0.1, 64), 1e4) > 2 * fast).all()
    np.testing.assert_allclose(plateau.leave(theta, Descent(0.3, 64, np.inf, DELAY), 1e4), fast + DELAY)


def test_networks_that_overflow_have_left_and_nothing_is_said():
    task, length = get_task("recall"), 30
    network = Network("rnn-linear", 1, 4, 1, recurrent_gain=1e15, rng=0)
    plateau = Plateau(network, task, length, Twins.of(task, length, 16, 0))
    assert plateau.leave(network.parameters[None], Descent(0.3, 64), 1000.0)[0] == WINDOW / 2


@pytest.mark.parametrize("name", ["recall", "order/pascanu-2"])
@pytest.mark.parametrize("clip", [np.inf, 0.05])
def test_a_short_step_is_the_equation(name, clip):
    plateau, theta, _ = case(name)
    _, pull = plateau._pull(theta, plateau._states(theta))
    square, drift = plateau._noise(theta)
    rate, batch, tiny = 0.7, 2, np.full(len(theta), 1e-5)
    found, states, step, longest = plateau._advance(theta, pull, Descent(rate, batch, clip), tiny)
    norm = np.sqrt((pull**2).sum(axis=1) + plateau._tau * square / batch)
    assert (norm > 0.05).all()
    rate = rate * np.minimum(1, clip / norm)[:, None]
    expected = rate * pull - rate**2 * plateau._tau / (4 * batch) * drift
    assert np.linalg.norm(rate**2 * plateau._tau / (4 * batch) * drift) > 1e-3 * np.linalg.norm(expected)
    np.testing.assert_allclose((found - theta) / step[:, None], expected, atol=1e-4 * abs(expected).max())
    np.testing.assert_array_equal(states, plateau._states(theta + (found - theta)))
    np.testing.assert_array_equal(step, tiny)
    np.testing.assert_array_equal(longest, 2 * tiny)


def test_the_squared_norm_of_a_batchs_gradient_is_that_of_the_pull_and_the_noise():
    plateau, theta, task = case("recall", pairs=128, hidden=16)
    B, count, row = 8, 400, theta[:1]
    row[:, plateau.read_out.places] *= 0.3  # on the plateau ŷ is small
    _, pull = plateau._pull(row, plateau._states(row))
    engine = CompiledEngine(plateau.engine.layout, np.dtype(float), MSELoss())
    batches = Batches(task, TASKS["recall"], B, 0)
    found = engine.differentiate(np.repeat(row, count, axis=0), [next(batches) for _ in range(count)]).gradients
    expected = np.sum(pull**2) + plateau._tau * plateau._noise(row)[0][0] / B
    assert np.mean(np.sum(found**2, axis=1)) == pytest.approx(expected, rel=0.25)
    assert np.sum(pull**2) < 0.5 * expected


def test_a_network_has_left_when_the_mean_of_25_losses_is_below_the_share():
    assert left_at(np.ones(100)) == np.inf
    assert left_at(np.zeros(24)) == np.inf
    assert left_at(np.zeros(30)) == 25
    falls = np.where(np.arange(100) < 40, 1.0, 0.0)  # after three zeros in 25 the mean is 0.88
    assert left_at(falls) == 43
    dip = np.ones(100)
    dip[50:52] = 0.0
    assert left_at(dip) == np.inf
    assert left_at(dip, window=5) == 51


def test_means_over_windows():
    assert averaged(np.arange(30.0), 25).tolist() == [12 + k for k in range(6)]
    assert averaged(np.ones(3), 4).tolist() == []
