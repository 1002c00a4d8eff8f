"""The forms of the engine: the numbers of each network alone, to the last bit whatever the other networks are."""

from dataclasses import dataclass

import numpy as np
import pytest

jax = pytest.importorskip("jax", reason="JAX is not installed")
pytest.importorskip("flax", reason="flax is not installed")
pytest.importorskip("equinox", reason="equinox is not installed")

import jax.numpy as jnp  # noqa: E402
from jax_twins import equinox_lstm  # noqa: E402

from memspan import Ensemble, InvalidArgument, Learner, MSELoss, SoftmaxCrossEntropy  # noqa: E402
from memspan.diagnostics.flow import norms_of  # noqa: E402
from memspan.jax import Form, JaxNetwork, Steps, make_network, time_forms  # noqa: E402
from memspan.tasks import Batches, Recall  # noqa: E402
from memspan.training.optimizers import SGD  # noqa: E402

T, B, H, M = 6, 16, 8, 5
FORMS = [Form("loop"), Form("map", 3), Form("vmap", 3), Form("vmap", 8)]
every_form = pytest.mark.parametrize("form", FORMS, ids=str)


@jax.tree_util.register_dataclass
@dataclass
class Tanh:
    """A cell with an array that is not trained, which differs between networks."""

    W: object
    R: object
    order: object

    def __call__(self, x, h):
        return jnp.tanh(x @ self.W + h[:, self.order] @ self.R)


def tanh(features, outputs, hidden=H, *, key):
    of_W, of_R, of_order = jax.random.split(key, 3)
    W, R = 0.4 * jax.random.normal(of_W, (features, hidden)), 0.3 * jax.random.normal(of_R, (hidden, hidden))
    return Steps(Tanh(W, R, jax.random.permutation(of_order, hidden)), hidden, outputs, state=hidden, key=key)


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
def test_batches_of_several_shapes_and_several_answers(form):
    models, loss = networks(output_steps=2, outputs=3, features=2), SoftmaxCrossEntropy()
    rng, sizes = np.random.default_rng(0), [(T + (k == 2), B - k % 2) for k in range(M)]
    data = [(rng.uniform(-1, 1, (*size, 2)), rng.dirichlet(np.ones(3), (2, size[1]))) for size in sizes]
    found = form.make_engine(models, loss).differentiate(stacked(models), data)
    for k, (model, (x, y)) in enumerate(zip(models, data, strict=True)):
        assert found.losses[k] == pytest.approx(loss.forward(model.forward(x), y), rel=1e-14)
        gradient = model.backward(loss.backward()).total()
        np.testing.assert_allclose(found.gradients[k], gradient, rtol=1e-10, atol=1e-15)


def test_denormal_numbers_are_zero():
    model = networks("float32")[0]
    model.set_weights({name: part * 1e-3 for name, part in model.get_weights().items()})
    x, y = batches(length=40, dtype="float32")[0]
    found = Form("loop").make_engine([model], MSELoss()).differentiate(stacked([model]), [(x, y)], norms=[0])
    norms = found.norms[0]
    assert not norms[0].any()
    assert (norms[norms > 0] >= np.finfo(np.float32).tiny).all()
    assert float(np.float32(2e-38) * np.float32(0.25)) > 0  # NumPy's numbers are as before


def test_a_network_that_diverges_leaves_and_the_others_do_not_notice():
    models = networks("float32")
    models[1].parameters[:] = 1e38
    both = []
    for some in (models, [models[2].astype("float32")]):
        streams = [Batches(Recall(), T, B, 2 if len(some) == 1 else k, "float32") for k in range(len(some))]
        ensemble = Ensemble(some, MSELoss(), streams, SGD(0.1), engine=Form("map", 3))
        results = ensemble.fit(5, progress=False, final_batches=1, stop_when_solved=False)
        both.append((results, ensemble.members[0 if len(some) == 1 else 2].model.parameters.copy()))
    (results, third), (_, alone) = both
    assert [str(result.outcome) for result in results] == ["unsolved", "diverged", *["unsolved"] * 3]
    np.testing.assert_array_equal(third, alone)


def test_the_readable_engine_leaves_the_gradients_in_the_network():
    model = make_network(equinox_lstm, 1, 1, hidden=H, rng=0)
    learner = Learner(model, MSELoss(), Batches(Recall(), T, B, 1, "float32"), SGD(0.1), engine="readable")
    learner.fit(2, progress=False, final_batches=1)
    assert model.grads.d_a.shape == (T, B, H)


def test_all_forms_of_a_cell_are_timed():
    times = time_forms(networks("float32")[:2], MSELoss(), batches(dtype="float32")[0], repeats=1)
    assert not times.failed
    assert set(times.seconds) == {Form("loop"), Form("map", 2), Form("vmap", 2)}


def test_a_form_in_which_networks_mix_is_left_out_with_the_reason():
    """A number that is no array belongs to the structure: a call computes all networks with that of the first."""

    def scaled(scale):
        W = jnp.ones((1, H), "float32") / 4
        return JaxNetwork(
            Steps(lambda x, h: jnp.tanh(scale * (x @ W + h)), H, 1, state=H, key=jax.random.key(0)), 1, 1
        )

    times = time_forms([scaled(0.5), scaled(0.9)], MSELoss(), batches(dtype="float32")[0], repeats=1)
    assert times.best == Form("loop")
    assert all("gradients differ from those of the loop" in reason for reason in times.failed.values())


def test_wrong_engines():
    for form, message in (
        (lambda: Form("jit"), "form must be one of loop, map, vmap, got 'jit'"),
        (lambda: Form("map", 0), "group must be a whole number of at least 1, got 0"),
        (lambda: Form("loop", 2), "group must be 1 for the form 'loop', got 2"),
    ):
        with pytest.raises(InvalidArgument, match=message):
            form()
    stream = Batches(Recall(), T, B, 0, "float32")
    with pytest.raises(InvalidArgument, match="engine must be 'readable' or an engine for a JaxN"):
        Learner(make_network(equinox_lstm, 1, 1, rng=0), MSELoss(), stream, SGD(0.1), engine="compiled")
