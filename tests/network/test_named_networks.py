import numpy as np
import pytest

from memspan import (
    GRU,
    INITIALIZERS,
    LSTM,
    RNN,
    SGD,
    InvalidArgument,
    Learner,
    MSELoss,
    Network,
    generate_samples,
    gradient_check,
    lstm,
)

NAMED = {"rnn": RNN, "lstm": LSTM, "gru": GRU}


@pytest.fixture
def x():
    return np.random.default_rng(1).uniform(-1, 1, (6, 4, 2))


@pytest.mark.parametrize(
    "options",
    [{}, {"init": "orthogonal", "gain": 0.9, "recurrent_gain": 2.0}, {"dtype": "float32"}, {"output_steps": 3}],
    ids=str,
)
@pytest.mark.parametrize("cell", NAMED)
def test_a_named_network_is_the_network_of_its_cell_bit_for_bit(cell, options, x):
    networks = NAMED[cell](2, 5, 3, rng=0, **options), Network(cell, 2, 5, 3, rng=0, **options)
    found = []
    for network in networks:
        y_hat = network.forward(x)
        grads = network.backward(np.ones_like(y_hat))
        kept = [y_hat, *grads.values()]
        network.update(0.1)
        found.append([*kept, network.parameters])
    for mine, theirs in zip(*found, strict=True):
        assert mine.dtype == theirs.dtype
        np.testing.assert_array_equal(mine, theirs)
    assert networks[0].cell == networks[1].cell


@pytest.mark.parametrize("init", INITIALIZERS)
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_every_initializer_is_the_same(cell, init):
    mine, theirs = NAMED[cell](2, 5, 3, init=init, rng=0), Network(cell, 2, 5, 3, init=init, rng=0)
    np.testing.assert_array_equal(mine.parameters, theirs.parameters)


def test_the_forget_bias_is_that_of_the_cell():
    mine, theirs = LSTM(2, 5, 3, forget_bias=2.5, rng=0), Network(lstm(2.5), 2, 5, 3, rng=0)
    np.testing.assert_array_equal(mine.parameters, theirs.parameters)
    assert set(mine.bs[5:10, 0]) == {2.5}
    with pytest.raises(InvalidArgument, match="forget_bias must be"):
        LSTM(2, 5, 3, forget_bias="open")


def sigma(s):
    return 1 / (1 + np.exp(-s))


def test_the_equations_of_the_lstm_are_those_of_its_docstring(x):
    network = LSTM(2, 5, 3, init="glorot", rng=0)
    y_hat, (W, R, bs, V, by, _) = network.forward(x[:, :1]), network.weights
    d = np.array([[1.0, -2.0, 0.5]])
    grads, trace = network.backward(d), network.trace
    a, c, states = np.zeros(5), np.zeros(5), []
    for t in range(6):
        s = W.T @ x[t, 0] + R.T @ a + bs[:, 0]
        i, f, g, o = sigma(s[:5]), sigma(s[5:10]), np.tanh(s[10:15]), sigma(s[15:])
        previous, c = c, f * c + i * g
        states.append((i, f, g, o, previous, c, a))
        a = o * np.tanh(c)
    np.testing.assert_allclose(y_hat[0], V.T @ a + by[:, 0], rtol=1e-13)
    np.testing.assert_allclose(trace.a[-1, 0], a, rtol=1e-13)
    d_a, from_later = V @ d[0], np.zeros(5)
    for t in reversed(range(6)):
        i, f, g, o, previous, c, a_before = states[t]
        d_c = d_a * o * (1 - np.tanh(c) ** 2) + from_later
        delta = [d_c * g * i * (1 - i), d_c * previous * f * (1 - f), d_c * i * (1 - g**2)]
        delta = np.concatenate([*delta, d_a * np.tanh(c) * o * (1 - o)])
        np.testing.assert_allclose(grads.d_a[t, 0], d_a, rtol=1e-11)
        np.testing.assert_allclose(grads["d_W"][t], np.outer(x[t, 0], delta), rtol=1e-11)
        np.testing.assert_allclose(grads["d_R"][t], np.outer(a_before, delta), rtol=1e-11)
        np.testing.assert_allclose(grads["d_bs"][t, :, 0], delta, rtol=1e-11)
        d_a, from_later = R @ delta, d_c * f


def test_the_equations_of_the_gru_are_those_of_its_docstring(x):
    network = GRU(2, 5, 3, init="glorot", rng=0)
    y_hat, (W, R, bs, V, by, _) = network.forward(x[:, :1]), network.weights
    W_n, W_r, W_z = W[:, :5], W[:, 5:10], W[:, 10:]
    R_r, R_z, R_u = R[:, :5], R[:, 5:10], R[:, 10:]
    b_n, b_r, b_z, b_u = np.split(bs[:, 0], 4)
    d = np.array([[1.0, -2.0, 0.5]])
    grads = network.backward(d)
    a, states = np.zeros(5), []
    for t in range(6):
        r, z = (sigma(w.T @ x[t, 0] + m.T @ a + b) for w, m, b in ((W_r, R_r, b_r), (W_z, R_z, b_z)))
        u = R_u.T @ a + b_u
        n = np.tanh(W_n.T @ x[t, 0] + b_n + r * u)
        states.append((n, r, z, u, a))
        a = (1 - z) * n + z * a
    np.testing.assert_allclose(y_hat[0], V.T @ a + by[:, 0], rtol=1e-13)
    d_a = V @ d[0]
    for t in reversed(range(6)):
        n, r, z, u, a = states[t]
        d_n = d_a * (1 - z) * (1 - n**2)
        d_u, d_r, d_z = d_n * r, d_n * u * r * (1 - r), d_a * (a - n) * z * (1 - z)
        np.testing.assert_allclose(grads.d_a[t, 0], d_a, rtol=1e-11)
        np.testing.assert_allclose(grads["d_W"][t], np.outer(x[t, 0], [*d_n, *d_r, *d_z]), rtol=1e-11)
        np.testing.assert_allclose(grads["d_R"][t], np.outer(a, [*d_r, *d_z, *d_u]), rtol=1e-11)
        np.testing.assert_allclose(grads["d_bs"][t, :, 0], [*d_n, *d_r, *d_z, *d_u], rtol=1e-11)
        d_a = R_r @ d_r + R_z @ d_z + R_u @ d_u + d_a * z


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_the_gradient_check_passes(cell, x):
    assert gradient_check(NAMED[cell](2, 4, 1, rng=0), x)


@pytest.mark.parametrize("engine", ["compiled", "readable"])
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_both_engines_train_it_as_the_network_of_its_cell(cell, engine):
    trained = []
    for network in (NAMED[cell](1, 4, 1, rng=0), Network(cell, 1, 4, 1, rng=0)):
        learner = Learner(network, MSELoss(), generate_samples(4, 3, rng=1), SGD(0.1), engine=engine)
        learner.fit(5, progress=False)
        trained.append(network.parameters)
    np.testing.assert_array_equal(*trained)
