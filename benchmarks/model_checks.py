"""Check the recurrent modules of other libraries, and wrong models, with `check_model`.

    python benchmarks/model_checks.py

Right models: every recurrent layer and cell of PyTorch, every cell of torchrecurrent, the networks of ncps, and
cells of equinox, flax.linen and flax.nnx. Wrong ones: `MODEL_MISTAKES` of `memspan.torch.mistakes` and of
`memspan.jax.mistakes`. The wrong ones are also given to `torch.autograd.gradcheck` and to
`jax.test_util.check_grads` with their defaults, in float64, with respect to x and all parameters.

The script writes both tables to benchmarks/results/model_checks.md, and the numbers to model_checks.json. It needs
torch, torchrecurrent, ncps, jax, equinox and flax; those that are missing are left out.
"""

import inspect
import json
import time
import warnings
from collections.abc import Callable, Iterator
from importlib import import_module, metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from memspan.testing import ContractReport, check_model

RESULTS = Path(__file__).parent / "results"
LENGTH, BATCH, FEATURES, OUTPUTS, HIDDEN = 11, 3, 2, 3, 8

Factory = Callable[..., Any]


def torch_models() -> Iterator[tuple[str, Factory]]:
    from torch import nn

    from memspan.torch import Sequence, Steps

    def layer(kind: Any, **options: Any) -> Factory:
        return lambda features, outputs, hidden: Sequence(kind(features, hidden, **options), hidden, outputs)

    def cell(kind: Any, **options: Any) -> Factory:
        return lambda features, outputs, hidden: Steps(kind(features, hidden, **options), hidden, outputs)

    yield "nn.RNN", layer(nn.RNN)
    yield "nn.RNN (relu)", layer(nn.RNN, nonlinearity="relu")
    for name in ("GRU", "LSTM"):
        yield f"nn.{name}", layer(getattr(nn, name))
        yield f"nn.{name} (2 layers, batch_first)", layer(getattr(nn, name), num_layers=2, batch_first=True)
    for name in ("RNNCell", "GRUCell", "LSTMCell"):
        yield f"nn.{name}", cell(getattr(nn, name))
    yield "nn.RNNCell (relu)", cell(nn.RNNCell, nonlinearity="relu")


def torchrecurrent_models() -> Iterator[tuple[str, Factory]]:
    from memspan.torch import Steps

    library = import_module("torchrecurrent")

    def cell(kind: Any) -> Factory:
        def factory(features: int, outputs: int, hidden: int) -> Any:
            width = features if kind is library.IntersectionRNNCell else hidden  # which needs both to be equal
            return Steps(kind(features, width), width, outputs)

        return factory

    for name in sorted(one for one in library.__all__ if one.endswith("Cell")):
        yield name, cell(getattr(library, name))


def ncps_models() -> Iterator[tuple[str, Factory]]:
    from ncps.torch import LTC, CfC
    from ncps.wirings import AutoNCP

    from memspan.torch import Sequence

    for kind in (CfC, LTC):
        yield (
            kind.__name__,
            lambda features, outputs, hidden, kind=kind: Sequence(kind(features, hidden), hidden, outputs),
        )
        yield (
            f"{kind.__name__} (AutoNCP)",
            lambda features, outputs, hidden, kind=kind: Sequence(
                kind(features, AutoNCP(hidden, outputs)), None, outputs
            ),
        )


def jax_model() -> Any:
    """Return a class that lifts a JAX cell to sequences, by `advance(cell, state, x) -> (state, output)`."""
    import equinox as eqx
    import jax

    class Model(eqx.Module):
        cell: Any
        read_out: Any
        advance: Any = eqx.field(static=True)
        start: Any = eqx.field(static=True)

        def __call__(self, x: Any, state: Any = None) -> Any:
            state = self.start(self.cell, x) if state is None else state
            state, a = jax.lax.scan(lambda s, x_t: self.advance(self.cell, s, x_t), state, x)
            return jax.vmap(jax.vmap(self.read_out))(a), state

    return Model


def equinox_models() -> Iterator[tuple[str, Factory]]:
    import equinox as eqx
    import jax
    import jax.numpy as jnp

    Model = jax_model()

    def lift(kind: Any, states: int) -> Factory:
        def step(cell: Any, state: Any, x: Any) -> Any:
            state = jax.vmap(cell)(x, state)
            return state, state[0] if states > 1 else state

        def start(cell: Any, x: Any) -> Any:
            zeros = jnp.zeros((x.shape[1], cell.hidden_size), x.dtype)
            return (zeros,) * states if states > 1 else zeros

        def factory(features: int, outputs: int, hidden: int, *, key: Any) -> Any:
            one, other = jax.random.split(key)
            return Model(kind(features, hidden, key=one), eqx.nn.Linear(hidden, outputs, key=other), step, start)

        return factory

    yield "GRUCell", lift(eqx.nn.GRUCell, 1)
    yield "LSTMCell", lift(eqx.nn.LSTMCell, 2)


