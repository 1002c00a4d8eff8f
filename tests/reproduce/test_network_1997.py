import numpy as np
import pytest

from memspan.reproduce.network_1997 import Network1997, read


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def forward(network, hidden, output, x, frozen=None):
    """Evaluate the equations of the module's docstring. If `frozen` is given, it supplies u[t-1] of each step."""
    blocks, size = network.blocks, network.size
    u, s, trace = np.zeros(len(hidden)), np.zeros(blocks * size), []
    for t, inputs in enumerate(x):
        before = u if frozen is None else frozen[t]
        trace.append(before)
        z = hidden @ np.concatenate([inputs, before, [1.0]])
        i, o = sigmoid(z[:blocks]).repeat(size), sigmoid(z[blocks : 2 * blocks]).repeat(size)
        s = s + i * (4 * sigmoid(z[2 * blocks :]) - 2)
        a = o * (2 * sigmoid(s) - 1)
        u = np.concatenate([sigmoid(z[: 2 * blocks]), a])
    z = output @ np.append(a, 1.0)
    return (sigmoid(z) if network.logistic else z), np.array(trace)


@pytest.fixture(params=[True, False], ids=["logistic", "linear"])
def network(request):
    rng = np.random.default_rng(3)
    drawn = Network1997.draw(rng, 3, 2, (-1.0, -2.0, 0.0), size=2, logistic=request.param)
    drawn.hidden[:] += rng.normal(0, 0.7, drawn.hidden.shape)
    drawn.output[:] += rng.normal(0, 0.7, drawn.output.shape)
    return drawn


def test_it_has_the_weights_of_tables_7_and_9():
    assert Network1997.draw(np.random.default_rng(0), 2, 1, (-3.0, -6.0)).weights == 93
    assert Network1997.draw(np.random.default_rng(0), 8, 4, (-2.0, -4.0)).weights == 156
    assert Network1997.draw(np.random.default_rng(0), 8, 8, (-2.0, -4.0, -6.0)).weights == 308


def test_initial_weights_are_the_papers():
    drawn = Network1997.draw(np.random.default_rng(0), 2, 1, (-3.0, -6.0))
    assert drawn.hidden[:2, -1].tolist() == [-3.0, -6.0]
    others = np.append(drawn.hidden[2:].ravel(), drawn.hidden[:2, :-1].ravel())
    assert np.abs(others).max() <= 0.1
    assert np.abs(drawn.output).max() <= 0.1
    assert others.std() == pytest.approx(0.1 / 3**0.5, rel=0.2)


def test_the_answer_is_that_of_the_equations(network):
    x = np.random.default_rng(1).normal(size=(9, 3))
    expected, _ = forward(network, network.hidden, network.output, x)
    np.testing.assert_allclose(network.predict(x), expected, rtol=1e-13)


def test_the_compiled_pass_is_the_one_that_is_read(network):
    x = np.random.default_rng(1).normal(size=(7, 3))
    arguments = (x, network.hidden, network.output, network.blocks, network.size)
    for compiled, plain in zip(network._read(x)[1:], read(*arguments)[1:], strict=True):
        np.testing.assert_allclose(compiled, plain, rtol=1e-13)


def test_the_gradient_is_that_of_a_network_whose_past_outputs_are_constants(network):
    """If u[t-1] is held constant, the complex step gives the paper's truncated gradient."""
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(12, 3)), rng.uniform(size=2)
    _, frozen = forward(network, network.hidden, network.output, x)
    _, *gradients = network.gradient(x, y)
    for which, gradient in enumerate(gradients):
        for place in np.ndindex(gradient.shape):
            weights = [network.hidden.astype(complex), network.output.astype(complex)]
            weights[which][place] += 1e-30j
            answer, _ = forward(network, *weights, x, frozen)
            slope = (((answer - y) ** 2).sum() / 2).imag / 1e-30
            assert gradient[place] == pytest.approx(slope, rel=1e-11, abs=1e-18)


def test_it_is_not_the_gradient_of_the_loss(network):
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(12, 3)), rng.uniform(size=2)
    _, d_hidden, _ = network.gradient(x, y)
    weights = network.hidden.astype(complex)
    place = (2 * network.blocks, 3)  # from the first input gate to the first cell
    weights[place] += 1e-30j
    answer, _ = forward(network, weights, network.output.astype(complex), x)
    assert abs((((answer - y) ** 2).sum() / 2).imag / 1e-30 / d_hidden[place] - 1) > 1e-3


def test_learning_goes_down_the_gradient(network):
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(12, 3)), rng.uniform(size=2)
    before, (answer, d_hidden, d_output) = network.hidden.copy(), network.gradient(x, y)
    output = network.output.copy()
    assert network.learn(x, y, 0.25).tolist() == answer.tolist()
    np.testing.assert_array_equal(network.hidden, before - 0.25 * d_hidden)
    np.testing.assert_array_equal(network.output, output - 0.25 * d_output)
