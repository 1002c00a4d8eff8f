"""The configuration: one value for each choice, and the task, network and optimiser that these make."""

import functools
import importlib
from collections.abc import Callable
from typing import Any, Self

from pydantic import ConfigDict, model_validator

from memspan.cells import Cell, get_cell, known_cell
from memspan.cells.initializers import CRITICAL
from memspan.engines.parameters import Layout
from memspan.errors import InvalidArgument, shown
from memspan.network import Network
from memspan.runtime.imports import NotImported, imported, is_factory, is_path, library_of, missing
from memspan.study.choices import Choices
from memspan.study.critical import critical_gain
from memspan.tasks import Task, get_task, known_task
from memspan.training.optimizers import RULES, Chain, ClipByNorm


@functools.lru_cache(maxsize=1000)  # every trial of a length needs it
def _critical_gain(one: "Configuration", length: int) -> float:
    return critical_gain(one.make_cell(), one.make_task(), length, one.hidden, one.gain, one.seed)


class Configuration(Choices):
    """One network, one task and one way of training: a single value in every field.

    A trial depends on its configuration, length and repetition only. `Study.configurations` makes configurations.
    """

    model_config = ConfigDict(title="memspan configuration")

    @model_validator(mode="after")
    def _single(self) -> Self:
        for name, values in self.values().items():
            if len(values) > 1:
                raise InvalidArgument(name, "one value; a Study takes several", shown(values))
        self.known_task()  # raises if the task does not take its parameters
        return self

    def known_task(self) -> Task:
        """Return the task without importing anything: a stand-in for a task of the user's own not imported yet."""
        return known_task(self.task, **self.task_parameters)

    def factory(self) -> Callable[..., Any] | None:
        """Import the factory of models of another library; None if the cell is a `Cell`."""
        found = imported("cell", self.cell) if is_path(self.cell) else None
        return found if is_factory(found) else None

    def make_cell(self) -> Cell:
        """Return the cell with its options. A cell of the user's own is imported."""
        return get_cell(self.cell, **self.options)

    def make_task(self) -> Task:
        """Return the task with its parameters. A task of the user's own is imported."""
        return get_task(self.task, **self.task_parameters)

    def make_optimizer(self) -> Chain:
        """Return the optimiser: clipping, if there is any, and the update rule."""
        clips = [ClipByNorm(self.clip)] if self.clip else []
        return Chain(*clips, RULES[self.optimizer](self.learning_rate))

    def make_network(self, length: int, rng: Any) -> Any:
        """Return a network for sequences of `length`, with initial weights from `rng`.

        It is a `Network`, or for a factory of PyTorch or JAX models a `ForeignNetwork`.
        """
        _, features, outputs, output_steps = self.make_task().shape(length)
        if (factory := self.factory()) is not None:
            self._demand_own_weights(self.values())  # the model may not have been imported when `self` was made
            how: dict[str, Any] = {"hidden": self.hidden, "options": self.options, "output_steps": output_steps}
            how |= {"dtype": self.dtype, "device": self.device}
            return self._library(factory).make_network(factory, features, outputs, rng=rng, **how)
        chosen = self.critical_gain(length)
        return Network(
            self.make_cell(),
            features,
            self.hidden,
            outputs,
            init=self.init if chosen is None else None,
            gain=self.gain,
            recurrent_gain=self.recurrent_gain * (1.0 if chosen is None else chosen),
            dtype=self.dtype,
            output_steps=output_steps,
            rng=rng,
        )

    def weight_count(self, length: int) -> int:
        """Return the number of weights of a network for sequences of `length`."""
        _, features, outputs, _ = self.make_task().shape(length)
        if (factory := self.factory()) is None:
            return Layout(self.make_cell(), features, self.hidden, outputs).size
        count = self._library(factory).weight_count
        return int(count(factory, features, outputs, hidden=self.hidden, options=self.options))

    def _library(self, factory: Callable[..., Any]) -> Any:
        """Import memspan's package for the models of a factory."""
        try:
            return importlib.import_module(f"memspan.{library_of(factory)}")
        except ModuleNotFoundError as error:
            raise NotImported("cell", self.cell, f"its models need {missing(error)}") from error

    def critical_gain(self, length: int) -> float | None:
        """Return the gain of R that the initializer `critical` chooses for `length`; None for other initializers.

        It is the same for all repetitions (`memspan.study.critical`). `recurrent_gain` multiplies R in addition.

        Raises
        ------
        InvalidArgument
            If at no gain the label of the task can be seen in the state.
        """
        if self.init != CRITICAL:
            return None
        decide = ("cell", "options", "task", "task_parameters", "hidden", "gain", "seed")
        return _critical_gain(Configuration(**{name: getattr(self, name) for name in decide}), length)

    @property
    def solved(self) -> str:
        """What solves a length, in words. The held-out sequences are drawn after training has ended."""
        samples = self.final_batches * self.evaluation_samples
        return f"accuracy of at least {self.threshold:g} on {samples:,} sequences drawn after training"

    def describe(self) -> str:
        """Return one line for headings: cell, size, initial weights and optimiser."""
        cell = known_cell(self.cell, **self.options)
        init = f"{self.init or (cell.init if cell else 'default')} init"
        for name in ("gain", "recurrent_gain"):
            if (value := getattr(self, name)) != 1:
                init += f", {name.replace('_', ' ')} {value:g}"
        rule = f"{self.optimizer} {self.learning_rate:g}" + (f", clip {self.clip:g}" if self.clip else "")
        window = "" if self.truncate is None else f", gradient truncated to {self.truncate} steps"
        options = "".join(f", {name} {value}" for name, value in self.options.items())
        where = "" if self.device == "cpu" else f", on {self.device}"
        return f"{self.cell}{options}, {self.hidden} hidden, {init}, {rule}{window}, batch {self.batch}{where}"
