import numpy as np
import pytest

from memspan import CELLS, INITIALIZERS, LSTM, RNN, InvalidArgument, Network, recurrent_spectra


@pytest.mark.parametrize("name", CELLS)
def test_each_gate_has_the_spectrum_of_its_block(name):
    network, cell = Network(name, 2, 5, 1, dtype="float32", rng=0), CELLS[name]
    found = recurrent_spectra(network)
    blocks = [
        network.R[state * 5 : (state + 1) * 5, gate * 5 : (gate + 1) * 5].astype(float)
        for gate in range(len(cell.recurrent_gates))
        for state in range(len(cell.reads))
    ]
    assert len(found) == len(blocks)
    for spectrum, block in zip(found.values(), blocks, strict=True):
        assert spectrum.radius == pytest.approx(np.abs(np.linalg.eigvals(block)).max())
        assert spectrum.norm == pytest.approx(np.linalg.norm(block, 2))
        assert np.prod(spectrum.eigenvalues).real == pytest.approx(np.linalg.det(block))
        assert np.prod(spectrum.singular_values) == pytest.approx(abs(np.linalg.det(block)))
        assert np.all(np.diff(np.abs(spectrum.eigenvalues)) <= 1e-12)
        assert spectrum.radius <= spectrum.norm


def test_the_keys_are_the_gates():
    assert list(recurrent_spectra(RNN(1, 3, 1))) == ["a"]
    assert list(recurrent_spectra(LSTM(1, 3, 1))) == ["i", "f", "g", "o"]
    assert list(recurrent_spectra(Network("gru", 1, 3, 1))) == ["r", "z", "u"]
    assert list(recurrent_spectra(Network("cornn", 1, 3, 1))) == ["h from a", "h from z"]
    assert recurrent_spectra(Network("lru", 1, 3, 1)) == {}


def test_of_a_scaled_rotation_and_of_a_shift():
    network = RNN(1, 4, 1, rng=0)
    network.R = 0.7 * INITIALIZERS["orthogonal"].recurrent(np.random.default_rng(0), 4, 4)
    spectrum = recurrent_spectra(network)["a"]
    np.testing.assert_allclose(np.abs(spectrum.eigenvalues), 0.7)
    np.testing.assert_allclose(spectrum.singular_values, 0.7)
    network.R = np.diag([3.0, 2.0, 1.0], 1)  # nilpotent: no eigenvalue tells of its norm
    spectrum = recurrent_spectra(network)["a"]
    assert (spectrum.radius, spectrum.norm) == (0, 3)


def test_what_has_no_spectrum_is_refused():
    with pytest.raises(InvalidArgument, match="network must be a Network, got 'rnn'"):
        recurrent_spectra("rnn")
    with pytest.raises(InvalidArgument, match="network must be one with real and finite recurrent weights"):
        recurrent_spectra(RNN(1, 3, 1, dtype="complex128"))
    network = RNN(1, 3, 1)
    network.R[0, 0] = np.inf
    with pytest.raises(InvalidArgument, match="network must be one with real and finite recurrent weights"):
        recurrent_spectra(network)


def test_a_spectrum_says_in_one_line_what_it_is():
    network = RNN(1, 2, 1)
    network.R = np.array([[0.5, 0.0], [0.0, -2.0]])
    assert repr(recurrent_spectra(network)["a"]) == "<RecurrentSpectrum: H = 2, radius 2, norm 2>"
