"""The contracts of every task: its sequences, its labels, its trivial risk and its chance accuracy."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from memspan.errors import InvalidArgument, shown
from memspan.shapes import Array
from memspan.tasks import Batch, Batches, Task
from memspan.testing.report import (
    Contract,
    ContractReport,
    Found,
    check_contracts,
    demand,
    demand_equal,
    demand_same,
)

SAMPLES = 200_000
"""The number of sequences on which risk and accuracy are measured, if they are short."""
NUMBERS, FEWEST = 15_000_000, 20_000
"""All sequences together have at most `NUMBERS` numbers. So there are fewer long ones, but at least `FEWEST`."""
ERRORS = 4
"""The number of standard errors by which a mean may be off."""
DRAWN = 4000
"""The number of sequences that are drawn from each part of a finite data set, to find one that is in both."""
NO_LENGTHS = (0, -3, 1.5, True, "7", None)


def check_task(task: Task, *, contracts: Iterable[str] | None = None, raises: bool = True) -> ContractReport:
    """Check the contracts of a task, one by one.

    Risk and accuracy are measured on up to 200,000 sequences, which takes seconds.

    Parameters
    ----------
    task : Task
        Not changed.
    contracts : iterable of str, optional
        Names from `TASK_CONTRACTS`; by default all.
    raises : bool
        Whether to raise `ContractBroken` for the first broken contract. Otherwise all contracts are checked, and
        the report has those that are broken.

    Returns
    -------
    ContractReport
        The contracts that were checked; true if all are kept.

    Raises
    ------
    ContractBroken
        An `AssertionError` for the first broken contract, with its name, its rule and what was found, if `raises`.
    InvalidArgument
        If `task` is not a Task, or a contract is unknown.
    """
    if not isinstance(task, Task):
        raise InvalidArgument("task", "a Task", shown(task))
    return check_contracts(f"The task {task.name}", task, TASK_CONTRACTS, contracts, raises=raises)


def some_lengths(task: Task) -> tuple[int, int, int]:
    """The shortest length and two longer ones."""
    return task.least_length, task.least_length + 7, 2 * task.least_length + 30


def constant(answer: Array, y: Array) -> Array:
    """Return predictions in which every sequence has the same answer, `[O]` or `[K, O]`."""
    return np.broadcast_to(answer[..., np.newaxis, :], y.shape).copy()


def by_step(values: Array, dimensions: int) -> Array:
    """Add the axis of output steps if it is missing."""
    return values[np.newaxis] if values.ndim < dimensions else values


def losses(task: Task, y_hat: Array, y: Array) -> Array:
    """The loss of each sequence, `[B]`."""
    y_hat, y = by_step(y_hat, 3), by_step(y, 3)
    counted = ~np.isnan(y)
    values, _ = task.make_loss()._parts(y_hat, np.where(counted, y, 0))
    counted = counted[..., : values.shape[-1]]
    return np.asarray(np.where(counted, values, 0).sum(axis=(0, 2)) / counted.sum(axis=(0, 2)))


def accuracies(task: Task, y_hat: Array, y: Array) -> Array:
    """The accuracy of each sequence, `[B]`."""
    correct, counted = (by_step(part, 2) for part in (task.correct(y_hat, y), task.mask(y)))
    return np.asarray(np.where(counted, correct, 0).sum(axis=0) / counted.sum(axis=0))


def many(task: Task, length: int) -> Iterator[Batch]:
    """Yield `SAMPLES` sequences, or fewer long ones, in batches that fit in memory."""
    each, rng = numbers(task, length), np.random.default_rng(11)
    count, part = min(SAMPLES, max(FEWEST, NUMBERS // each)), max(1, 2_000_000 // each)
    for begin in range(0, count, part):
        yield task.sample(length, min(part, count - begin), rng)


def numbers(task: Task, length: int) -> int:
    """The number of numbers in a sequence and its labels."""
    steps, features, outputs, output_steps = task.shape(length)
    return steps * features + (output_steps or 1) * outputs


def error_of(values: Array) -> float:
    """The error allowed for the mean of `values`: `ERRORS` standard errors."""
    return float(ERRORS * values.std() / np.sqrt(len(values)) + 1e-12)


def demand_mean(parts: Iterable[Array], stated: float, what: str) -> None:
    """Raise `Found` unless the mean is within `ERRORS` standard errors of the stated value."""
    values = np.concatenate(list(parts))
    found, error = float(values.mean()), error_of(values)
    rule = f"{what} of {found:.6g} ± {error:.2g} on {len(values)} sequences, but the task states {stated:.6g}"
    demand(abs(found - stated) <= error, rule)


# --- the contracts --------------------------------------------------------------------------------------


def _check_words(task: Task) -> None:
    demand(
        task.family and task.name.startswith(task.family), f"the family {task.family!r}, the name {task.name!r}"
    )
    demand(task.sentence.endswith("."), f"the sentence {task.sentence!r}")
    demand(task.source, "no source")
    demand(task.rule, "no rule")
    demand_equal(replace(task), task, "a copy")
    length = max(100, task.least_length)
    shape, names = task.shape(length), (task.input_names, task.class_names)
    demand(len(names[0]) in (0, shape.features), f"{len(names[0])} names of {shape.features} inputs")
    demand(len(names[1]) in (0, max(2, shape.outputs)), f"{len(names[1])} names of {shape.outputs} outputs")
    demand(0 < task.chance_accuracy(length) < 1, f"a chance accuracy of {task.chance_accuracy(length)}")
    demand(task.trivial_risk(length) > task.least_risk, f"a trivial risk of {task.trivial_risk(length)}")


def _check_shapes(task: Task) -> None:
    for length in some_lengths(task):
        x, y = task.sample(length, 5, np.random.default_rng(0))
        steps, features, outputs, output_steps = task.shape(length)
        answer = (outputs,) if output_steps is None else (output_steps, outputs)
        demand_equal(x.shape, (steps, 5, features), f"the shape of x at T = {length}")
        demand_equal(y.shape, (*answer[:-1], 5, outputs), f"the shape of y at T = {length}")
        demand_equal((x.dtype, y.dtype), (np.float64, np.float64), "the dtypes of x and y")
        for name in ("trivial_answer", "chance_answer"):
            demand_equal(getattr(task, name)(length).shape, answer, f"the shape of the {name} at T = {length}")
        single = next(Batches(task, length, 5, rng=np.random.default_rng(0), dtype=np.float32))
        for name, part, double in zip("xy", single, (x, y), strict=True):
            demand_equal(part.dtype, np.float32, f"the dtype of {name} in float32")
            demand_same(part, double.astype(np.float32), f"{name} in float32 and in float64")


def _check_finite(task: Task) -> None:
    for length in some_lengths(task):
        x, y = task.sample(length, 5, np.random.default_rng(0))
        demand(np.isfinite(x).all(), f"a value of x at T = {length} that is not finite")
        missing = np.isnan(y)
        demand(np.isfinite(y[~missing]).all(), f"infinite labels at T = {length}")
        demand(task.make_loss().masked or not missing.any(), "NaN labels with a loss that does not mask them")
        try:
            task.make_loss().check_labels(y)
        except InvalidArgument as error:
            raise Found(f"labels that the task's loss refuses at T = {length}: {error}") from None
        demand(by_step(~missing.all(axis=-1), 2).any(axis=0).all(), "a sequence without a label")


def _check_mask(task: Task) -> None:
    for length in some_lengths(task):
        x, y = task.sample(length, 20, np.random.default_rng(1))
        counted, clean = task.mask(y), task.noise_free(x, y)
        demand_equal((counted.shape, counted.dtype), (y.shape[:-1], np.dtype(bool)), "shape and dtype of the mask")
        demand(not (counted & np.isnan(y).all(axis=-1)).any(), "an answer that counts but has no label")
        demand(by_step(counted, 2).any(axis=0).all(), "a sequence of which no answer counts")
        demand_equal(clean.shape, y.shape, "the shape of the noise-free labels")
        demand_same(np.isnan(clean), np.isnan(y), "the set of missing labels, with noise and without,")
        correct = task.correct(np.nan_to_num(y), y)
        others = task.correct(np.where(np.isnan(y), 7.0, y), y)
        demand_same(
            others[counted], correct[counted], "`correct`, for other predictions where a label is missing,"
        )
        demand_equal(correct.shape, y.shape[:-1], "the shape of `correct`")
        demand(((correct >= 0) & (correct <= 1))[counted].all(), "a value of `correct` outside 0 to 1")


def _check_split(task: Task) -> None:
    chosen = np.random.default_rng(0)
    for seed in range(40):
        sizes = chosen.integers(1, 6, chosen.integers(1, 5)).tolist()
        length = task.least_length + int(chosen.integers(10))
        whole = task.sample(length, sum(sizes), np.random.default_rng(seed))
        rng = np.random.default_rng(seed)
        parts = [task.sample(length, size, rng) for size in sizes]
        what = f"of {sum(sizes)} sequences, drawn at once and in parts of {sizes}, at T = {length},"
        demand_same(whole.x, np.concatenate([x for x, _ in parts], axis=1), f"x {what}")
        demand_same(whole.y, np.concatenate([y for _, y in parts], axis=-2), f"y {what}")


def _check_keys(task: Task) -> None:
    length = task.least_length + 30
    one, other, again = (task.sample(length, 20, np.random.default_rng(seed)) for seed in (0, 1, 0))
    demand(not np.array_equal(one.x, other.x), "the same sequences for two keys")
    demand_same(one.x, again.x, "x for the same key")
    demand_same(one.y, again.y, "y for the same key")


def _check_held_out(task: Task) -> None:
    if task.for_training == task.for_evaluation:
        return  # every sequence is new
    found = []
    for part in (task.for_training, task.for_evaluation):
        x, y = part.sample(part.least_length, DRAWN, np.random.default_rng(4))
        relevant = part.relevant(x)
        found.append(dict[bytes, bytes]())
        for b in range(DRAWN):
            sequence, label = x[relevant[:, b], b].tobytes(), np.take(y, b, axis=-2).tobytes()
            same = found[-1].setdefault(sequence, label) == label
            demand(same, "a sequence that is drawn twice, with different labels")
    both = len(found[0].keys() & found[1].keys())
    demand(not both, f"{both} of {DRAWN} sequences for evaluation that are also drawn for training")


def _check_ownership(task: Task) -> None:
    x, y = task.sample(task.least_length + 3, 4, np.random.default_rng(0))
    kept = x.copy(), y.copy()
    demand(x.flags.writeable and y.flags.writeable, "read-only arrays")
    x[:] = 9
    demand_same(y, kept[1], "y after x was overwritten")
    y[:] = 9
    again = task.sample(task.least_length + 3, 4, np.random.default_rng(0))
    for name, part, before in zip("xy", again, kept, strict=True):
        demand_same(part, before, f"{name} of the next batch after this one was overwritten")
    draws = task.draws(task.least_length + 3)
    u = np.random.default_rng(0).random((draws, 4))
    given = u.copy()
    task.make(u, task.least_length + 3)
    demand_same(u, given, "the array of random numbers after make")


def _check_relevant(task: Task) -> None:
    for length in some_lengths(task):
        x, _ = task.sample(length, 6, np.random.default_rng(3))
        kept, relevant = x.copy(), task.relevant(x)
        demand_equal((relevant.shape, relevant.dtype), (x.shape[:2], np.dtype(bool)), "shape and dtype")
        demand(relevant.any(axis=0).all(), "a sequence without a relevant step")
        demand_same(x, kept, "x after relevant")


def _check_trivial_risk(task: Task) -> None:
    for length in (task.least_length, task.least_length + 17):
        answer = task.trivial_answer(length)
        found = (losses(task, constant(answer, y), y) for _, y in many(task, length))
        demand_mean(found, task.trivial_risk(length), f"at T = {length} the trivial answer has a loss")


def _check_chance_accuracy(task: Task) -> None:
    for length in (task.least_length, task.least_length + 17):
        answer = task.chance_answer(length)
        found = (accuracies(task, constant(answer, y), task.noise_free(x, y)) for x, y in many(task, length))
        demand_mean(found, task.chance_accuracy(length), f"at T = {length} the chance answer has an accuracy")


def _check_best(task: Task) -> None:
    length = task.least_length + 5
    count = min(20_000, max(2000, 6_000_000 // numbers(task, length)))
    x, y = task.sample(length, count, np.random.default_rng(2))
    clean = task.noise_free(x, y)
    trivial, best = (constant(answer(length), y) for answer in (task.trivial_answer, task.chance_answer))
    risk, correct = losses(task, trivial, y), accuracies(task, best, clean)
    rng, outputs = np.random.default_rng(0), trivial.shape[-1]
    moves: Any = np.linspace(-1, 1, 41)
    if outputs > 1:
        moves = [rng.normal(0, size, outputs) for size in np.geomspace(0.01, 2, 12)]
    for move in moves:
        lower = losses(task, trivial + move, y) - risk
        what = f"for a constant that differs by {move}"
        demand(lower.mean() >= -error_of(lower), f"a loss smaller by {-lower.mean():.3g} {what}")
        higher = accuracies(task, best + move, clean) - correct
        demand(higher.mean() <= error_of(higher), f"an accuracy higher by {higher.mean():.3g} {what}")


def _check_oracle(task: Task) -> None:
    length = task.least_length + 12
    x, y = task.sample(length, 200, np.random.default_rng(7))
    loss, labels = task.make_loss(), task.noise_free(x, y)

    def sure(right: Array) -> Array:
        return np.where(np.isnan(y), 0, 40 * (2 * right - 1) if loss.label.startswith("cross") else right)

    demand(loss.forward(sure(y), y) < 1e-12, f"a loss of {loss.forward(sure(y), y):.3g} for the labels themselves")
    known = sure(labels)
    demand_equal(task.accuracy(known, labels), 1.0, "the accuracy of the right answers")
    demand_equal(task.accuracy(np.full_like(known, np.nan), labels), 0.0, "the accuracy of NaN")
    try:
        task.accuracy(known[..., :1, :], labels)
    except InvalidArgument:
        return
    raise Found("accuracy accepts predictions whose shape differs from that of the labels")


def _check_lengths(task: Task) -> None:
    lengths: list[Any] = [*NO_LENGTHS, *([task.least_length - 1] if task.least_length > 1 else [])]
    for length in lengths:
        for call in (
            lambda one: task.sample(one, 2, np.random.default_rng(0)),
            lambda one: Batches(task, one, 2, 0),
        ):
            try:
                call(length)
            except InvalidArgument as error:
                demand(str(error).startswith("length must be "), f"the message {str(error)!r}")
            else:
                raise Found(f"{length!r} is accepted as a length")
    demand_equal(Batches(task, task.least_length, 2, rng=0).length, task.least_length, "the shortest length")


TASK_CONTRACTS: dict[str, Contract[Task]] = {
    "words": Contract(
        "A task has a name, a sentence, a source and a rule. It names all inputs and classes or none. Its chance "
        "accuracy is above 0 and below 1, and its trivial risk is above the least risk.",
        _check_words,
    ),
    "lengths": Contract(
        "A length that is not a whole number, or is below the shortest, raises InvalidArgument.", _check_lengths
    ),
    "shapes": Contract("x, y and the two constant answers have the shapes that `shape` states.", _check_shapes),
    "finite": Contract(
        "x is finite. The loss accepts the labels; with a masked loss some labels of a sequence may be NaN.",
        _check_finite,
    ),
    "mask": Contract(
        "Every answer that counts has a label, and at least one answer counts in each sequence. `correct` lies "
        "between 0 and 1, and does not depend on predictions whose label is missing.",
        _check_mask,
    ),
    "split": Contract("A batch drawn in parts equals the same batch drawn at once.", _check_split),
    "keys": Contract("The same key gives the same sequences, and another key gives others.", _check_keys),
    "held out": Contract(
        "If the sequences for evaluation are not always new, none of them is drawn for training, and a sequence "
        "always has the same label.",
        _check_held_out,
    ),
    "ownership": Contract("The caller owns the arrays, and no call changes its arguments.", _check_ownership),
    "relevant": Contract("`relevant` returns bool `[T, B]` and marks a step in each sequence.", _check_relevant),
    "oracle": Contract("The right answers have loss 0 and accuracy 1; NaN has accuracy 0.", _check_oracle),
    "best": Contract(
        "No constant has a smaller loss than the trivial answer, or a higher accuracy than the chance answer.",
        _check_best,
    ),
    "trivial risk": Contract(
        "The trivial risk is the loss of the trivial answer.", _check_trivial_risk, slow=True
    ),
    "chance accuracy": Contract(
        "The chance accuracy is the accuracy of the chance answer.", _check_chance_accuracy, slow=True
    ),
}
"""All contracts of a task by name, in the order of checking."""
