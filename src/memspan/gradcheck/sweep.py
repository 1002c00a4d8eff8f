"""The error of numerical derivatives against their step size, for central differences and the complex step."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from memspan.errors import generator
from memspan.gradcheck.objective import Objective
from memspan.gradcheck.report import relative
from memspan.losses import Loss
from memspan.network import Network
from memspan.runtime.floats import quiet
from memspan.runtime.renamed import checked_keywords
from memspan.shapes import Array

Steps = Float[np.ndarray, "steps"]


@dataclass(frozen=True)
class StepSweep:
    """Relative errors of numerical derivatives for each step size, along one random direction in weight space.

    Attributes
    ----------
    steps : array
        The step sizes h.
    central, complex_step : array
        The errors relative to back-propagation; 0 where all digits agree. `complex_step` is nan if the loss drops
        the imaginary part of complex numbers.
    truncation_slope : float
        The slope of log error against log h of the central difference at large h: 2 for a smooth function and a
        right gradient, 0 for a wrong gradient, 1 at a kink.
    rounding_slope : float
        The same slope at small h, where the rounding error ε/h dominates: -1.
    complex_slope : float
        The same slope for the complex step, where its error is above rounding: 2.
    """

    steps: Steps
    central: Steps
    complex_step: Steps
    truncation_slope: float
    rounding_slope: float
    complex_slope: float

    columns = ("step", "central difference", "complex step")

    def rows(self) -> list[list[float]]:
        """The errors at each step."""
        return np.column_stack([self.steps, self.central, self.complex_step]).tolist()

    def __repr__(self) -> str:
        slopes = f"truncation {self.truncation_slope:.2f}, rounding {self.rounding_slope:.2f}"
        return f"<StepSweep of {len(self.steps)} steps, slopes: {slopes}, complex {self.complex_slope:.2f}>"


@checked_keywords()
@quiet
def step_size_sweep(
    model: Network,
    x: Array,
    y: Array | None = None,
    loss: Loss | None = None,
    *,
    rng: np.random.Generator | int = 0,
) -> StepSweep:
    """Measure the error of both numerical derivatives for h from 1e-1 to 1e-20.

    The parameters are those of `gradient_check`. The derivative is that of L along one random unit direction in
    the space of all weights; the reference is the gradient from `model.backward`.
    """
    rng = generator("rng", rng, "step sweep")
    x = model.inputs(x)
    objective = Objective.of(loss, y)
    direction = rng.standard_normal(model.layout.size)
    direction /= np.linalg.norm(direction)
    truth = _claimed(model, objective, x) @ direction
    real, imaginary = model.astype(np.float64), model.astype(np.complex128)
    origin = real.parameters.copy()

    def along(twin: Network, shift: complex) -> complex:
        twin.parameters[:] = origin + shift * direction
        return complex(objective.value(twin.forward(x)))

    steps = np.logspace(-1, -20, 77)
    central = np.array([(along(real, h).real - along(real, -h).real) / (2 * h) for h in steps])
    error, complex_error = relative(np.abs(central - truth), abs(truth)), np.full(len(steps), np.nan)
    if not objective.drops_imaginary(real.forward(x)):
        complex_step = np.array([along(imaginary, 1j * h).imag / h for h in steps])
        complex_error = relative(np.abs(complex_step - truth), abs(truth))
    return StepSweep(
        steps,
        error,
        complex_error,
        truncation_slope=_slope(steps, error, 1e-3, 1e-1),
        rounding_slope=_slope(steps, error, 1e-12, 1e-7),
        complex_slope=_slope(steps, complex_error, 1e-5, 3e-2),
    )


def _claimed(model: Network, objective: Objective, x: Array) -> Array:
    """The flat gradient from the model's `backward`."""
    twin = model.astype(np.float64)
    gradients = twin.backward(objective.derivative(twin.forward(x)))
    sums = [g.sum(axis=0) if g.ndim == 3 else g for g in (gradients[f"d_{n}"] for n in twin.layout.shapes)]
    return np.concatenate([gradient.ravel() for gradient in sums])


def _slope(steps: Steps, errors: Steps, low: float, high: float) -> float:
    """The slope of log error against log step between two steps; nan if fewer than two errors can be fitted."""
    inside = (steps >= low) & (steps <= high) & (errors > 0) & np.isfinite(errors)
    if inside.sum() < 2:
        return float("nan")
    return float(np.polyfit(np.log(steps[inside]), np.log(errors[inside]), 1)[0])
