"""How Adam throws R over the critical gain where there is nothing to learn, and how soon.

    python benchmarks/adam_jump.py GROUP ...    train the settings of the groups and store what happened
    python benchmarks/adam_jump.py fit          fit the formula to the groups `single` and `joint`
    python benchmarks/adam_jump.py anatomy      look at every update of the baseline around the jump
    python benchmarks/adam_jump.py true         train on true labels: plateau, jump and what is solved
    python benchmarks/adam_jump.py cells        the same for other cells and for RMSprop
    python benchmarks/adam_jump.py thrown       give true labels to networks that noise has thrown
    python benchmarks/adam_jump.py report       print measured against predicted, with the held-out test

Tanh networks on the task recall with *shuffled* labels: R ~ N(0, sw2/H), W and V ~ U(-0.2, 0.2) times a factor,
biases 0, float32. The *jump* is the first update (looked at every ten) at which the spectral radius of R is
above 1.5. The results are in `results/adam-jump.json`; `docs/adam.md` tells what they mean.

The rule of the held-out test was written before the held-out settings were trained, and the constants of the
formula were fitted before: the formula passes if the predicted median of the jump is within a factor of 2 of the
measured one in 80 % of the settings of the group `held-out`. If fewer than half of the networks have jumped when
the training ends, the measured median is only known to be later; the prediction then counts as right if it is
later than half the updates given. The group `held-out-again` repeats the test by the same rule and with the same
constants, on new seeds and in the domain that the first test left: lr * H below 0.9.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import minimize

from memspan import Network, get_task
from memspan.cells import CELLS
from memspan.engines.compiled import CompiledEngine
from memspan.losses import MSELoss
from memspan.training.optimizers import Adam, Chain, ClipByNorm, Moments, RMSprop
from memspan.why.noise_jump import FITTED, Constants, NoiseJump, noise_jump

RESULTS = Path(__file__).parent / "results" / "adam-jump.json"
EVERY = 10  # updates between two looks at the spectral radius
THROWN = 1.5  # the spectral radius above which R has jumped
PARTS = "W", "R", "bs", "V", "by"


class Largest(NamedTuple):
    """The state of `AMSGrad`."""

    steps: np.ndarray
    mean: np.ndarray
    square: np.ndarray
    largest: np.ndarray


@dataclass(frozen=True)
class AMSGrad(Adam):
    """Adam that divides by the largest s so far (Reddi, Kale & Kumar 2018): its memory cannot fade.

    The correction of the bias is that of Adam, applied before the largest is taken.
    """

    def init(self, parameters: np.ndarray) -> Any:
        """Return the state of Adam and the largest s, 0."""
        return Largest(*super().init(parameters), np.zeros_like(parameters))

    def step(self, gradient: np.ndarray, state: Any) -> tuple[np.ndarray, Any]:
        """Return the change and the new state."""
        _, (steps, mean, square) = super().step(gradient, Moments(*state[:3]))
        n = steps[..., np.newaxis]
        largest = np.maximum(state.largest, (square / (1 - self.beta2**n)).astype(square.dtype))
        change = -self.learning_rate * mean / (1 - self.beta1**n) / (np.sqrt(largest) + self.epsilon)
        return change.astype(gradient.dtype), Largest(steps, mean, square, largest)


@dataclass(frozen=True)
class Setting:
    """Networks that differ in their seeds only, and their training."""

    lr: float = 0.01
    batch: int = 64
    hidden: int = 32
    sw2: float = 0.4
    length: int = 30
    v: float = 1.0
    w: float = 1.0
    epsilon: float = 1e-8
    beta1: float = 0.9
    beta2: float = 0.999
    updates: int = 1500
    nets: int = 24
    seed: int = 700
    shuffled: bool = True
    frozen: str = ""
    largest: bool = False  # AMSGrad instead of Adam
    cell: str = "rnn"
    rmsprop: bool = False  # RMSprop instead of Adam; `beta2` is its decay

    def rule(self) -> Chain:
        """Adam behind the clip of the first study."""
        if self.rmsprop:
            return Chain(ClipByNorm(1.0), RMSprop(self.lr, self.beta2, self.epsilon))
        rule = AMSGrad if self.largest else Adam
        return Chain(ClipByNorm(1.0), rule(self.lr, self.beta1, self.beta2, self.epsilon))

    def network(self, k: int) -> Network:
        """Return network number k at its start. Biases are those of the cell."""
        net = Network(self.cell, 1, self.hidden, 1, dtype=np.float64, rng=self.seed + k)
        rng = np.random.default_rng([self.seed + k, 77])
        net.R[:] = rng.normal(0, np.sqrt(self.sw2 / self.hidden), net.R.shape)
        net.W[:] = self.w * rng.uniform(-0.2, 0.2, net.W.shape)
        net.V[:] = self.v * rng.uniform(-0.2, 0.2, net.V.shape)
        return net


def places(net: Network) -> dict[str, np.ndarray]:
    """Return where the elements of each matrix stand in the flat vector of weights."""
    numbers = Network(net.cell, net.W.shape[0], net.R.shape[0], net.V.shape[1], dtype=np.float64, rng=0)
    numbers.parameters[:] = np.arange(numbers.parameters.size)
    return {name: np.asarray(getattr(numbers, name), int) for name in PARTS}


def radii(R: np.ndarray) -> np.ndarray:
    """Return the spectral radius of each gate."""
    gates = np.split(R.astype(float), R.shape[1] // R.shape[0], axis=1)
    return np.asarray(np.abs(np.linalg.eigvals(gates)).max(axis=-1))


def radius(R: np.ndarray) -> float:
    """Return the spectral radius, of several gates the largest one."""
    return float(radii(R).max())


class Training:
    """The networks of a setting, trained side by side; those that `keep` refuses leave."""

    def __init__(self, setting: Setting) -> None:
        self.setting, self.update = setting, 0
        nets = [setting.network(k) for k in range(setting.nets)]
        self.task = get_task("recall")
        self.engine = CompiledEngine(nets[0].layout, np.dtype("float32"), MSELoss())
        self.at = places(nets[0])
        self.theta = np.stack([net.parameters for net in nets]).astype(np.float32)
        self.free = np.ones(self.theta.shape[1], np.float32)
        for name in setting.frozen.split():
            self.free[self.at[name].ravel()] = 0
        self.rule, self.rng = setting.rule(), np.random.default_rng([setting.seed, 5])
        states = [self.rule.init(row) for row in self.theta]
        self.state = type(states[0])(*(np.stack(part) for part in zip(*states, strict=True)))
        self.here = np.arange(setting.nets)  # the networks that are still trained

    def R(self, k: int) -> np.ndarray:
        """Return R of network k."""
        return self.theta[k][self.at["R"]]

    def step(self) -> np.ndarray:
        """Take one step with the networks that are here, and return their losses."""
        batches = [self._batch() for _ in self.here]
        found = self.engine.differentiate(self.theta[self.here], batches)
        state = type(self.state)(*(part[self.here] for part in self.state))
        step = self.rule.step(found.gradients * self.free, state)
        self.theta[self.here] += step.change * self.free
        for whole, part in zip(self.state, step.state, strict=True):
            whole[self.here] = part
        self.update += 1
        return found.losses

    def _batch(self) -> tuple[np.ndarray, np.ndarray]:
        s = self.setting
        x = self.rng.uniform(-1, 1, (s.length, s.batch, 1)).astype(np.float32)
        if s.shuffled:
            return x, self.rng.uniform(-1, 1, (s.batch, 1)).astype(np.float32)
        return x, x[0]


def jumps(setting: Setting) -> np.ndarray:
    """Return the update of the jump of each network, infinite if it never came."""
    training, found = Training(setting), np.full(setting.nets, np.inf)
    for update in range(setting.updates + 1):
        if update % EVERY == 0:
            thrown = np.array([radius(training.R(k)) > THROWN for k in training.here])
            found[training.here[thrown]] = update
            training.here = training.here[~thrown]
        if not training.here.size or update == setting.updates:
            break
        training.step()
    return found


# ---------------------------------------------------------------------------------------- what is trained


def single() -> Iterator[Setting]:
    """One quantity changed at a time; the formula is fitted to these and to `joint`."""
    for lr in (0.003, 0.005, 0.007, 0.01, 0.014, 0.02, 0.03):
        yield Setting(lr=lr, updates=12000 if lr < 0.006 else 5000)
    for hidden in (8, 16, 23, 45, 64):
        yield Setting(hidden=hidden, updates=8000 if hidden < 20 else 4000)
    for batch in (8, 16, 32, 128, 256):
        yield Setting(batch=batch, updates=5000 if batch < 200 else 4000)
    for factor in (0.25, 0.5, 2, 4):
        yield Setting(v=factor, updates=4000)
    for factor in (0.25, 0.5, 2, 4):
        yield Setting(w=factor, updates=4000)
    for epsilon in (1e-5, 3e-5, 1e-4, 3e-4, 1e-3):
        yield Setting(epsilon=epsilon, updates=5000)
    for beta2 in (0.9, 0.97, 0.99, 0.997, 0.9997):
        yield Setting(beta2=beta2, updates=5000)
    for sw2 in (0.02, 0.1, 0.2, 0.6, 0.8):
        yield Setting(sw2=sw2, updates=4000)
    for length in (5, 10, 17, 50):
        yield Setting(length=length, updates=5000)
    for beta1 in (0, 0.5, 0.97):
        yield Setting(beta1=beta1, updates=4000)


def drawn(seed: int, count: int, first: int, seconds: float = 18, nets: int = 12) -> Iterator[Setting]:
    """Settings drawn at random, their networks from seed `first` on; updates for about `seconds` on one core."""
    rng = np.random.default_rng(seed)

    def between(low: float, high: float) -> float:
        return float(np.exp(rng.uniform(np.log(low), np.log(high))))

    for _ in range(count):
        lr, batch, hidden = round(between(0.003, 0.03), 4), int(between(16, 512)), int(between(16, 64))
        sw2, length, v = round(between(0.1, 0.8), 2), int(between(10, 50)), round(between(0.5, 2), 2)
        epsilon = 1e-8 if rng.random() < 0.5 else float(f"{between(1e-6, 1e-3):.1e}")
        beta2 = float(rng.choice([0.99, 0.9997])) if rng.random() < 0.25 else 0.999
        cost = 1e-3 * (0.07 + 0.15 * (batch / 64) * (length / 30) * (hidden / 32) ** 1.3)
        updates = int(np.clip(seconds / (nets * cost), 300, 6000) // 10 * 10)
        start = first + int(rng.integers(10**5))
        yield Setting(lr, batch, hidden, sw2, length, v, 1.0, epsilon, 0.9, beta2, updates, nets, start)


def ablations() -> Iterator[Setting]:
    """The baseline with some of the weights frozen at their start."""
    for frozen in ("", "by", "bs by", "V", "W", "V W", "bs by V", "bs by W", "bs by V W", "R"):
        yield Setting(frozen=frozen, updates=2500)
    yield Setting(largest=True, updates=2500)


def remedies() -> Iterator[Setting]:
    """Shuffled labels: what the remedies do to the jump within the updates of the first study."""
    base = Setting(updates=1500, seed=4200)
    yield base
    yield replace(base, lr=0.01 / 3)
    yield replace(base, lr=0.01 / 3, updates=4500)
    yield replace(base, batch=256)
    yield replace(base, batch=512, nets=12)
    yield replace(base, epsilon=1e-4)
    yield replace(base, epsilon=1e-3)
    yield replace(base, beta2=0.99)
    yield replace(base, beta2=0.9)
    yield replace(base, v=4.0)
    yield replace(base, frozen="by")


GROUPS: dict[str, Callable[[], Iterator[Setting]]] = {
    "single": single,
    "joint": lambda: drawn(18, 21, 2000),
    "held-out": lambda: drawn(1900, 24, 300_000),
    "held-out-again": lambda: islice((s for s in drawn(1901, 60, 600_000) if s.lr * s.hidden < 0.9), 16),
    "ablations": ablations,
    "remedies": remedies,
}


# ------------------------------------------------------------------------------- what is looked at closely


def kept(found: Any) -> Any:
    """Return JSON for an array of updates: None for never."""
    return [None if not np.isfinite(value) else int(value) for value in found]


def anatomy() -> dict[str, Any]:
    """Look at every update of the baseline: R, V, W and Adam's step around the jump, medians over the networks.

    The step is measured as |m| / sqrt(s), the root mean square over the elements of R: 1 is a step of the
    learning rate. `share` is the share of the first singular value in the change of R over the 30 updates before
    the spectral radius passes 1 (for a matrix of independent elements of this size it is about 0.11).
    """
    setting = Setting(updates=2000, seed=5200)
    training, R, step, V, W = Training(setting), [], [], [], []
    at, rule = training.at, training.rule.rule
    for update in range(1, setting.updates + 1):
        training.step()
        correction = 1 - rule.beta2**update, 1 - rule.beta1**update
        square = training.state.square[:, at["R"]] / correction[0]
        mean = training.state.mean[:, at["R"]] / correction[1]
        R.append(training.theta[:, at["R"]].copy())
        step.append(np.sqrt((mean**2 / (square + 1e-30)).mean(axis=(1, 2))))
        V.append(np.sqrt((training.theta[:, at["V"].ravel()] ** 2).mean(axis=1)))
        W.append(np.sqrt((training.theta[:, at["W"].ravel()] ** 2).mean(axis=1)))
    R, step, V, W = np.array(R), np.array(step), np.array(V), np.array(W)
    rows = []
    for k in range(setting.nets):
        coarse = next((u for u in range(0, len(R), EVERY) if radius(R[u, k]) > THROWN), None)
        if coarse is None or coarse < 60:
            continue
        path = np.array([radius(R[u, k]) for u in range(coarse - 60, coarse + 1)])
        one = coarse - 60 + int(np.flatnonzero(path <= 1)[-1]) + 1 if (path <= 1).any() else None
        if one is None or one < 60:
            continue
        change = np.linalg.svd((R[one, k] - R[one - 30, k]).astype(float), compute_uv=False)
        rows.append(
            {
                "jump": coarse,
                "passes_1": one,
                "updates_1_to_1.5": coarse - one,
                "R2_before": float((R[one - 30, k] ** 2).sum() / setting.hidden),
                "R2_at_1": float((R[one, k] ** 2).sum() / setting.hidden),
                "share": float(change[0] ** 2 / (change**2).sum()),
                "norm": float(change[0]),
                "step_quiet": float(np.median(step[100 : one - 50, k])) if one > 200 else None,
                "step_before": float(step[one - 30 : one, k].max()),
                "step_after": float(step[one : coarse + 1, k].max()),
                "V": float(V[one - 30, k]),
                "W": float(W[one - 30, k]),
                "V_after": float(V[coarse, k]),
                "W_after": float(W[coarse, k]),
            }
        )
    names = rows[0].keys()
    medians = {name: float(np.median([row[name] for row in rows if row[name] is not None])) for name in names}
    return {"setting": asdict(setting), "networks": len(rows), "medians": medians, "rows": rows}


LOOKS = 0, 10, 30, 100, 300, 600, 1000, 1500


def watched(setting: Setting) -> dict[str, Any]:
    """Train on shuffled labels to the end; return the jumps and the radius of each gate on the way, medians."""
    training, jump, path = Training(setting), np.full(setting.nets, np.inf), {}
    for update in range(setting.updates + 1):
        if update % EVERY == 0:
            each = np.array([radii(training.R(k)) for k in training.here])
            jump[(each.max(axis=1) > THROWN) & np.isinf(jump)] = update
            if update in LOOKS:
                path[update] = [round(one, 2) for one in np.median(each, axis=0).tolist()]
        if update < setting.updates:
            training.step()
    gates = CELLS[setting.cell].recurrent_gates
    changed = {k: v for k, v in asdict(setting).items() if v != getattr(Setting(), k)}
    print("cells", changed, np.isfinite(jump).sum(), "jumped, median", np.median(jump), path, flush=True)
    return {"setting": asdict(setting), "gates": gates, "jump": kept(jump), "radii": path}


def other_cells() -> list[dict[str, Any]]:
    """Whether other cells and RMSprop throw R in the same way; the initial weights are those of the baseline."""
    base = Setting(nets=12, seed=7200)
    changes: tuple[dict[str, Any], ...] = (
        {},
        {"cell": "rnn-relu"},
        {"cell": "gru"},
        {"cell": "mgu"},
        {"cell": "lstm"},
        {"rmsprop": True, "beta2": 0.99},
        {"rmsprop": True, "beta2": 0.99, "lr": 0.003},
        {"rmsprop": True, "beta2": 0.99, "lr": 0.001},
        {"rmsprop": True, "lr": 0.0003},
    )
    return [watched(replace(base, **change)) for change in changes]


def accuracies(training: Training) -> np.ndarray:
    """Return the share of 2000 fresh sequences that each network answers within the tolerance."""
    s = training.setting
    x = np.random.default_rng([s.seed, 6]).uniform(-1, 1, (s.length, 2000, 1)).astype(np.float32)
    y_hat = training.engine.predict(training.theta, [x] * s.nets)
    return (np.abs(y_hat - x[0]) < training.task.tolerance).mean(axis=(1, 2))


def rescued(setting: Setting, lr: float, updates: int, after: int = 100) -> dict[str, Any]:
    """Let noise throw R, then give true labels: shuffled ones up to `after` updates past the jump, then true ones.

    Adam keeps its state. So every jump is one by noise, and is over when the labels come.
    """
    training, jump = Training(setting), np.full(setting.nets, np.inf)
    for update in range(setting.updates + 1):
        if update % EVERY == 0:
            thrown = np.array([radius(training.R(k)) > THROWN for k in training.here])
            jump[training.here[thrown & np.isinf(jump[training.here])]] = update
            training.here = training.here[update < jump[training.here] + after]
        if not training.here.size:
            break
        training.step()
    before = [round(radius(training.R(k)), 2) for k in range(setting.nets)]
    training.here = np.flatnonzero(np.isfinite(jump))
    training.setting = replace(setting, shuffled=False, lr=lr)
    training.rule = training.setting.rule()
    for _ in range(updates):
        training.step()
    accuracy = [round(float(a), 3) for a in accuracies(training)]
    given = {"lr": lr, "updates": updates, "radius": before, "accuracy": accuracy}
    return {"setting": asdict(setting), "jump": kept(jump), "true": given}


def thrown_by_noise() -> list[dict[str, Any]]:
    """Networks that noise has thrown, trained on true labels, at three lengths and two learning rates."""
    found = []
    for length in (10, 20, 30):
        setting = Setting(length=length, updates=4000 if length < 20 else 2500, seed=6200)
        found += [rescued(setting, 0.01, 1500), rescued(setting, 0.01 / 3, 4500)]
    return found


def labelled(setting: Setting, window: int = 25) -> dict[str, Any]:
    """Train on true labels; return when the plateau is left, when R jumps, and what is solved at the end."""
    training, losses = Training(setting), []
    jump = np.full(setting.nets, np.inf)
    for update in range(setting.updates + 1):
        if update % EVERY == 0:
            thrown = np.array([radius(training.R(k)) > THROWN for k in training.here])
            jump[thrown & np.isinf(jump)] = update
        if update < setting.updates:
            losses.append(training.step())
    losses = np.array(losses)
    means = np.cumsum(losses, axis=0)
    means = (means[window:] - means[:-window]) / window
    left = np.array([np.flatnonzero(m < 0.9 / 3)[0] + window if (m < 0.9 / 3).any() else np.inf for m in means.T])
    accuracy = accuracies(training)
    ends = [radius(training.R(k)) for k in training.here]
    return {
        "setting": asdict(setting),
        "jump": kept(jump),
        "left": kept(left),
        "accuracy": [round(float(a), 3) for a in accuracy],
        "loss": [round(float(a), 4) for a in losses[-100:].mean(axis=0)],
        "radius": [round(r, 2) for r in ends],
    }


def true_labels() -> list[dict[str, Any]]:
    """The baseline with true labels, and what the remedies do to the share that is solved."""
    base = Setting(shuffled=False, seed=6200)
    changes = (
        {"length": 10},
        {"length": 20},
        {},
        {"length": 50},
        {"lr": 0.01 / 3},
        {"lr": 0.01 / 3, "updates": 4500},
        {"batch": 256},
        {"epsilon": 1e-3},
        {"frozen": "by"},
        {"largest": True},
        {"largest": True, "sw2": 1.4},
        {"sw2": 1.4},
        {"sw2": 1.4, "lr": 0.01 / 3},
        {"sw2": 1.4, "lr": 0.01 / 3, "updates": 4500},
    )
    return [labelled(replace(base, **change)) for change in changes]


# ---------------------------------------------------------------------------------------------- the formula

BASE = Setting()
POSITIVE = "wait", "epsilon", "fade"


def formula(constants: Constants, s: Setting) -> NoiseJump:
    """What the formula of the product says of a setting, with any constants."""
    return noise_jump(
        s.lr,
        hidden=s.hidden,
        batch=s.batch,
        length=s.length,
        start=max(s.v, s.w),
        epsilon=s.epsilon,
        beta2=s.beta2,
        constants=constants,
    )


def fitted(rows: list[tuple[Setting, np.ndarray]]) -> Constants:
    """Return the constants of the largest likelihood of every network's jump or its absence."""
    names = list(asdict(FITTED))
    first = np.array([np.log(v) if name in POSITIVE else v for name, v in asdict(FITTED).items()])

    def constants(p: np.ndarray) -> Constants:
        return Constants(**{n: float(np.exp(v) if n in POSITIVE else v) for n, v in zip(names, p, strict=True)})

    def cost(p: np.ndarray) -> float:
        tried, found = constants(p), 0.0
        for s, jump in rows:
            came, one = jump[np.isfinite(jump)], formula(tried, s)
            before = one.total(np.maximum(came - EVERY, 0))
            found -= np.log(np.maximum(np.exp(-before) - np.exp(-one.total(came)), 1e-9)).sum()
            found += (len(jump) - len(came)) * one.total(s.updates)
        return float(found)

    return constants(minimize(cost, first, method="BFGS").x)


