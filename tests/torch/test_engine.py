"""The forms of the engine: the numbers of each network alone, to the last bit whatever the other networks are."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from torch_twins import lstm  # noqa: E402

from memspan import Ensemble, InvalidArgument, Learner, MSELoss, Network, SoftmaxCrossEntropy  # noqa: E402
from memspan.diagnostics.flow import norms_of  # noqa: E402
from memspan.tasks import Batches, Recall  # noqa: E402
from memspan.torch import Form, Steps, make_network  # noqa: E402
from memspan.training.optimizers import SGD  # noqa: E402

T, B, H, M = 6, 16, 8, 5
FORMS = [
    Form("loop"),
    Form("vmap-grad", 3),
    Form("vmap-forward", 3),
    Form("vmap-grad", 5),
    Form("vmap-forward", 8),
]
every_form = pytest.mark.parametrize("form", FORMS, ids=str)


class Tanh(torch.nn.Module):
    """A cell with a parameter that is not trained and a buffer, which differ between networks."""

    def __init__(self, features, hidden):
        super().__init__()
        self.W, self.R = torch.nn.Linear(features, hidden), torch.nn.Linear(hidden, hidden)
        self.W.weight.requires_grad_(False)
        self.register_buffer("scale", torch.rand(hidden))

    def forward(self, x, h):
        return torch.tanh(self.W(x) + self.R(self.scale * h))


def tanh(features, outputs, hidden=H):
    return Steps(Tanh(features, hidden), hidden, outputs, state=hidden)


def networks(dtype="float64", output_steps=None, outputs=1, features=1):
    how = {"hidden": H, "dtype": dtype, "output_steps": output_steps}
    return [make_network(tanh, features, outputs, **how, rng=seed) for seed in range(M)]


def batches(count=M, length=T, dtype="float64"):
    return [next(Batches(Recall(), length, B, seed, dtype)) for seed in range(count)]


def stacked(models):
    return np.stack([model.parameters for model in models])


@every_form
def test_the_numbers_of_each_network(form):
    models, data, loss = networks(), batches(), MSELoss()
    found = form.make_engine(models, loss).differentiate(stacked(models), data, norms=[1, 4])
    for k, (model, (x, y)) in enumerate(zip(models, data, strict=True)):
        assert found.losses[k] == pytest.approx(loss.forward(model.forward(x), y), rel=1e-14)
        grads = model.backward(loss.backward())
        np.testing.assert_allclose(found.gradients[k], grads.total(), rtol=1e-11, atol=1e-15)
        if k in (1, 4):
            np.testing.assert_allclose(found.norms[(1, 4).index(k)], norms_of(grads.d_a), rtol=1e-11)


@every_form
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_no_bit_depends_on_the_other_networks(form, dtype):
    models, data = networks(dtype), batches(dtype=dtype)
    whole = form.make_engine(models, MSELoss()).differentiate(stacked(models), data)
    for rows in ([0], [4], [3, 1], [4, 3, 2, 1, 0], [2, 0, 4, 1]):
        some = [models[k] for k in rows]
        part = form.make_engine(some, MSELoss()).differentiate(stacked(some), [data[k] for k in rows])
        np.testing.assert_array_equal(part.gradients, whole.gradients[rows])
        np.testing.assert_array_equal(part.losses, whole.losses[rows])


@every_form
def test_truncation(form):
    models, data, loss = networks(), batches(), MSELoss()
    found = form.make_engine(models, loss, truncate=2).differentiate(stacked(models), data, norms=[3])
    for k, (model, (x, y)) in enumerate(zip(models, data, strict=True)):
        assert found.losses[k] == pytest.approx(loss.forward(model.forward(x), y), rel=1e-14)
        grads = model.backward(loss.backward(), truncate=2)
        np.testing.assert_allclose(found.gradients[k], grads.total(), rtol=1e-10, atol=1e-15)
    assert found.norms[0][-2:].all()
    assert not found.norms[0][:-2].any()


@every_form
def test_a_measurement_does_not_change_the_numbers(form):
    models, data = networks("float32"), batches(dtype="float32")
    engine = form.make_engine(models, MSELoss())
    without, measured = (engine.differentiate(stacked(models), data, norms=norms) for norms in ((), (0, 2)))
    np.testing.assert_array_equal(without.gradients, measured.gradients)


@every_form
def test_batches_of_several_shapes_and_several_answers(form):
    models, loss, rng = (
        networks(output_steps=2, outputs=3, features=2),
        SoftmaxCrossEntropy(),
        np.random.default_rng(0),
    )
    sizes = [(T + (k == 2), B - k % 2) for k in range(M)]
    data = [(rng.uniform(-1, 1, (*size, 2)), rng.dirichlet(np.ones(3), (2, size[1]))) for size in sizes]
    found = form.make_engine(models, loss).differentiate(stacked(models), data)
    for k, (model, (x, y)) in enumerate(zip(models, data, strict=True)):
        assert found.losses[k] == pytest.approx(loss.forward(model.forward(x), y), rel=1e-14)
        np.testing.assert_allclose(
            found.gradients[k], model.backward(loss.backward()).total(), rtol=1e-10, atol=1e-15
        )


@pytest.mark.parametrize("before", [False, True])
def test_denormal_numbers_are_zero_inside_alone(before):
    model = networks("float32")[0]
    model.set_weights({name: part * 1e-3 for name, part in model.get_weights().items()})
    x, y = batches(length=40, dtype="float32")[0]
    torch.set_flush_denormal(before)
    try:
        found = Form("loop").make_engine([model], MSELoss()).differentiate(stacked([model]), [(x, y)], norms=[0])
        assert (float(np.float32(2e-38) * np.float32(0.25)) == 0) == before
    finally:
        torch.set_flush_denormal(False)
    norms = found.norms[0]
    assert not norms[0].any()
    assert (norms[norms > 0] >= np.finfo(np.float32).tiny).all()


def test_a_network_that_diverges_leaves_and_the_others_do_not_notice():
    models = networks("float32")
    models[1].parameters[:] = 1e38
    both = []
    for some in (models, [models[2].astype("float32")]):
        streams = [Batches(Recall(), T, B, 2 if len(some) == 1 else k, "float32") for k in range(len(some))]
        ensemble = Ensemble(some, MSELoss(), streams, SGD(0.1), engine=Form("vmap-grad", 3))
        results = ensemble.fit(5, progress=False, final_batches=1, stop_when_solved=False)
        both.append((results, ensemble.members[0 if len(some) == 1 else 2].model.parameters.copy()))
    (results, third), (_, alone) = both
    assert [str(result.outcome) for result in results] == ["unsolved", "diverged", *["unsolved"] * 3]
    np.testing.assert_array_equal(third, alone)


def test_the_readable_engine_leaves_the_gradients_in_the_network():
    model = make_network(lstm, 1, 1, hidden=H, rng=0)
    learner = Learner(model, MSELoss(), Batches(Recall(), T, B, 1, "float32"), SGD(0.1), engine="readable")
    learner.fit(2, progress=False, final_batches=1)
    assert model.grads.d_a.shape == (T, B, H)


def test_wrong_engines():
    for form, message in (
        (lambda: Form("jit"), "form must be one of loop, vmap-grad, vmap-forward, got 'jit'"),
        (lambda: Form("vmap-grad", 0), "group must be a whole number of at least 1, got 0"),
        (lambda: Form("loop", 2), "group must be 1 for the form 'loop', got 2"),
    ):
        with pytest.raises(InvalidArgument, match=message):
            form()
    stream = Batches(Recall(), T, B, 0, "float32")
    with pytest.raises(InvalidArgument, match="engine must be 'readable' or an engine for a TorchN"):
        Learner(make_network(lstm, 1, 1, rng=0), MSELoss(), stream, SGD(0.1), engine="compiled")
    with pytest.raises(InvalidArgument, match="engine must be one of compiled, readable, got Form"):
        Learner(Network("rnn", 1, 2, 1, dtype="float32"), MSELoss(), stream, SGD(0.1), engine=Form("loop"))
    mixed = [make_network(lstm, 1, 1, rng=0), Network("rnn", 1, 2, 1, dtype="float32")]
    streams = [stream, Batches(Recall(), T, B, 1, "float32")]
    for models in (mixed, mixed[::-1]):
        with pytest.raises(InvalidArgument, match="models must be networks with the same layout, got"):
            Ensemble(models, MSELoss(), streams, SGD(0.1))
