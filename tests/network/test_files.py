import json
import os
import pickle
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.numpy import load_file, save

from memspan import (
    CELLS,
    GRU,
    LSTM,
    RNN,
    SGD,
    Batches,
    InvalidArgument,
    Learner,
    MSELoss,
    Network,
    Recall,
    UnreadableFile,
    leaky,
)
from memspan.cells import lstm
from memspan.cells.activations import tanh, tanh_derivative
from memspan.runtime.tensors import checksum_of

X = np.random.default_rng(0).uniform(-1, 1, (5, 3, 2))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "network.safetensors"


def assert_same(loaded, saved):
    """Equal to the last bit, also of zeros with a sign."""
    assert type(loaded) is type(saved)
    assert loaded.cell.forward is saved.cell.forward
    assert (loaded.dtype, loaded.output_steps, loaded.layout.shapes) == (
        saved.dtype,
        saved.output_steps,
        saved.layout.shapes,
    )
    assert loaded.parameters.tobytes() == saved.parameters.tobytes()
    assert loaded.trace is loaded.grads is None
    np.testing.assert_array_equal(loaded.predict(X), saved.predict(X))


# --- there and back -------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("cell", CELLS)
def test_every_cell_comes_back_bit_for_bit(path, cell, dtype):
    network = Network(cell, 2, 4, 3, dtype=dtype, rng=0)
    network.save(path)
    assert_same(Network.load(path), network)


@pytest.mark.parametrize("kind", [RNN, LSTM, GRU])
def test_a_named_network_comes_back_as_one(path, kind):
    network = kind(2, 4, 3, output_steps=2, rng=0)
    network.save(str(path))
    for loader in (kind, Network):
        assert_same(loader.load(str(path)), network)


def test_an_rnn_keeps_its_activation_and_an_lstm_its_forget_bias(path):
    for network in (RNN(2, 4, 3, activation="relu", rng=0), LSTM(2, 4, 3, forget_bias=2.5, rng=0)):
        network.save(path)
        assert_same(type(network).load(path), network)


numbers = st.floats(allow_nan=False, allow_infinity=False, width=32)


@given(st.lists(numbers, min_size=8, max_size=8), st.sampled_from(["float32", "float64"]))
def test_all_numbers_come_back_bit_for_bit(tmp_path_factory, weights, dtype):
    path = tmp_path_factory.mktemp("drawn") / "network.safetensors"
    network = Network("rnn", 2, 1, 2, dtype=dtype, rng=0)
    network.parameters[:] = weights
    network.save(path)
    assert Network.load(path).parameters.tobytes() == network.parameters.tobytes()


def test_the_weights_stand_in_the_file_by_name(path):
    network = Network("lru", 2, 4, 3, rng=0)
    network.save(path)
    found = load_file(path)
    assert found.keys() == {"W", "bs", "V", "by", "U"}
    for name, weight in network.get_weights().items():
        np.testing.assert_array_equal(found[name], weight)
    with safe_open(path, framework="numpy") as file:
        said = json.loads(file.metadata()["memspan"])
    assert said.pop("checksum")
    assert said.pop("version")
    assert said == {
        "format": "memspan network 1",
        "kind": "Network",
        "cell": "lru",
        "input_size": 2,
        "hidden_size": 4,
        "output_size": 3,
        "dtype": "float64",
        "output_steps": None,
    }


def test_saving_changes_nothing_and_can_be_repeated(path):
    network = LSTM(2, 4, 3, rng=0)
    before = network.parameters.tobytes()
    network.save(path)
    first = path.read_bytes()
    Network.load(path).save(path)
    assert path.read_bytes() == first
    assert network.parameters.tobytes() == before


def test_a_loaded_network_learns_as_the_saved_one(path):
    network = GRU(2, 4, 3, rng=0)
    network.save(path)
    for each in (network, loaded := Network.load(path)):
        each.forward(X)
        each.backward(np.ones((3, 3)))
        each.update(0.1)
    assert loaded.parameters.tobytes() == network.parameters.tobytes()


# --- cells of one's own ---------------------------------------------------------------------------------


def own_forward(s, previous, unit):
    return (tanh(s[0]),), ()


def own_backward(d_state, residuals, previous, state, unit):
    return (d_state[0] * tanh_derivative(state[0]),), (0.0,), ()


OWN = replace(CELLS["rnn"], name="mine", forward=own_forward, backward=own_backward)


def test_a_cell_of_ones_own_is_passed_again(path):
    network = Network(OWN, 2, 4, 3, rng=0)
    network.save(path)
    message = "cell must be passed, because 'mine' is not one of memspan's cells, got None"
    with pytest.raises(InvalidArgument, match=message):
        Network.load(path)
    loaded = Network.load(path, cell=OWN)
    assert loaded.cell is OWN
    assert_same(loaded, network)


