"""A learner that trains a PyTorch model is saved and goes on, bit for bit."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from memspan import RNN, Adam, Batches, Chain, ClipByNorm, InvalidArgument, Learner, Recall  # noqa: E402
from memspan.torch import Form, Sequence, TorchNetwork, make_network  # noqa: E402
from memspan.torch.mistakes import RightModel  # noqa: E402

FIT = {
    "evaluate_every": 10,
    "evaluation_batches": 1,
    "final_batches": 2,
    "stop_when_solved": False,
    "progress": False,
}


def lstm(features, outputs, hidden=4):
    """Half of the biases are frozen, at random values."""
    layer = torch.nn.LSTM(features, hidden)
    layer.bias_hh_l0.requires_grad_(False)
    return Sequence(layer, hidden, outputs)


def renamed(features, outputs, hidden=4):
    return lstm(features, outputs, hidden)


def gru(features, outputs, hidden=4):
    return Sequence(torch.nn.GRU(features, hidden), hidden, outputs)


def network(factory=lstm, **options):
    return make_network(factory, 1, 1, **{"hidden": 4, "rng": 3, **options})


def learner(engine=None, **options):
    model = network(**options)
    batches = Batches(Recall(), 5, 8, 1, model.dtype)
    return Learner(model, Recall().make_loss(), batches, Chain(ClipByNorm(0.5), Adam(1e-2)), engine=engine)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "learner.safetensors"


@pytest.fixture
def saved(path):
    """A file of a learner after 15 updates."""
    stopped = learner()
    stopped.fit(15, **FIT)
    stopped.save(path)
    return path


@pytest.mark.parametrize(
    "options",
    [{"dtype": "float32"}, {"dtype": "float64"}, {"factory": RightModel, "engine": Form("vmap-forward", 2)}],
)
def test_a_loaded_learner_goes_on_as_if_it_had_not_stopped(path, options):
    stopped, straight = learner(**options), learner(**options)
    stopped.fit(15, **FIT)
    stopped.save(path)
    made = {name: value for name, value in options.items() if name != "engine"}
    model = network(**made)
    loaded = Learner.load(path, model=model, engine=options.get("engine"))
    assert loaded.model is model
    assert (loaded.updates, loaded.history) == (15, stopped.history)
    straight.fit(15, **FIT)
    for one in (loaded, straight):
        one.fit(15, **FIT)
    assert loaded.history == straight.history
    np.testing.assert_array_equal(loaded.model.parameters, straight.model.parameters)
    for mine, theirs in zip(loaded.state, straight.state, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert loaded.history.loss[-1] != stopped.history.loss[-1]


def test_the_initial_weights_of_the_passed_network_do_not_matter(saved):
    model = network()
    model.parameters[:] = 0.25
    loaded = Learner.load(saved, model=model)
    assert not np.any(loaded.model.parameters == 0.25)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            None,
            "model must be passed, because the file has the weights of .*:lstm, but not its code, got N",
        ),
        (RNN(1, 4, 1), "model must be passed, because"),
        ("lstm", "model must be passed, because"),
        ({"factory": renamed}, "model must be like the saved one, with name '.*:lstm', got '.*:renamed'"),
        ({"hidden": 5}, "model must be like the saved one, with hidden_size 4, got 5"),
        ({"dtype": "float64"}, "model must be like the saved one, with dtype 'float32', got 'float64'"),
        ({"output_steps": 2}, "model must be like the saved one, with output_steps None, got 2"),
        ({"rng": 4}, "like the saved one, with the same frozen parameters and buffers"),
    ],
)
def test_a_model_that_does_not_fit_is_refused(saved, model, message):
    given = network(**model) if isinstance(model, dict) else model
    before = given.parameters.copy() if isinstance(model, dict) else None
    with pytest.raises(InvalidArgument, match=message):
        Learner.load(saved, model=given)
    if before is not None:
        np.testing.assert_array_equal(given.parameters, before)


def test_weights_of_other_names_are_refused(saved):
    model = network(gru)
    other = TorchNetwork(model.module, 1, 1, name=network().name)
    with pytest.raises(InvalidArgument, match=r"with weights \(\('module.weight_ih_l0', \(16, 1\)\), .*\(12, 1\)"):
        Learner.load(saved, model=other)


def test_a_network_of_memspan_needs_no_model(path):
    own = Learner(RNN(1, 3, 1, rng=0), Recall().make_loss(), Batches(Recall(), 3, 4, 1), Adam())
    own.save(path)
    with pytest.raises(InvalidArgument, match="model must be left out, because the file says all"):
        Learner.load(path, model=network())