FLAX = ("SimpleCell", "LSTMCell", "OptimizedLSTMCell", "GRUCell", "MGUCell")


def linen_models() -> Iterator[tuple[str, Factory]]:
    import equinox as eqx
    import jax
    import jax.numpy as jnp
    from flax import linen

    Model = jax_model()

    def lift(kind: Any) -> Factory:
        def factory(features: int, outputs: int, hidden: int, *, key: Any) -> Any:
            cell = kind(hidden)
            one, two, other = jax.random.split(key, 3)

            def start(parameters: Any, x: Any) -> Any:
                carry = cell.initialize_carry(one, x.shape[1:])
                return jax.tree.map(lambda part: jnp.zeros(part.shape, x.dtype), carry)

            x = jnp.zeros((1, 1, features))
            parameters = cell.init(two, start(None, x), x[0])
            return Model(parameters, eqx.nn.Linear(hidden, outputs, key=other), cell.apply, start)

        return factory

    for name in FLAX:
        if hasattr(linen, name):
            yield name, lift(getattr(linen, name))


def nnx_models() -> Iterator[tuple[str, Factory]]:
    import equinox as eqx
    import jax
    import jax.numpy as jnp
    from flax import nnx

    Model = jax_model()

    def advance(cell: Any, state: Any, x: Any) -> Any:
        return cell(state, x)

    def start(cell: Any, x: Any) -> Any:
        carry = cell.initialize_carry(x.shape[1:], nnx.Rngs(0))
        return jax.tree.map(lambda part: jnp.zeros(part.shape, x.dtype), carry)

    def lift(kind: Any) -> Factory:
        def factory(features: int, outputs: int, hidden: int, *, key: Any) -> Any:
            one, other = jax.random.split(key)
            # A cell keeps generators for its initial carry, which are no parameters. SimpleCell computes in
            # float32 unless its dtype is None.
            known = inspect.signature(kind.__init__).parameters
            options = {name: value for name, value in (("keep_rngs", False), ("dtype", None)) if name in known}
            cell = kind(features, hidden, rngs=nnx.Rngs(one), **options)
            return Model(cell, eqx.nn.Linear(hidden, outputs, key=other), advance, start)

        return factory

    for name in FLAX:
        if hasattr(nnx, name):
            yield name, lift(getattr(nnx, name))


LIBRARIES: dict[str, tuple[str, Callable[[], Iterator[tuple[str, Factory]]]]] = {
    "torch": ("torch", torch_models),
    "torchrecurrent": ("torchrecurrent", torchrecurrent_models),
    "ncps": ("ncps", ncps_models),
    "equinox": ("equinox", equinox_models),
    "flax.linen": ("flax", linen_models),
    "flax.nnx": ("flax", nnx_models),
}
"""The distribution and the models of each library."""


def timed(factory: Factory) -> tuple[ContractReport, float]:
    began = time.process_time()
    report = check_model(factory, features=FEATURES, outputs=OUTPUTS, hidden=HIDDEN, raises=False)
    return report, time.process_time() - began


def right_models() -> Iterator[dict[str, Any]]:
    for library, (distribution, models) in LIBRARIES.items():
        if find_spec(distribution) is None:
            continue
        for name, factory in models():
            report, seconds = timed(factory)
            yield {
                "library": library,
                "version": metadata.version(distribution).partition("+")[0],
                "class": name,
                "kept": len(report.kept),
                "broken": {one.contract: f"{one.found}.{one.advice}" for one in report.broken},
                "unchecked": list(report.unchecked),
                "gradient": report.notes.get("gradient", ""),
                "state gradient": report.notes.get("state gradient", ""),
                "seconds": round(seconds, 2),
            }
            print(library, name, "passes" if report else report, report.notes, f"{seconds:.2f} s", flush=True)


def judged(check: Callable[[], Any], refusal: type[Exception]) -> str:
    """What a checker says of a model: caught, passes, or the error that it ends with."""
    try:
        check()
    except refusal as error:
        return "caught: " + str(error).strip().partition("\n")[0]
    except Exception as error:
        return f"ends with {type(error).__name__}: " + str(error).partition("\n")[0]
    return "passes"


