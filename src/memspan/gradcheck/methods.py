"""The gradient check of any object with the methods of the assignment's RNN class (Kratzert 2019).

The check knows only the methods of the object. It varies each weight through `set_weights`, and compares the
gradient from `backward`, summed over time, with the change of L = Σ dL/dŷ · ŷ. It does not compare single time
steps, because that requires a known cell.

The weights are varied by the complex step. An object that drops the imaginary part, in a buffer of floats or by
`float()`, is checked by central differences instead.
"""

import copy
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Complex, Float, Int

from memspan.errors import InvalidArgument
from memspan.gradcheck.assignment import AssignmentRNN
from memspan.gradcheck.contracts import contract_comparisons
from memspan.gradcheck.elements import compare, index_of
from memspan.gradcheck.loss import ZERO, compare_loss
from memspan.gradcheck.objective import CENTRAL_STEP, Objective
from memspan.gradcheck.oracle import COMPLEX_STEP
from memspan.gradcheck.report import Comparison, GradientReport, by_central_difference
from memspan.gradcheck.tolerance import BLIND, MOVE, SILENT, tolerance, too_wide, underflow, widening
from memspan.shapes import Array

METHODS = ("forward", "backward", "get_weights", "set_weights")
DRAWS = 4  # random roundings of the weights, to measure how far rounding moves the gradient


def check_methods(
    model: AssignmentRNN, x: Array, objective: Objective, elements: int, rng: np.random.Generator
) -> GradientReport:
    """Compare the gradients from `model.backward` with the derivative of `model.forward`, for each weight.

    Parameters
    ----------
    model : object with `forward`, `backward`, `get_weights` and `set_weights`
        Copied, and not changed.
    x : array
        Inputs in the form that `model.forward` takes. For inputs of two axes (one sequence), `backward` receives
        dL/dŷ with one axis, as in the assignment; otherwise with the shape of ŷ.
    objective : Objective
    elements : int
        A weight with more elements than this is sampled.
    rng : Generator

    Returns
    -------
    GradientReport

    Raises
    ------
    InvalidArgument
        If a method is missing, `backward` leaves out a weight, or an array does not hold floating-point numbers.
    """
    missing = [name for name in METHODS if not callable(getattr(model, name, None))]
    if missing:
        rule = "a Network, or an object with the methods " + ", ".join(METHODS)
        raise InvalidArgument("model", rule, f"{type(model).__name__} without {', '.join(missing)}")
    x = np.asarray(x)
    point = _Point.of(copy.deepcopy(model), x, objective)
    subject = f"Gradient check: {type(model).__name__}, x {x.shape}, " + ", ".join(
        f"{name} {weight.shape}" for name, weight in point.weights.items()
    )
    comparisons = list(point.compare(elements, rng))
    if GradientReport("", tuple(comparisons), {}).unchecked:
        moved = _Point.of(point.moved(rng), x, objective)
        comparisons += [replace(row, moved="moved") for row in moved.compare(elements, rng) if not row.is_contract]
    return GradientReport(subject, tuple(comparisons), {})


