"""A few sequences of a task: the inputs, the steps that determine the answer, and the labels."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from memspan.errors import InvalidArgument, whole_number
from memspan.figures.style import BLUE, GREEN, GREY, ORANGE, new_figure, tidy
from memspan.shapes import Array
from memspan.tasks import Task

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST = 20  # the largest number of sequences in a picture
MANY = 10  # the largest number of rows with a label each, and of outputs of a single step that are drawn


@dataclass(frozen=True)
class TaskSamples:
    """Some sequences of a task.

    Attributes
    ----------
    title : str
    x : array [T, B, F]
        The inputs.
    y : array [K, B, O]
        The labels of the last K steps; NaN where there is no label.
    relevant : array [T, B] of bool
        True for the steps that determine the answer.
    input_names, class_names : tuple of str
        The meanings of the inputs and of the outputs; empty if they are numbers.
    """

    title: str
    x: Array
    y: Array
    relevant: Array
    input_names: tuple[str, ...] = ()
    class_names: tuple[str, ...] = ()

    columns = ("sequence", "time step", "relevant", "input or output", "number", "value")

    @classmethod
    def of(cls, task: Task, length: int | None = None, *, samples: int = 3, seed: int = 0) -> Self:
        """Draw sequences, by default of a short length at which the structure of the task is visible."""
        length = max(16, 2 * task.least_length) if length is None else task.checked_length(length)
        if whole_number("samples", samples) > MOST:
            raise InvalidArgument("samples", f"at most {MOST}, because more do not fit in a picture", samples)
        x, y = task.sample(length, samples, seed)
        title = f"{task.name}, T = {length}: {task.sentence}"
        y = y if y.ndim == 3 else y[np.newaxis]
        return cls(title, x, y, task.relevant(x), task.input_names, task.class_names)

    def end(self, b: int) -> int:
        """Return the number of steps of a sequence, without padding."""
        if not np.isnan(self.y).any():
            return len(self.x)
        return len(self.x) - len(self.y) + int(np.flatnonzero(~np.isnan(self.y[:, b, 0]))[-1]) + 1

    def rows(self) -> list[tuple[Any, ...]]:
        """Return one row per number. Sequences, steps, inputs and outputs are counted from 1."""
        first = len(self.x) - len(self.y)
        rows: list[tuple[Any, ...]] = []
        for kind, values, begin in (("input", self.x, 0), ("output", self.y, first)):
            for (t, b, k), value in np.ndenumerate(values):
                where = bool(self.relevant[begin + t, b])
                rows.append((b + 1, begin + t + 1, where, kind, k + 1, float(value)))
        return sorted(rows, key=lambda row: (row[0], row[3], row[1], row[4]))


def draw_task(record: TaskSamples) -> "Figure":
    """Draw the sequences below each other, each with its inputs above and its labels below."""
    from textwrap import fill

    steps, samples, features = record.x.shape
    draw_inputs = _draw_numbers if features <= 2 else _draw_symbols if _one_hot(record.x) else _draw_values
    of_classes = record.y.shape[-1] > 1 and not _too_many(record.y)
    answer_height = 1.6 if of_classes else 0.7
    labels = (min(0.0, float(np.nanmin(record.y))), max(1.0, float(np.nanmax(record.y))))
    figure = new_figure(8.4, 1.3 + samples * (2.1 + answer_height))
    axes = figure.subplots(
        2 * samples, 1, sharex=True, height_ratios=[1.6, answer_height] * samples, squeeze=False
    )
    for b in range(samples):
        above, below = axes[2 * b, 0], axes[2 * b + 1, 0]
        end = record.end(b)
        draw_inputs(above, record, b, end)
        above.set_ylabel("input" if features > 2 else ["x", "value"][features - 1])
        _draw_answer(below, record, record.y[: len(record.y) - (steps - end), b], end, labels)
        below.set_ylabel("answer")
    axes[0, 0].set_xlim(0.3, steps + 0.7)
    axes[-1, 0].set_xlabel("time step")
    axes[-1, 0].locator_params(axis="x", integer=True, min_n_ticks=1)
    figure.suptitle(fill(record.title, 100), fontsize="medium")
    _legend(figure, record)
    return figure


def _draw_numbers(ax: "Axes", record: TaskSamples, b: int, end: int) -> None:
    """Draw the first input as stems, and a second input (the marker) as signs above them."""
    x, relevant = record.x[:end, b], record.relevant[:end, b]
    steps = np.arange(1, end + 1)
    for where, colour in ((~relevant, BLUE), (relevant, ORANGE)):
        ax.vlines(steps[where], 0, x[where, 0], color=colour, linewidth=1.2)
        ax.plot(steps[where], x[where, 0], "o", color=colour, markersize=4.5 if colour == ORANGE else 3)
    ax.axhline(0, color=GREY, linewidth=0.6)
    if x.shape[1] == 2:
        edge = ax.get_xaxis_transform()
        look: dict[str, Any] = {"markersize": 6, "transform": edge, "clip_on": False, "linestyle": ""}
        for sign, mark, colour in ((1, "v", ORANGE), (-1, "x", GREY)):
            marked = steps[x[:, 1] == sign]
            if len(marked):
                ax.plot(marked, np.full(len(marked), 1.06), marker=mark, color=colour, **look)
    low, high = min(0.0, float(record.x[..., 0].min())), max(0.0, float(record.x[..., 0].max()))
    margin = 0.12 * (high - low)
    ax.set_ylim(low - margin, high + margin)
    tidy(ax)


def _draw_symbols(ax: "Axes", record: TaskSamples, b: int, end: int) -> None:
    """Draw a square for the input that is 1, orange if the step determines the answer."""
    from matplotlib.colors import ListedColormap

    image = record.x[:end, b].T * (1 + record.relevant[:end, b])
    _grid(ax, image, 1, ListedColormap(["white", BLUE, ORANGE]), 2)
    _name_rows(ax, record.input_names)


def _one_hot(x: Array) -> bool:
    """Whether the inputs are symbols, and not several numbers in each step."""
    return bool(((x == 0) | (x == 1)).all())


def _draw_values(ax: "Axes", record: TaskSamples, b: int, end: int) -> None:
    """Draw a square for each number, the darker the larger; orange if the step determines the answer."""
    from matplotlib.colors import LinearSegmentedColormap

    low, high = float(record.x.min()), float(record.x.max())
    image = (record.x[:end, b].T - low) / ((high - low) or 1.0)
    for where, colour in ((~record.relevant[:end, b], BLUE), (record.relevant[:end, b], ORANGE)):
        shades = LinearSegmentedColormap.from_list("shades", ["white", colour])
        _grid(ax, np.ma.masked_where(np.broadcast_to(~where, image.shape), image), 1, shades, 1)
    ax.set_ylim(len(image) + 0.5, 0.5)
    _name_rows(ax, record.input_names)


def _too_many(y: Array) -> bool:
    """Whether a single step has too many outputs to draw them above each other."""
    return bool(y.shape[-1] > MANY and len(y) == 1)


def _draw_answer(ax: "Axes", record: TaskSamples, y: Array, end: int, labels: tuple[float, float]) -> None:
    """Draw labels at their steps: numbers for a single output, classes for several outputs."""
    from matplotlib.colors import ListedColormap

    first, outputs = end - len(y) + 1, y.shape[-1]
    labelled = ~np.isnan(y[:, 0])
    if outputs == 1:
        at, values = first + np.flatnonzero(labelled), y[labelled, 0]
        ax.plot(at, values, "s", color=GREEN, markersize=4.5)
        margin = 0.2 * (labels[1] - labels[0])
        ax.set_ylim(labels[0] - margin, labels[1] + margin)
        if record.class_names:
            ax.set_yticks([0, 1], record.class_names, fontsize="small")
        elif len(at) == 1:
            _say(ax, f"{values[0]:.3g}", at[0], values[0])
        tidy(ax)
    elif _too_many(y):
        _say(ax, f"the previous {outputs} numbers, the latest one first", end, 0.5)
        ax.set_yticks([])
        ax.spines[["top", "right"]].set_visible(False)
    else:
        shown = np.nan_to_num(y[labelled]).T
        _grid(ax, shown, first + int(labelled.argmax()), ListedColormap(["white", GREEN]), 1)
        _name_rows(ax, record.class_names)


def _name_rows(ax: "Axes", names: tuple[str, ...]) -> None:
    """Label the rows; if there are many, label only every second number."""
    named = [k for k, name in enumerate(names) if len(names) <= MANY or k % 2 == 0 or not name.isdigit()]
    ax.set_yticks([k + 1 for k in named], [names[k] for k in named], fontsize="x-small")


def _say(ax: "Axes", what: str, step: float, height: float) -> None:
    """Write text to the left of a step, without changing the layout of the axes."""
    ax.annotate(f"{what}  ", (step, height), ha="right", va="center", color=GREEN).set_in_layout(False)


def _grid(ax: "Axes", image: Array, first: int, colours: Any, highest: int) -> None:
    """Draw squares over time, starting at step `first`."""
    rows, columns = image.shape
    edges = np.arange(first, first + columns + 1) - 0.5, np.arange(1, rows + 2) - 0.5
    ax.pcolormesh(*edges, image, cmap=colours, vmin=0, vmax=highest, edgecolors="#e6e6e6", linewidth=0.3)
    ax.spines[["top", "right"]].set_visible(False)
    ax.invert_yaxis()


def _legend(figure: "Figure", record: TaskSamples) -> None:
    from matplotlib.lines import Line2D

    features = record.x.shape[-1]
    shape = "s" if features > 2 else "o"
    looks = [
        (True, shape, ORANGE, "the answer lies here"),
        (not record.relevant.all(), shape, BLUE, "other inputs"),
        (features == 2, "v", ORANGE, "marker 1"),
        (features == 2 and (record.x[..., 1] == -1).any(), "x", GREY, "marker -1"),
        (not _too_many(record.y), "s", GREEN, "answer"),
    ]
    handles = [
        Line2D([], [], marker=mark, color=colour, linestyle="", label=label)
        for occurs, mark, colour, label in looks
        if occurs
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False, fontsize="small")
