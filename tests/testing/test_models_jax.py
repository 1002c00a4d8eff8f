"""JAX models keep and break the same contracts."""

import re

import pytest

from memspan.testing import MODEL_CONTRACTS, ContractBroken, check_model

jax = pytest.importorskip("jax", reason="JAX is not installed")
jnp = jax.numpy

from memspan.jax.mistakes import MODEL_MISTAKES, RightModel  # noqa: E402


def test_a_right_model_keeps_all_contracts():
    report = check_model(RightModel)
    assert list(report.kept) == list(MODEL_CONTRACTS)
    assert report.notes["gradient"].startswith("compared with the complex step")
    assert report.notes["state gradient"].startswith("compared with the complex step")


SAME_IN_PYTORCH = {
    *("truncated", "float32 backward", "clipped inside", "batch_first", "bidirectional", "centred over time"),
    *("one step late", "state ignored", "state not carried", "stopped parameter"),
}
"""Mistakes that the tests of PyTorch models plant too; each compiles for a second."""


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.faults if name in SAME_IN_PYTORCH else []) for name in MODEL_MISTAKES],
)
def test_a_planted_mistake_is_named(name):
    mistake = MODEL_MISTAKES[name]
    with pytest.raises(ContractBroken, match=mistake.says) as caught:
        check_model(mistake.factory, contracts=[mistake.contract])
    assert caught.value.contract == mistake.contract
    assert caught.value.cause


class Integer(RightModel):
    """The state also has a counter of steps, which does nothing."""

    def __call__(self, x, state=None):
        h, steps = (None, 0) if state is None else state
        y, h = super().__call__(x, h)
        return y, (h, jnp.full(len(h), len(x)) + steps)


def test_a_state_may_have_whole_numbers():
    report = check_model(Integer, contracts=["resume", "state gradient"])
    assert report.notes["state gradient"].startswith("compared with the complex step")


class SoftPlus(RightModel):
    """The complex form of an operation is another function."""

    def next(self, x, t, h):
        return jnp.tanh(jax.nn.softplus(self.drive(x) + h @ self.R) - 0.5)


def test_an_operation_whose_complex_form_is_another_function_is_no_false_alarm():
    report = check_model(SoftPlus, contracts=["gradient"])
    assert report.notes["gradient"].startswith("compared with central differences")


class NoTree:
    def __call__(self, x, state=None):
        return x, ()


def half(key):
    model = RightModel(2, 3, key=key)
    vars(model).update({name: leaf.astype("float16") for name, leaf in vars(model).items()})
    return model


def whole_numbers(key):
    model = RightModel(2, 3, key=key)
    vars(model).update({name: leaf.astype(int) for name, leaf in vars(model).items()})
    return model


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda key: 3, "returned a value of type int instead of a model"),
        (lambda key: NoTree(), "of type NoTree, not a pytree"),
        (whole_numbers, "without parameters"),
        (half, "parameters of float16 instead of float32 or float64"),
    ],
)
def test_a_bad_model_breaks_a_contract_with_one_sentence(make, message):
    def mine(features, outputs, hidden=8, *, key):
        return make(key)

    report = check_model(mine, raises=False)
    assert [one.contract for one in report.broken] == ["built"]
    assert re.search(message, report.broken[0].found)