@pytest.mark.parametrize("cell", [replace(OWN, name="rnn"), leaky(0.3)], ids=lambda cell: cell.name)
def test_a_cell_that_only_has_the_name_of_one_of_memspans_is_another(path, cell):
    network = Network(cell, 2, 4, 3, rng=0)
    network.save(path)
    with pytest.raises(InvalidArgument, match=f"cell must be passed, because 'another {cell.name}' is not one of"):
        Network.load(path)
    assert_same(Network.load(path, cell=cell), network)


def test_a_cell_that_only_began_otherwise_is_memspans(path):
    network = Network(lstm(forget_bias=0.5), 2, 4, 3, rng=0)
    network.save(path)
    assert Network.load(path).cell is CELLS["lstm"]
    assert Network.load(path, cell=network.cell).cell is network.cell


@pytest.mark.parametrize("saved", ["gru-before", OWN])
def test_another_cell_is_refused_even_if_its_weights_have_the_same_shapes(path, saved):
    network = Network(saved, 2, 4, 3, rng=0)
    network.save(path)
    other = CELLS["lstm-1997" if saved == "gru-before" else "leaky"]
    assert Network(other, 2, 4, 3).layout.shapes == network.layout.shapes
    rule = (
        f"cell must be the cell of the saved network, which has the name '{network.cell.name}', got '{other.name}'"
    )
    with pytest.raises(InvalidArgument, match=rule):
        Network.load(path, cell=other)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (CELLS["lstm"], r"must contain W as float64 \(2, 16\), but contains float64 \(2, 4\)"),
        (CELLS["mingru"], "contains R, which the cell mine does not have"),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_so_is_one_of_that_name_with_other_weights(path, other, message):
    Network(OWN, 2, 4, 3, rng=0).save(path)
    with pytest.raises(UnreadableFile, match=message):
        Network.load(path, cell=replace(other, name="mine"))


@pytest.mark.parametrize("cell", ["rnn", len, 3], ids=str)
def test_what_is_no_cell_is_refused(path, cell):
    RNN(2, 4, 3, rng=0).save(path)
    with pytest.raises(InvalidArgument, match="cell must be a Cell, got"):
        Network.load(path, cell=cell)


@pytest.mark.parametrize("network", [RNN(1, 3, 1, rng=0), LSTM(1, 3, 1, rng=0), GRU(1, 3, 1, rng=0)])
def test_a_named_network_has_a_cell_of_its_own(path, network):
    network.save(path)
    other = replace(network.cell, forward=lambda *arguments: network.cell.forward(*arguments))
    with pytest.raises(InvalidArgument, match=f"cell must be omitted, because a saved {type(network).__name__}"):
        Network.load(path, cell=other)
    assert_same_weights = Network.load(path, cell=network.cell)
    assert type(assert_same_weights) is type(network)


# --- what cannot be saved -------------------------------------------------------------------------------


class OwnNetwork(Network):
    pass


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (OwnNetwork("rnn", 2, 4, 3), "network must be a Network, RNN, LSTM or GRU, to be saved, got OwnNetwork"),
        (
            Network("rnn", 2, 4, 3, dtype="complex128"),
            "network must be of float32 or float64, to be saved, got complex128",
        ),
    ],
    ids=["class", "dtype"],
)
def test_what_could_not_be_loaded_is_not_saved(path, network, message):
    with pytest.raises(InvalidArgument, match=message):
        network.save(path)
    assert not path.exists()


@pytest.mark.parametrize("where", [3, b"x", None], ids=str)
def test_a_path_is_a_path(where):
    for call in (RNN(2, 4, 3).save, Network.load):
        with pytest.raises(InvalidArgument, match="path must be"):
            call(where)


def test_a_folder_that_is_not_there_is_pythons_own_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        RNN(2, 4, 3).save(tmp_path / "nowhere" / "network.safetensors")


@pytest.mark.parametrize("function", ["replace", "fsync"])
def test_a_failed_save_leaves_the_old_file_and_nothing_else(path, monkeypatch, function):
    def refuse(*arguments):
        raise OSError("no space left")

    RNN(2, 4, 3, rng=0).save(path)
    before = path.read_bytes()
    monkeypatch.setattr(os, function, refuse)
    with pytest.raises(OSError, match="no space left"):
        RNN(2, 4, 3, rng=1).save(path)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


# --- files that are no networks -------------------------------------------------------------------------


@pytest.fixture
def good(path):
    """The bytes of a saved network."""
    Network("lru", 1, 2, 1, rng=0).save(path)
    return path.read_bytes()


