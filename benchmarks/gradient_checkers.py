"""Run three gradient checkers on twelve planted mistakes in the same networks.

    python benchmarks/gradient_checkers.py

- memspan: `gradient_check` with its defaults.
- PyTorch: `torch.autograd.gradcheck` with its defaults, on forward and backward wrapped as one
  `torch.autograd.Function` of the flat vector of weights, in float64. Its error prints both gradients in full. If
  the weights were passed one by one, it would name the first that differs. (Skipped if torch is missing.)
- SciPy: `scipy.optimize.check_grad` with its defaults. It returns a distance and no verdict. Here a distance above
  1e-6 counts as caught; for `check_derivative`, SciPy's documentation calls smaller ones likely correct.

PyTorch and SciPy receive the gradient as their users would pass it: summed over time, one number for each weight.
The script prints the table and writes it to benchmarks/results/.
"""

import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import scipy
from scipy.optimize import check_grad

from memspan import MSELoss, Network, Recall, gradient_check
from memspan.gradcheck.mistakes import MISTAKES, ConstantBatchLoss, MistakenNetwork

try:
    import torch
    from torch.autograd.gradcheck import GradcheckError
except ModuleNotFoundError:
    torch = None

RESULTS = Path(__file__).parent / "results"
LENGTH, BATCH, HIDDEN = 48, 4, 8
WRITTEN_BATCH = 32  # the constant in `constant-batch-size`
LIMIT = 1e-6
RIGHT = "none: the right gradient"

Verdict = tuple[bool, str]  # whether a mistake was reported, and the report's text


def flat_gradient(model: Network, gradients: dict[str, np.ndarray]) -> np.ndarray:
    """The gradient in the order of `parameters`, summed over time."""
    ordered = (gradients[f"d_{name}"] for name in model.layout.shapes)
    return np.concatenate([(g.sum(axis=0) if g.ndim == 3 else g).ravel() for g in ordered])


def by_memspan(model: Network, x: np.ndarray, y: np.ndarray, loss: MSELoss) -> Verdict:
    report = gradient_check(model, x, y, loss)
    places = {}
    for row in report.failures:
        steps = f" t={row.failing[0]}..{row.failing[-1]}" if len(row.failing) > 1 else ""
        steps = f" t={row.failing[0]}" if len(row.failing) == 1 else steps
        if row.is_contract:
            steps = f" ({row.scope})"
        places[row.weight] = places.get(row.weight, "") or steps
    return not report, ", ".join(weight + steps for weight, steps in places.items())


def by_torch(model: Network, x: np.ndarray, y: np.ndarray, loss: MSELoss) -> Verdict:
    class Loss(torch.autograd.Function):
        @staticmethod
        def forward(ctx, parameters):
            model.parameters[:] = parameters.detach().numpy()
            value = loss.forward(model.forward(x), y)
            ctx.parameters = model.parameters.copy()
            return torch.tensor(value, dtype=torch.float64)

        @staticmethod
        def backward(ctx, d_value):
            model.parameters[:] = ctx.parameters
            loss.forward(model.forward(x), y)
            gradient = flat_gradient(model, model.backward(loss.backward()))
            return d_value * torch.from_numpy(gradient)

    parameters = torch.tensor(model.parameters.copy(), requires_grad=True)
    try:
        torch.autograd.gradcheck(Loss.apply, (parameters,))
    except GradcheckError:
        return True, "prints both gradients"
    return False, ""


def by_scipy(model: Network, x: np.ndarray, y: np.ndarray, loss: MSELoss) -> Verdict:
    def value(parameters: np.ndarray) -> float:
        model.parameters[:] = parameters
        return loss.forward(model.forward(x), y)

    def gradient(parameters: np.ndarray) -> np.ndarray:
        value(parameters)
        return flat_gradient(model, model.backward(loss.backward()))

    distance = check_grad(value, gradient, model.parameters.copy())
    return bool(distance > LIMIT), f"distance {distance:.0e}"


CHECKERS: dict[str, Callable[..., Verdict]] = {"memspan": by_memspan, "torch": by_torch, "scipy": by_scipy}


def subjects(network: Network) -> dict[str, tuple[Network, MSELoss]]:
    """The network with each mistake planted, and last the network without a mistake."""
    found = {}
    for name in MISTAKES:
        loss = ConstantBatchLoss(WRITTEN_BATCH) if name == "constant-batch-size" else MSELoss()
        found[name] = MistakenNetwork.like(network, name), loss
    return {**found, RIGHT: (network, MSELoss())}


def verdict_of(wrong: dict[str, bool], mistake: str) -> str:
    """One word for both cells, or one word per cell if they differ."""
    words = {True: "caught", False: "**missed**"}
    if mistake not in MISTAKES:
        words = {True: "**false alarm**", False: "passes"}
    if len(set(wrong.values())) == 1:
        return words[next(iter(wrong.values()))]
    return ", ".join(f"{cell} {words[found]}" for cell, found in wrong.items())


def main() -> None:
    checkers = {name: check for name, check in CHECKERS.items() if name != "torch" or torch is not None}
    found, said = defaultdict(dict), defaultdict(dict)  # (mistake, checker) -> cell -> verdict, and text
    seconds = dict.fromkeys(checkers, 0.0)
    for cell in ("rnn", "lstm"):
        rng = np.random.default_rng(0)
        network = Network(cell, 1, HIDDEN, 1, init="uniform", rng=rng)
        x, y = Recall().sample(LENGTH, BATCH, rng)
        for mistake, (model, loss) in subjects(network).items():
            for name, check in checkers.items():
                model.parameters[:] = network.parameters
                began = time.perf_counter()
                found[mistake, name][cell], said[mistake, name][cell] = check(model, x, y, loss)
                seconds[name] += time.perf_counter() - began

    versions = f"numpy {np.__version__}, scipy {scipy.__version__}"
    versions += "" if torch is None else f", torch {torch.__version__.partition('+')[0]}"
    lines = [
        f"rnn and lstm, T = {LENGTH}, B = {BATCH}, H = {HIDDEN}, init uniform, memory task, mean squared error, "
        f"float64; {versions}.",
        "",
        "| mistake | " + " | ".join(checkers) + " | memspan's place (lstm) |",
        "|---|" + "---|" * (len(checkers) + 1),
    ]
    for mistake in (*MISTAKES, RIGHT):
        verdicts = [verdict_of(found[mistake, name], mistake) for name in checkers]
        lines.append(f"| {mistake} | " + " | ".join(verdicts) + f" | {said[mistake, 'memspan']['lstm']} |")
    caught = [sum(sum(found[mistake, name].values()) for mistake in MISTAKES) for name in checkers]
    lines.append(
        "| **caught** | " + " | ".join(f"**{number} of {2 * len(MISTAKES)}**" for number in caught) + " | |"
    )
    if torch is None:
        lines += ["", "torch is not installed: its column was skipped."]
    text = "\n".join(lines) + "\n"
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "gradient_checkers.md").write_text(text, encoding="utf-8")
    print(text)
    for (mistake, name), words in said.items():
        print(f"{mistake}, {name}: " + "; ".join(f"{cell}: {word or 'nothing'}" for cell, word in words.items()))
    print(", ".join(f"{name} {spent:.0f} s" for name, spent in seconds.items()))


if __name__ == "__main__":
    main()
