"""The signals before training: what the initial weights and the inputs say about the label."""

from collections.abc import Sequence

import numpy as np

from memspan.diagnostics.twins import Twins
from memspan.errors import InvalidArgument
from memspan.network import Model
from memspan.study.configuration import Configuration
from memspan.tasks import Task
from memspan.why.noise_jump import noise_jump_of
from memspan.why.predict import GRADIENT_DESCENT, descent_of, label_gradients, needed_by, twins_seed

PAIRS = 512
"""The pairs of twins for the significance of the inputs."""


def signals_of(configuration: Configuration, length: int, networks: Sequence[Model]) -> list[dict[str, float]]:
    """Return the fields of `Evidence` that are known of each network before training: from theta to noise_jump."""
    task, seed, count = configuration.make_task(), twins_seed(configuration, length), len(networks)
    unknown = np.full(count, np.nan)
    if configuration.optimizer in GRADIENT_DESCENT and networks[0].read_out() is not None:
        found = needed_by(networks, task, length, descent_of(configuration), configuration.updates, seed)
        columns = {"theta": found.theta, "z": found.z, "decay": found.decay, "noise_jump": unknown}
        columns |= {"needed": found.updates, "without_noise": found.without_noise}
    else:
        _, gradients = label_gradients(networks, task, length, seed)
        columns = {name: np.array([getattr(one, name) for one in gradients]) for name in ("theta", "z")}
        columns |= dict.fromkeys(("decay", "needed", "without_noise"), unknown)
        columns |= {"noise_jump": np.full(count, _noise_jump(configuration, length))}
    columns |= {"z_inputs": np.full(count, input_significance(task, length, seed))}
    return [{name: float(column[k]) for name, column in columns.items()} for k in range(count)]


def input_significance(task: Task, length: int, seed: np.random.SeedSequence | int = 0) -> float:
    """Return the significance of the covariances of the label with single inputs and with their squares.

    Where they are 0, as in `parity`, a network cannot learn to use one input before it uses another one. Let c be
    these covariances. Twins estimate |c|² without bias; the result is this estimate, divided by its standard error
    from the jackknife over the parts of the twins. Below 2.5 it may be noise.
    """
    twins = Twins.of(task, length, PAIRS, seed)
    weights = twins.weights.reshape(-1, *twins.weights.shape[-2:])
    inputs = np.concatenate([twins.x, twins.x**2], axis=-1)
    places = map(twins.part, range(twins.parts))
    each = np.stack(
        [np.einsum("kno,tnf->kotf", weights[:, p], inputs[:, p], optimize=True).ravel() for p in places]
    )
    products = each @ each.T
    np.fill_diagonal(products, 0)
    n, total, of_part = len(each), products.sum(), 2 * products.sum(axis=1)
    without = (total - of_part) / ((n - 1) * (n - 2))  # the estimates that leave out one part
    error = np.sqrt((n - 1) * without.var())
    return float(total / (n * (n - 1)) / error) if error > 0 else np.inf


def _noise_jump(configuration: Configuration, length: int) -> float:
    try:
        return noise_jump_of(configuration, length).quantile(0.5)
    except InvalidArgument:  # the formula was not measured there
        return np.nan