def test_no_part_of_a_file_and_no_more_than_a_file_is_a_file(path, good):
    for contents in (*(good[:size] for size in range(0, len(good), 7)), good + b"\0"):
        path.write_bytes(contents)
        with pytest.raises(UnreadableFile, match="is not a complete safetensors file"):
            Network.load(path)


def test_every_flipped_bit_is_noticed(path, good):
    rng = np.random.default_rng(0)
    for place in range(0, len(good), 3):
        damaged = bytearray(good)
        damaged[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        with pytest.raises(UnreadableFile):
            Network.load(path)


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (b"", "is not a complete safetensors file"),
        (b"W,R\n1,0.5\n" * 100, "is not a complete safetensors file"),
        (pickle.dumps({"W": np.zeros(3)}), "is not a complete safetensors file"),
        (save({"W": np.zeros(3)}), "is a safetensors file, but not a saved network"),
        (save({"W": np.zeros(3)}, {"memspan": "not JSON"}), "The header of .* is invalid"),
        (save({"W": np.zeros(3)}, {"memspan": "{}"}), "The header of .* is invalid"),
    ],
    ids=["empty", "text", "pickle", "safetensors of others", "no JSON", "an empty header"],
)
def test_foreign_files_are_refused(path, contents, message):
    path.write_bytes(contents)
    with pytest.raises(UnreadableFile, match=message) as caught:
        Network.load(path)
    assert str(path) in str(caught.value)


def test_a_folder_is_refused_and_a_missing_file_is_pythons_own_error(tmp_path, path):
    with pytest.raises(UnreadableFile, match="is a folder, not a saved network"):
        Network.load(tmp_path)
    with pytest.raises(FileNotFoundError):
        Network.load(path)


def test_a_learner_is_no_network_and_a_network_no_learner(path):
    learner = Learner(RNN(1, 3, 1, rng=0), MSELoss(), Batches(Recall(), 3, 4, rng=1), SGD(0.1))
    learner.save(path)
    with pytest.raises(UnreadableFile, match=r"is a saved learner, not a saved network: use Learner\.load\."):
        Network.load(path)
    learner.model.save(path)
    with pytest.raises(UnreadableFile, match=r"is a saved network, not a saved learner: use Network\.load\."):
        Learner.load(path)


@pytest.mark.parametrize(("saved", "loader"), [(LSTM, RNN), (Network, GRU), (RNN, LSTM)])
def test_another_class_is_refused(path, saved, loader):
    network = Network("gru", 1, 2, 1) if saved is Network else saved(1, 2, 1)
    network.save(path)
    message = f"is a saved network of the class {saved.__name__}, not {loader.__name__}. Use {saved.__name__}.load"
    with pytest.raises(UnreadableFile, match=message):
        loader.load(path)


def rewrite(path, header=None, arrays=None):
    """Change the header or the arrays of a saved file, with the right checksum; None removes an array."""
    with safe_open(path, framework="numpy") as file:
        said = json.loads(file.metadata()["memspan"])
    held = {name: array for name, array in {**load_file(path), **(arrays or {})}.items() if array is not None}
    said |= {"checksum": "", **(header or {})}
    said["checksum"] = checksum_of(json.dumps(said), held)
    path.write_bytes(save(held, {"memspan": json.dumps(said)}))


def test_rewriting_alone_breaks_nothing(path, good):
    rewrite(path)
    assert Network.load(path).cell.name == "lru"


BAD_HEADERS = [
    {"hidden_size": 0},
    {"hidden_size": 3},
    {"hidden_size": 2.5},
    {"hidden_size": 10**30},
    {"input_size": 10**12},
    {"output_size": -1},
    {"output_steps": 0},
    {"dtype": "float32"},
    {"dtype": "complex128"},
    {"kind": "Transformer"},
    {"kind": "LSTM"},
    {"cell": "lstm"},
    {"cell": 3},
    {"format": "memspan network 2"},
    {"format": "memspan forest 1"},
    {"extra": 1},
]


@pytest.mark.parametrize("change", BAD_HEADERS, ids=str)
def test_a_header_that_cannot_be_right_is_refused_before_anything_is_made(path, good, change):
    rewrite(path, header=change)
    tracemalloc.start()
    with pytest.raises(UnreadableFile, match=str(path)):
        Network.load(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10e6


@pytest.mark.parametrize(
    "change",
    [
        {"W": None},
        {"W": np.zeros((1, 4), np.float32)},
        {"W": np.zeros((4, 1))},
        {"U": np.zeros((3, 3))},
        {"R": np.zeros((2, 2))},
        {"V": np.array([[np.nan], [0.0]])},
        {"by": np.array([[np.inf]])},
    ],
    ids=str,
)
def test_arrays_that_do_not_fit_the_header_are_refused(path, good, change):
    rewrite(path, arrays=change)
    with pytest.raises(UnreadableFile, match=str(path)):
        Network.load(path)
