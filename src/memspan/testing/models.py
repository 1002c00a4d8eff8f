"""The contracts of every model of another framework, of its values and of its gradient."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from memspan.errors import InvalidArgument, shown, whole_number, whole_seed
from memspan.runtime.imports import arguments_of
from memspan.testing import model_gradients as gradients
from memspan.testing import model_values as values
from memspan.testing.model_case import Case
from memspan.testing.report import Contract, ContractReport, check_contracts


def check_model(
    factory: Callable[..., Any],
    *,
    features: int = 2,
    outputs: int = 3,
    hidden: int | None = 8,
    options: Mapping[str, Any] | None = None,
    contracts: Iterable[str] | None = None,
    seed: int = 0,
    raises: bool = True,
) -> ContractReport:
    """Check the contracts of a PyTorch or JAX model, one by one.

    Parameters
    ----------
    factory : callable
        `(features, outputs, hidden=...) -> model` with `model(x [T, B, F], state=None) -> (y [T, B, O], state)`.
        The state is any nesting of arrays `[B, ...]`. The factory of a JAX model also takes `key=`.
    features, outputs : int
        F and O of the models that are built.
    hidden : int or None
        Given to the factory as `hidden`, if it takes that; None leaves its default.
    options : mapping, optional
        Further arguments of the factory.
    contracts : iterable of str, optional
        Names from `MODEL_CONTRACTS`; by default all.
    seed : int
        For the initial weights and the sequences.
    raises : bool
        Whether to raise `ContractBroken` for the first broken contract. Otherwise all contracts are checked, and
        the report has those that are broken.

    Returns
    -------
    ContractReport
        True if all contracts are kept. Its note on `gradient` says what the gradient was compared with.

    Raises
    ------
    ContractBroken
        An `AssertionError` for the first broken contract, with its name, its rule, what was found and the usual
        cause. A factory or a model that raises an error breaks a contract too.
    InvalidArgument
        If an argument is wrong, or a contract is unknown.

    Examples
    --------
    >>> from memspan.testing import check_model
    >>> check_model(mypkg.cells.mine)  # doctest: +SKIP
    """
    made: Any = factory
    if not callable(made) or hasattr(made, "named_parameters") > isinstance(made, type):
        got = f"a model, {type(made).__name__}" if callable(made) else shown(made)
        raise InvalidArgument("factory", "a function (features, outputs, hidden=...) that returns a model", got)
    given = dict(options or {})
    if hidden is not None and "hidden" not in given and takes_hidden(factory):
        given["hidden"] = whole_number("hidden", hidden)
    sizes = whole_number("features", features), whole_number("outputs", outputs)
    case = Case(factory, *sizes, given, whole_seed("seed", seed))
    name = getattr(factory, "__name__", type(factory).__name__)
    with np.errstate(all="ignore"):
        return check_contracts(f"The model {name}", case, MODEL_CONTRACTS, contracts, raises=raises)


def takes_hidden(factory: Callable[..., Any]) -> bool:
    """Whether a factory has a parameter `hidden`, or takes any."""
    return any(one.name == "hidden" or one.kind == one.VAR_KEYWORD for one in arguments_of(factory))


MODEL_CONTRACTS: dict[str, Contract[Case]] = {
    "built": Contract.of(values.check_built, essential=True),
    "seed": Contract.of(values.check_seed),
    "shape": Contract.of(values.check_shape, essential=True),
    "inputs kept": Contract.of(values.check_inputs_kept),
    "finite": Contract.of(values.check_finite, essential=True),
    "repeat": Contract.of(values.check_repeat, essential=True),
    "fresh": Contract.of(values.check_fresh, essential=True),
    "registered": Contract.of(values.check_registered),
    "dtype": Contract.of(values.check_dtype, essential=True),
    "differentiable": Contract.of(gradients.check_differentiable, essential=True),
    "precision": Contract.of(values.check_precision),
    "samples": Contract.of(values.check_samples),
    "causal": Contract.of(values.check_causal),
    "memory": Contract.of(values.check_memory),
    "present": Contract.of(values.check_present),
    "resume": Contract.of(values.check_resume),
    "step": Contract.of(values.check_step),
    "modes": Contract.of(values.check_modes),
    "used": Contract.of(gradients.check_used),
    "linear": Contract.of(gradients.check_linear),
    "gradient": Contract.of(gradients.check_gradient, essential=True),
    "state gradient": Contract.of(gradients.check_state_gradient),
}
"""All contracts of a model by name, in the order of checking."""