# ------------------------------------------------------------------------------------------ results and tables


def results() -> dict[str, Any]:
    """Return what is stored."""
    return json.loads(RESULTS.read_text("utf-8")) if RESULTS.exists() else {}


def store(**parts: Any) -> None:
    """Add to what is stored."""
    text = json.dumps(results() | parts, indent=None, separators=(",", ":"))
    RESULTS.write_text(text.replace('{"setting"', '\n{"setting"') + "\n", "utf-8")


def measure(group: str) -> None:
    """Train the settings of a group and store the updates of the jumps after each."""
    found = []
    for setting in GROUPS[group]():
        began = time.perf_counter()
        jump = jumps(setting)
        found.append({"setting": asdict(setting), "jump": kept(jump)})
        store(**{group: found})
        changed = {k: v for k, v in asdict(setting).items() if v != getattr(Setting(), k)}
        print(group, changed, f"{np.isfinite(jump).sum()}/{len(jump)} median {np.median(jump):.0f}", end=" ")
        print(f"{time.perf_counter() - began:.0f} s", flush=True)


SCORED = "single", "joint", "held-out", "held-out-again"


def rows_of(*groups: str) -> list[tuple[Setting, np.ndarray]]:
    """Return the settings of stored groups with their jumps."""
    stored = results()
    return [
        (Setting(**row["setting"]), np.array([np.inf if u is None else u for u in row["jump"]]))
        for group in groups
        for row in stored.get(group, [])
    ]