@dataclass(frozen=True)
class _Point:
    """A model with its weights, inputs and predictions.

    Attributes
    ----------
    model : object with the assignment's methods
        A copy, whose weights may be varied.
    weights : dict of array
    x, y_hat, d_y_hat : array
        Inputs, predictions, and dL/dŷ as the loss returns it.
    """

    model: AssignmentRNN
    weights: dict[str, Array]
    x: Array
    y_hat: Array
    d_y_hat: Array
    objective: Objective

    @classmethod
    def of(cls, model: AssignmentRNN, x: Array, objective: Objective) -> "_Point":
        """Evaluate the model at its current weights."""
        weights = {name: np.array(weight) for name, weight in model.get_weights().items()}
        y_hat = np.asarray(model.forward(x))
        for name, array in (("get_weights", weight) for weight in weights.values()):
            if array.dtype.kind != "f":
                raise InvalidArgument(
                    f"model.{name}()", "arrays of floating-point numbers", f"dtype {array.dtype}"
                )
        if y_hat.dtype.kind != "f" or not np.isfinite(y_hat).all():
            raise InvalidArgument("model.forward(x)", "finite floating-point numbers", f"{y_hat!r:.200}")
        return cls(model, weights, x, y_hat, objective.derivative(y_hat), objective)

    @property
    def d_loss(self) -> Array:
        """dL/dŷ in the shape that `backward` takes."""
        return self.d_y_hat.ravel() if self.x.ndim == 2 else self.d_y_hat

    def compare(self, elements: int, rng: np.random.Generator) -> Iterator[Comparison]:
        """Compare the contracts, the loss, and the gradient of each weight."""
        gradients = self.gradients()
        for name in self.weights.keys() - {name.removeprefix("d_") for name in gradients}:
            raise InvalidArgument("model.backward(d_loss)", f"a dictionary with d_{name}", sorted(gradients))
        steps = len(self.x)
        shapes = {name: [weight.shape, (steps, *weight.shape)] for name, weight in self.weights.items()}
        contracts = list(contract_comparisons(self.model, self.x, self.d_loss, underflow(self.dtype), shapes))
        yield from contracts
        if any(row.scope in ("shape", "finite") and not row.passed for row in contracts):
            return
        yield from compare_loss(self.objective, self.y_hat)
        roundings = self.roundings(gradients, rng)
        drops = self.drops_imaginary()
        for name in self.weights:
            row = self.compare_weight(name, gradients, roundings[name], elements, rng, drops=drops)
            yield row if self.d_y_hat.any() else replace(row, checked=False, reason=ZERO)

    def compare_weight(
        self,
        name: str,
        gradients: dict[str, Array],
        rounding: float,
        elements: int,
        rng: np.random.Generator,
        *,
        drops: bool,
    ) -> Comparison:
        """Compare one weight's gradient with the derivative of the forward pass."""
        weight, gradient = self.weights[name], gradients[f"d_{name}"].ravel()
        indices = np.arange(weight.size)
        if weight.size > elements:
            indices = np.sort(rng.choice(weight.size, elements, replace=False))
        truth, error = self.central(name, indices) if drops else (self.complex_step(name, indices), 0.0)
        scale = float(max(np.abs(gradient).max(), np.abs(truth).max()))
        allowed = (
            tolerance(len(self.x), self.dtype) + widening(rounding, scale) + (error / scale if scale else 0.0)
        )
        row = compare(name, "sum", gradient[indices], truth, scale, allowed)
        if row.passed and (scale == 0 or allowed > BLIND):
            row = replace(row, checked=False, reason=too_wide(max(rounding, error), scale) if scale else SILENT)
        sampled = "" if len(indices) == weight.size else f"{elements} of {weight.size} elements"
        row = replace(row, index=index_of(int(indices[row.index[0]]), weight.shape), note=sampled)
        return by_central_difference(row, "model's forward") if drops else row

    @property
    def dtype(self) -> np.dtype[Any]:
        """The least precise dtype among weights and predictions."""
        arrays = (self.y_hat, *self.weights.values())
        return max((array.dtype for array in arrays), key=lambda dtype: float(np.finfo(dtype).eps))

    def gradients(self) -> dict[str, Array]:
        """The gradients from `backward`, summed over time."""
        self.model.forward(self.x)
        stated = {name: np.array(gradient) for name, gradient in self.model.backward(self.d_loss).items()}
        return {
            key: (gradient.sum(axis=0) if gradient.ndim > self.weights[key.removeprefix("d_")].ndim else gradient)
            for key, gradient in stated.items()
            if key.removeprefix("d_") in self.weights
        }

    def roundings(self, gradients: dict[str, Array], rng: np.random.Generator) -> dict[str, float]:
        """Return how far each gradient moves when all weights are randomly rounded up or down once more."""
        eps, moved = float(np.finfo(self.dtype).eps), dict.fromkeys(self.weights, 0.0)
        for _ in range(DRAWS):
            self.model.set_weights(
                {
                    name: (weight * (1 + rng.choice((-eps, eps), weight.shape))).astype(weight.dtype)
                    for name, weight in self.weights.items()
                }
            )
            for name, gradient in self.gradients().items():
                key = name.removeprefix("d_")
                moved[key] = max(moved[key], float(np.abs(gradient - gradients[name]).max()))
        self.model.set_weights(self.weights)
        return moved

    def complex_step(self, name: str, indices: Int[np.ndarray, "elements"]) -> Float[np.ndarray, "elements"]:
        """dL/dw of the elements `indices` by the complex step, which has no subtraction."""
        values = self._values(name, indices, 1j * COMPLEX_STEP)
        return values.imag / COMPLEX_STEP

    def central(
        self, name: str, indices: Int[np.ndarray, "elements"]
    ) -> tuple[Float[np.ndarray, "elements"], float]:
        """dL/dw of the elements `indices` by the central difference, and its error, from twice the step."""
        noise = float(np.finfo(self.dtype).eps)
        h = max(CENTRAL_STEP, float(np.cbrt(noise)))

        def slope(step: float) -> Float[np.ndarray, "elements"]:
            above, below = (self._values(name, indices, change) for change in (step, -step))
            return (above - below).real / (2 * step)

        narrow, size = slope(h), float(np.abs(self.d_y_hat * self.y_hat).sum())
        return narrow, float(np.abs(slope(2 * h) - narrow).max()) + 4 * noise * size / h

    def _values(
        self, name: str, indices: Int[np.ndarray, "elements"], change: complex
    ) -> Complex[np.ndarray, "elements"]:
        """Return L with one element of a weight changed, for each element in `indices`."""
        twin, weight, values = copy.deepcopy(self.model), self.weights[name], np.empty(len(indices), complex)
        for k, element in enumerate(indices):
            varied = weight.astype(np.result_type(weight, type(change)))
            varied.reshape(-1)[element] += change
            twin.set_weights({**self.weights, name: varied})
            values[k] = (twin.forward(self.x) * self.d_y_hat).sum()
        return values

    def drops_imaginary(self) -> bool:
        """Whether complex weights give real predictions, or an error."""
        twin, varied = copy.deepcopy(self.model), {k: w.astype(np.complex128) for k, w in self.weights.items()}
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", np.exceptions.ComplexWarning)
                twin.set_weights(varied)
                return not np.iscomplexobj(twin.forward(self.x))
        except (TypeError, ValueError, np.exceptions.ComplexWarning):
            return True

    def moved(self, rng: np.random.Generator) -> AssignmentRNN:
        """Return a copy of the model with all weights moved a little."""
        largest = max(1.0, *(float(np.abs(weight).max()) for weight in self.weights.values()))
        model = copy.deepcopy(self.model)
        model.set_weights(
            {
                name: (weight + MOVE * largest * rng.standard_normal(weight.shape)).astype(weight.dtype)
                for name, weight in self.weights.items()
            }
        )
        return model
