"""The contracts of a foreign model's gradient.

The gradient of L = Σ d_y · y is compared with the complex step (`memspan.gradcheck.oracle`), twice: with a loss
that reads every step, and with one that reads the last step only. In the second, dL/dx[t] is what comes back over
T - t steps, and each step is compared on its own scale, however small. The gradient of the initial state is
compared in the same way; the state is the one that a run over another sequence returned.

*When the complex step is not used.* An operation may have no complex form, or one that is not the analytic
continuation of the real one. So a model is blamed only by an oracle that central differences confirm. If they
contradict the complex step, or it is not possible, the gradient is compared with them; they have half the digits.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from memspan.gradcheck.oracle import COMPLEX_STEP
from memspan.shapes import Array
from memspan.testing.model_case import STEPS, Case, Pulled, Subject, difference
from memspan.testing.report import Found, demand, described

TOLERANCE = 1e-11
"""The relative error allowed beside the complex step. Right models of six libraries reach at most 3e-14."""
COARSE = 1e-6
"""The same beside central differences."""
DIFFERENCES = (6e-6, 7e-7)
"""The steps of central differences. Of an element, the nearer one counts, because a kink may lie within a step."""
NOISE = 1e-9
"""The error of a central difference, relative to the largest derivative: what is smaller cannot be compared."""
DIRECTIONS = 3
"""The number of random directions in which each parameter is varied."""
PROPORTIONS = (1e6, 1e-6)
"""The factors of dL/dy for which the gradient must be proportional."""
NONLINEAR = 1e-3
"""How far from proportional it may be: float32 in the backward pass is left to the contract `gradient`."""
DETACHED = "detach(), .data, torch.no_grad() or stop_gradient"

Outputs = Array
"""The derivatives of y along several directions, `[N, T, B, O]`."""


def check_differentiable(case: Case) -> None:
    """Back-propagation gives a finite gradient of x and of every parameter, twice the same to the last bit."""
    first, again = case.pull([case.d_y, case.d_y])
    for name, gradient in {"x": first.x, **first.weights}.items():
        demand(np.isfinite(gradient).all(), f"a gradient of {name} that is not finite")
        same = np.array_equal(gradient, again.x if name == "x" else again.weights[name])
        demand(same, f"a gradient of {name} that differs the second time", "random numbers in the backward pass")


def check_used(case: Case) -> None:
    """Every parameter changes y, and has a gradient."""
    (pulled,) = case.pull([case.d_y])
    silent = [name for name, gradient in pulled.weights.items() if not gradient.any()]
    detached = [name for name in silent if _changes(case, name)]
    demand(not detached, f"{_listed(detached)} changes y but has the gradient 0", f"{DETACHED} on a parameter")
    demand(not silent, f"{_listed(silent)} does not change y", "a layer that is made but not called")


def check_linear(case: Case) -> None:
    """The gradient is proportional to dL/dy."""
    factors = (1.0, *PROPORTIONS)
    first, *others = case.pull([factor * case.d_y for factor in factors])
    for factor, pulled in zip(PROPORTIONS, others, strict=True):
        for name, gradient in {"x": first.x, **first.weights}.items():
            other = {"x": pulled.x, **pulled.weights}[name] / factor
            found = (
                f"a gradient of {name} that is off by {difference(other, gradient):.2g} of its largest element "
            )
            found += f"for a dL/dy that is {factor:g} times as large"
            cause = "the gradient is clipped or scaled inside the model (a hook, or an autograd.Function)"
            demand(difference(other, gradient) <= NONLINEAR, found, cause)


def check_gradient(case: Case) -> str:
    """The gradient of x at every time step, on the scale of that step, and of every parameter is right."""
    return _checked(case, [*_probes(case)], None)


def check_state_gradient(case: Case) -> str:
    """The gradient of the state from which a sequence begins is right."""
    _, state = case.double.evaluate(case.inputs(8))
    probes = [*_state_probes(case, state)]
    return _checked(case, probes, state) if probes else "the state has no arrays of real numbers"


def _checked(case: Case, probes: list["_Probe"], state: Any) -> str:
    """Compare the derivatives along each probe; return what they were compared with."""
    losses = [np.where(np.arange(STEPS)[:, np.newaxis, np.newaxis] < STEPS - 1, 0.0, case.d_y), case.d_y]
    pulled = [*case.pull(losses, state)]
    exact, reason = _complex_step(case, probes, state)
    rows = [*_compared(probes, losses, pulled, exact)] if exact is not None else []
    if exact is not None and all(row.error <= TOLERANCE for row in rows):
        return f"compared with the complex step; largest relative error {max(row.error for row in rows):.1e}"
    differences = [_central(case, probes, state, size) for size in DIFFERENCES]
    if exact is not None and _confirmed(exact, differences):
        _blame(rows, TOLERANCE, "the complex step")
    reason = reason or "the complex form of an operation is not its analytic continuation"
    coarse = [[*_compared(probes, losses, pulled, outputs)] for outputs in differences]
    nearest = [min(pair, key=lambda row: row.error) for pair in zip(*coarse, strict=True)]
    scale = max(row.scale for row in nearest)
    seen = [row for row in nearest if row.scale > NOISE / COARSE * scale]
    _blame([row for row in seen if row.error > COARSE], COARSE, "central differences")
    worst, blind = max((row.error for row in seen), default=0.0), len(nearest) - len(seen)
    left = f"; {blind} of {len(nearest)} gradients are too small for them" if blind else ""
    return f"compared with central differences, because {reason}; largest relative error {worst:.1e}{left}"


# --- what is compared -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Probe:
    """A direction in which x, one parameter or one array of the initial state is varied.

    Attributes
    ----------
    name : str
        `x`, the parameter, or what the array of the state is called in messages.
    along : array
        The direction, of the shape of x, of the parameter or of the array.
    step : int or None
        The time step of x.
    leaf : int or None
        The place of the array in the state.
    """

    name: str
    along: Array
    step: int | None = None
    leaf: int | None = None

    def derivative(self, pulled: Pulled) -> float:
        """The derivative along this direction by back-propagation."""
        return float((self.along * self._gradient(pulled)).sum())

    def norm(self, pulled: Pulled) -> float:
        """The scale of the derivative: the norm of the gradient times that of the direction."""
        gradient = self._gradient(pulled)
        gradient = gradient if self.step is None else gradient[self.step]
        return float(np.linalg.norm(gradient) * np.linalg.norm(self.along))

    def _gradient(self, pulled: Pulled) -> Array:
        if self.leaf is not None:
            return pulled.state[self.leaf]
        return pulled.weights[self.name] if self.step is None else pulled.x


@dataclass(frozen=True)
class _Row:
    """A derivative by back-propagation and by an oracle."""

    probe: _Probe
    last: bool
    found: float
    expected: float
    scale: float

    @property
    def error(self) -> float:
        if self.found == self.expected:
            return 0.0
        error = abs(self.found - self.expected) / self.scale if self.scale else np.inf
        return float(np.nan_to_num(error, nan=np.inf, posinf=np.inf))


def _probes(case: Case) -> Iterator[_Probe]:
    """Every element of x, and random directions of every parameter."""
    for place in np.ndindex(case.x.shape):
        along = np.zeros_like(case.x)
        along[place] = 1
        yield _Probe("x", along, step=place[0])
    rng = case.rng(7)
    for name, weight in case.double.weights.items():
        for _ in range(DIRECTIONS):
            yield _Probe(name, rng.standard_normal(weight.shape))


def _state_probes(case: Case, state: Any) -> Iterator[_Probe]:
    """Random directions of every floating-point array of the state."""
    leaves, rng = case.double.leaves(state), case.rng(9)
    for k, leaf in enumerate(leaves):
        name = f"array {k} of the initial state" if len(leaves) > 1 else "the initial state"
        for _ in range(DIRECTIONS if leaf.dtype.kind == "f" else 0):
            yield _Probe(name, rng.standard_normal(leaf.shape), leaf=k)


def _varied(model: Subject, probes: list[_Probe], x: Array, state: Any, step: complex) -> Iterator[Array]:
    """y of the model with one thing moved along each probe; the weights are restored."""
    weights = model.weights
    for probe in probes:
        if probe.step is not None:
            yield model.evaluate(x + step * probe.along, state)[0]
        elif probe.leaf is not None:
            leaves = model.leaves(state)
            leaves[probe.leaf] = leaves[probe.leaf] + step * probe.along
            yield model.evaluate(x, model.with_leaves(state, leaves))[0]
        else:
            model.set_weights({probe.name: weights[probe.name] + step * probe.along})
            yield model.evaluate(x, state)[0]
            model.set_weights({probe.name: weights[probe.name]})


def _complex_step(case: Case, probes: list[_Probe], state: Any) -> tuple[Outputs | None, str]:
    """The derivatives of y along each probe by the complex step, or None and the reason why it is not possible."""
    try:
        model = case.again(np.complex128)
        leaves = (leaf.astype(complex) if leaf.dtype.kind == "f" else leaf for leaf in model.leaves(state))
        start = None if state is None else model.with_leaves(state, leaves)
        varied = np.array([*_varied(model, probes, case.x.astype(complex), start, 1j * COMPLEX_STEP)])
    except Exception as error:
        return None, f"the model has no complex form ({described(error)})"
    y = case.y if state is None else case.double.evaluate(case.x, state)[0]
    if not np.isfinite(varied).all() or difference(varied.real, y) > TOLERANCE:
        return None, "with complex numbers the model gives other values"
    return varied.imag / COMPLEX_STEP, ""


def _central(case: Case, probes: list[_Probe], state: Any, size: float) -> Outputs:
    """The derivatives of y along each probe by central differences."""
    ahead, behind = (np.array([*_varied(case.double, probes, case.x, state, sign * size)]) for sign in (1, -1))
    return np.asarray((ahead - behind) / (2 * size))


def _confirmed(exact: Outputs, differences: list[Outputs]) -> bool:
    """Whether central differences agree with the complex step, of each derivative at one of their steps."""
    apart = np.min([np.abs(outputs - exact).max(axis=(1, 2, 3)) for outputs in differences], axis=0)
    scale = np.abs(exact).max(axis=(1, 2, 3))
    return bool((apart <= COARSE * scale + NOISE * scale.max()).all())


def _compared(probes: list[_Probe], losses: list[Array], pulled: list[Pulled], outputs: Outputs) -> Iterator[_Row]:
    """Compare the derivatives of each loss along each probe; x[t] on the scale of its largest element."""
    for k, (d_y, gradient) in enumerate(zip(losses, pulled, strict=True)):
        found = [probe.derivative(gradient) for probe in probes]
        expected = [float((d_y * output).sum()) for output in outputs]
        scales = [probe.norm(gradient) for probe in probes]
        largest = {
            t: max((abs(n) for probe, n in zip(probes, expected, strict=True) if probe.step == t), default=0.0)
            for t in range(STEPS)
        }
        for probe, a, n, scale in zip(probes, found, expected, scales, strict=True):
            own = largest[probe.step] if probe.step is not None else abs(n)
            yield _Row(probe, k == 0, a, n, max(scale, own))


# --- what is said ---------------------------------------------------------------------------------------


def _blame(rows: list[_Row], tolerance: float, oracle: str) -> None:
    """Raise `Found` for the rows whose error is above the tolerance: where, how large, and why."""
    wrong = [row for row in rows if not row.error <= tolerance]
    if not wrong:
        return
    in_x = [row for row in wrong if row.probe.step is not None]
    # A parameter's gradient is wrong wherever that of the state is; so x is named if both are wrong.
    worst = max(in_x or wrong, key=lambda row: (row.last, row.error))
    loss = f"of y[{STEPS - 1}]" if worst.last else "of y"
    steps = sorted({row.probe.step for row in in_x if row.probe.step is not None})
    found = f"the gradient {loss} with respect to {_place(worst)} is {worst.found:.6g} by back-propagation and "
    found += f"{worst.expected:.6g} by {oracle}, a relative error of {worst.error:.2g}"
    found += f"; the steps of x that are wrong: {', '.join(map(str, steps))}" if steps else ""
    names = list(dict.fromkeys(row.probe.name for row in wrong if row.probe.step is None))
    kind = "arrays" if worst.probe.leaf is not None else "parameters"
    found += f"; wrong {kind}: {', '.join(names)}" if names else ""
    raise Found(found, _cause(rows, wrong))


def _place(row: _Row) -> str:
    if row.probe.step is None:
        return row.probe.name
    t, b, f = map(int, np.argwhere(row.probe.along)[0])
    return f"x[{t}] (sample {b}, feature {f})"


def _cause(rows: list[_Row], wrong: list[_Row]) -> str:
    """The usual cause of the wrong gradients."""
    if all(row.probe.leaf is not None for row in wrong):
        own = "a wrong backward pass of one's own (autograd.Function, hook)"
        cause = DETACHED if all(row.found == 0 for row in wrong) else own
        return f"{cause} on the state that the model is given"
    at_x = [row for row in wrong if row.probe.step is not None]
    if not at_x:
        return f"a parameter that is used through {DETACHED}, or a hook on it"
    lost = {row.probe.step for row in at_x if row.last and row.found == 0 and row.expected != 0}
    if lost and max(filter(None, (*lost, 1))) >= STEPS - 2:
        return f"{DETACHED} in the loop over time"
    if lost:
        return f"{DETACHED} in the loop over time, every few steps (truncated back-propagation)"
    if max(row.error for row in wrong) < 1e-5:
        return "a backward pass in float32 (a cast or a buffer in an autograd.Function)"
    # In the latest step that is wrong, a wrong factor has not yet been multiplied with itself.
    latest = max(
        (row for row in at_x if row.last), key=lambda row: (row.probe.step, abs(row.expected)), default=None
    )
    if latest is not None and latest.expected and 0.5 < latest.found / latest.expected < 2:
        found = f"{latest.found / latest.expected:.6g} times the right one in step {latest.probe.step}"
        return f"a backward pass of one's own (autograd.Function, hook) that is {found}"
    return f"a wrong backward pass of one's own (autograd.Function, hook), or {DETACHED}"


def _changes(case: Case, name: str) -> bool:
    """Whether y changes with a parameter."""
    probe = _Probe(name, np.ones_like(case.double.weights[name]))
    (y,) = _varied(case.double, [probe], case.x, None, 0.1)
    return not np.array_equal(y, case.y)


def _listed(names: list[str]) -> str:
    return ", ".join(names)