def tested(constants: Constants, rows: list[tuple[Setting, np.ndarray]]) -> list[dict[str, Any]]:
    """Return measured and predicted medians, and whether the rule of the test calls them the same."""
    found = []
    for s, jump in rows:
        measured, predicted = float(np.median(jump)), formula(constants, s).quantile(0.5)
        known = bool(np.isfinite(measured))
        row = {
            "setting": asdict(s),
            "jumped": int(np.isfinite(jump).sum()),
            "measured": measured if known else None,
            "predicted": round(predicted),
            "right": 0.5 <= predicted / measured <= 2 if known else predicted > s.updates / 2,
        }
        found.append(row)
    return found


def judged(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return how many predictions are right, of all settings and of those with a measured median."""
    known = [row for row in rows if row["measured"]]
    ratios = np.log([row["predicted"] / row["measured"] for row in known])
    return {
        "right": sum(row["right"] for row in rows),
        "of": len(rows),
        "right_known": sum(row["right"] for row in known),
        "known": len(known),
        "ratio": float(np.exp(ratios.mean())),
        "sd_of_log": float(ratios.std()),
    }


def constant_right(rows: list[dict[str, Any]], guess: float) -> int:
    """Return how many of the measured medians one number for all settings would predict within a factor of 2."""
    return sum(bool(row["measured"]) and 0.5 <= guess / row["measured"] <= 2 for row in rows)


def report() -> None:
    """Compare measured with predicted medians, store the comparison, and print it."""
    constants = Constants(**results()["formula"])
    tables = {group: tested(constants, rows_of(group)) for group in GROUPS}
    scores = {group: judged(tables[group]) for group in SCORED}
    guess = float(np.exp(np.mean([np.log(row["measured"]) for row in tables["joint"] if row["measured"]])))
    for group in SCORED[2:]:
        scores[group]["constant_right"] = constant_right(tables[group], guess)
    store(tested=tables, scores=scores)
    for group, rows in tables.items():
        for row in rows:
            s = row["setting"]
            changed = {k: v for k, v in s.items() if v != getattr(BASE, k) and k not in ("seed", "nets")}
            verdict = "" if row["right"] else "WRONG "
            print(f"{row['jumped']}/{s['nets']} {row['measured']} predicted {row['predicted']} {verdict}{changed}")
        print(group, scores.get(group))


def main() -> None:
    """Do what the command line says."""
    for what in sys.argv[1:]:
        if what in GROUPS:
            measure(what)
        elif what == "anatomy":
            store(anatomy=anatomy())
            print(json.dumps(results()["anatomy"]["medians"], indent=1))
        elif what == "thrown":
            store(thrown=thrown_by_noise())
        elif what == "cells":
            store(cells=other_cells())
        elif what == "true":
            store(true=true_labels())
        elif what == "fit":
            constants = fitted([row for row in rows_of("single", "joint") if row[0].beta1 == BASE.beta1])
            store(formula=asdict(constants))
            print(json.dumps(asdict(constants), indent=1))
        else:
            report()


if __name__ == "__main__":
    main()
