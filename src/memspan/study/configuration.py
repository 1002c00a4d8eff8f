"""The configuration: one value for each choice, and the task, network and optimiser that these make."""

from typing import Any, Self

from pydantic import ConfigDict, model_validator

from memspan.cells import CELLS
from memspan.cells.initializers import CRITICAL
from memspan.errors import InvalidArgument, shown
from memspan.network import Network
from memspan.study.choices import Choices
from memspan.study.critical import critical_gain
from memspan.tasks import Task, get_task
from memspan.training.optimizers import RULES, Chain, ClipByNorm


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
        self.make_task()  # raises if the task does not take its parameters
        return self

    def make_task(self) -> Task:
        """Return the task with its parameters."""
        return get_task(self.task, **self.task_parameters)

    def make_optimizer(self) -> Chain:
        """Return the optimiser: clipping, if there is any, and the update rule."""
        clips = [ClipByNorm(self.clip)] if self.clip else []
        return Chain(*clips, RULES[self.optimizer](self.learning_rate))

    def make_network(self, length: int, rng: Any) -> Network:
        """Return a network for sequences of `length`, with initial weights from `rng`."""
        _, features, outputs, output_steps = self.make_task().shape(length)
        chosen = self.critical_gain(length)
        return Network(
            self.cell,
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
        return critical_gain(self.cell, self.task, self.task_parameters, length, self.hidden, self.gain, self.seed)

    @property
    def solved(self) -> str:
        """What solves a length, in words. The held-out sequences are drawn after training has ended."""
        samples = self.final_batches * self.evaluation_samples
        return f"accuracy of at least {self.threshold:g} on {samples:,} sequences drawn after training"

    def describe(self) -> str:
        """Return one line for headings: cell, size, initial weights and optimiser."""
        init = f"{self.init or CELLS[self.cell].init} init"
        for name in ("gain", "recurrent_gain"):
            if (value := getattr(self, name)) != 1:
                init += f", {name.replace('_', ' ')} {value:g}"
        rule = f"{self.optimizer} {self.learning_rate:g}" + (f", clip {self.clip:g}" if self.clip else "")
        window = "" if self.truncate is None else f", gradient truncated to {self.truncate} steps"
        return f"{self.cell}, {self.hidden} hidden, {init}, {rule}{window}, batch {self.batch}"