def by_gradcheck(factory: Factory) -> str:
    """What `torch.autograd.gradcheck` says of a model."""
    import torch
    from torch.autograd.gradcheck import GradcheckError

    torch.manual_seed(0)
    model = factory(FEATURES, OUTPUTS, HIDDEN).double()
    names = [name for name, _ in model.named_parameters()]
    inputs = (torch.rand(LENGTH, BATCH, FEATURES, dtype=torch.double), *model.parameters())
    inputs = tuple(one.detach().clone().requires_grad_() for one in inputs)

    def forward(x: Any, *parameters: Any) -> Any:
        return torch.func.functional_call(model, dict(zip(names, parameters, strict=True)), (x,))[0]

    return judged(lambda: torch.autograd.gradcheck(forward, inputs), GradcheckError)


def by_check_grads(factory: Factory) -> str:
    """What `jax.test_util.check_grads` says of a model."""
    import jax
    from jax.test_util import check_grads

    with jax.enable_x64(True):
        model = factory(FEATURES, OUTPUTS, HIDDEN, key=jax.random.key(0))
        leaves, tree = jax.tree_util.tree_flatten(model)
        floats = [k for k, leaf in enumerate(leaves) if isinstance(leaf, jax.Array)]

        def forward(x: Any, parameters: list[Any]) -> Any:
            given = dict(zip(floats, parameters, strict=True))
            return jax.tree_util.tree_unflatten(tree, [given.get(k, leaf) for k, leaf in enumerate(leaves)])(x)[0]

        x = jax.random.uniform(jax.random.key(1), (LENGTH, BATCH, FEATURES), "float64")
        parameters = [leaves[k].astype("float64") for k in floats]
        # A function with a backward pass of its own (custom_vjp) has no forward mode, and only the first order.
        return judged(lambda: check_grads(forward, (x, parameters), order=1, modes=["rev"]), AssertionError)


FRAMEWORKS = {
    "torch": ("torch.autograd.gradcheck", by_gradcheck),
    "jax": ("jax.test_util.check_grads", by_check_grads),
}
"""The framework's own checker, by framework."""


def wrong_models() -> Iterator[dict[str, Any]]:
    for framework, (checker, by_checker) in FRAMEWORKS.items():
        if find_spec(framework) is not None:
            planted = import_module(f"memspan.{framework}.mistakes")
            yield from mistaken(framework, planted, checker, by_checker)


def mistaken(
    framework: str, planted: Any, checker: str, by_checker: Callable[[Factory], str]
) -> Iterator[dict[str, Any]]:
    """Check the right model and the wrong ones of a framework."""
    for name, factory in {
        **{name: mistake.factory for name, mistake in planted.MODEL_MISTAKES.items()},
        "": planted.RightModel,
    }.items():
        report, seconds = timed(factory)
        yield {
            "framework": framework,
            "mistake": name,
            "sentence": " ".join(str(factory.__doc__).split()),
            "contract": report.broken[0].contract if report.broken else "",
            "found": f"{report.broken[0].found}.{report.broken[0].advice}" if report.broken else "",
            "also": [one.contract for one in report.broken[1:]],
            "checker": checker,
            "by checker": by_checker(factory),
            "seconds": round(seconds, 2),
        }
        print(framework, name, report.broken[:1], flush=True)


def tables(found: dict[str, Any]) -> Iterator[str]:
    yield (
        f"T = {LENGTH}, B = {BATCH}, F = {FEATURES}, O = {OUTPUTS}, H = {HIDDEN}; seconds of processor time. The "
        "first check of a library also imports it.\n"
    )
    yield "| library | class | verdict | gradient | seconds |"
    yield "|---|---|---|---|---:|"
    for row in found["right"]:
        verdict = "keeps all" if not row["broken"] else f"breaks {', '.join(row['broken'])}"
        gradient = row["gradient"].removeprefix("compared with ").replace("; largest relative error", ",")
        cells = f"{row['library']} {row['version']}", row["class"], verdict, gradient, f"{row['seconds']:.1f}"
        yield f"| {' | '.join(cells)} |"
    for framework, (checker, _) in FRAMEWORKS.items():
        rows = [row for row in found["wrong"] if row["framework"] == framework]
        yield f"\n| mistake ({framework}) | broken contract | {checker} |"
        yield "|---|---|---|"
        for row in rows:
            name = row["mistake"] or "none: the right model"
            yield f"| {name} | {row['contract'] or 'none'} | {row['by checker'].partition(':')[0]} |"
        wrong = [row for row in rows if row["mistake"]]
        caught = sum(row["by checker"].startswith("caught") for row in wrong)
        yield f"| **caught** | **{sum(bool(row['contract']) for row in wrong)} of {len(wrong)}** | **{caught}** |"


def main() -> None:
    warnings.simplefilter("ignore")
    found = {"right": [*right_models()], "wrong": [*wrong_models()]}
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "model_checks.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    text = "\n".join(tables(found)) + "\n"
    (RESULTS / "model_checks.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
