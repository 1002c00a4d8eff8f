"""JAX models keep and break the same contracts."""

import re
from dataclasses import dataclass, field

import pytest

from memspan.testing import MODEL_CONTRACTS, ContractBroken, check_model

jax = pytest.importorskip("jax", reason="JAX is not installed")
jnp = jax.numpy
HALVES = jnp.full(8, 0.5)


@jax.custom_vjp
def scaled(h):
    return h


scaled.defvjp(lambda h: (h, None), lambda _, d_h: (1.0001 * d_h,))


@jax.tree_util.register_dataclass
@dataclass
class Tanh:
    """h[t] = f(tanh(W x[t] + R h[t-1])), y[t] = V h[t]."""

    W: object
    R: object
    V: object
    f: object = field(metadata={"static": True}, default=staticmethod(jnp.tanh))

    def __call__(self, x, state=None):
        h = jnp.zeros((x.shape[1], len(self.R)), x.dtype) if state is None else state

        def step(h, x_t):
            h = self.f(x_t @ self.W + h @ self.R)
            return h, h

        h, states = jax.lax.scan(step, h, x)
        return states @ self.V, h


def factory_of(f):
    def mine(features, outputs, hidden=16, *, key):
        shapes = (features, hidden), (hidden, hidden), (hidden, outputs)
        keys = jax.random.split(key, 3)
        return Tanh(*(0.4 * jax.random.normal(*one) for one in zip(keys, shapes, strict=True)), f)

    return mine


def test_a_right_model_keeps_all_contracts():
    report = check_model(factory_of(jnp.tanh))
    assert list(report.kept) == list(MODEL_CONTRACTS)
    assert report.notes["gradient"].startswith("compared with the complex step")


@pytest.mark.parametrize(
    ("f", "contract", "cause"),
    [
        (lambda s: jnp.tanh(jax.lax.stop_gradient(s) + 0.1 * s), "gradient", "a wrong backward pass"),
        (lambda s: scaled(jnp.tanh(s)), "gradient", "1.0001 times the right one in step 10"),
        (lambda s: jnp.tanh(s - s.mean(axis=0)), "samples", "normalisation over the batch"),
        (lambda s: jnp.tanh(s.astype(jnp.float32)).astype(s.dtype), "precision", "float32 buffer or cast"),
        (lambda s, weights=HALVES: jnp.tanh(s) * weights, "registered", "a plain attribute"),
    ],
)
def test_a_planted_mistake_is_named(f, contract, cause):
    with pytest.raises(ContractBroken) as caught:
        check_model(factory_of(f), contracts=[contract])
    assert re.search(cause, caught.value.cause), caught.value


def test_an_operation_whose_complex_form_is_another_function_is_no_false_alarm():
    def f(s):
        return jnp.tanh(jax.nn.softplus(s) - 0.5)

    report = check_model(factory_of(f), contracts=["gradient"])
    assert report.notes["gradient"].startswith("compared with central differences")


class NoTree:
    def __call__(self, x, state=None):
        return x, ()


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (3, "returned a value of type int instead of a model"),
        (NoTree(), "of type NoTree, not a pytree"),
        (Tanh(*[jnp.zeros((8, 8), int)] * 3), "without parameters"),
    ],
)
def test_a_bad_model_breaks_a_contract_with_one_sentence(model, message):
    def mine(features, outputs, hidden=8, *, key):
        return model

    report = check_model(mine, raises=False)
    assert [one.contract for one in report.broken] == ["built"]
    assert message in report.broken[0].found
