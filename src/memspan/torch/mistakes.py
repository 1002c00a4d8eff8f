"""Wrong models, each with one planted mistake, to measure what a check can find.

Each is a tanh network with one mistake that people make when they write a recurrent model in PyTorch.
`tests/testing/test_models.py` requires that `memspan.testing.check_model` names every one.
`benchmarks/model_checks.py` gives the same models to `torch.autograd.gradcheck`.
"""

from typing import Any

import numpy as np
import torch
from torch import nn

from memspan.gradcheck.mistakes import ModelMistake

Tensor = Any
"""A tensor of PyTorch, which mypy does not know."""


class RightModel(nn.Module):
    """The tanh network without a mistake: h[t] = tanh(W x[t] + R h[t-1] + b), y[t] = V h[t] + c."""

    def __init__(self, features: int, outputs: int, hidden: int = 8) -> None:
        super().__init__()
        self.hidden = hidden
        self.drive = nn.Linear(features, hidden)
        self.recurrent = nn.Linear(hidden, hidden, bias=False)
        self.read_out = nn.Linear(hidden, outputs)

    def forward(self, x: Tensor, state: Tensor = None) -> tuple[Tensor, Tensor]:
        """Return y `[T, B, O]` and the last state `[B, H]`."""
        h, states = self.initial(x) if state is None else state, []
        for t in range(len(x)):
            h = self.next(x, t, h)
            states.append(h)
        return self.read_out(torch.stack(states)), h

    def initial(self, x: Tensor) -> Tensor:
        """The state before the first step."""
        return x.new_zeros(x.shape[1], self.hidden)

    def next(self, x: Tensor, t: int, h: Tensor) -> Tensor:
        """The state after step t."""
        return torch.tanh(self.drive(x[t]) + self.recurrent(h))


class Detached(RightModel):
    """The state is detached before every step."""

    def next(self, x: Tensor, t: int, h: Tensor) -> Tensor:
        return super().next(x, t, h.detach())


class Truncated(RightModel):
    """The state is detached before every fourth step."""

    def next(self, x: Tensor, t: int, h: Tensor) -> Tensor:
        return super().next(x, t, h if t % 4 else h.detach())


class _Scaled(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor) -> Tensor:
        return a.clone()

    @staticmethod
    def backward(ctx: Any, d_a: Tensor) -> Tensor:
        return 1.0001 * d_a


class Scaled(RightModel):
    """An autograd.Function's backward is 1.0001 times the right one."""

    def next(self, x: Tensor, t: int, h: Tensor) -> Tensor:
        return _Scaled.apply(super().next(x, t, h))


class _Rounded(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor) -> Tensor:
        return a.clone()

    @staticmethod
    def backward(ctx: Any, d_a: Tensor) -> Tensor:
        return d_a.float().to(d_a.dtype)


class RoundedBackward(RightModel):
    """An autograd.Function's backward rounds to float32."""

    def next(self, x: Tensor, t: int, h: Tensor) -> Tensor:
        return _Rounded.apply(super().next(x, t, h))


class Clipped(RightModel):
    """The gradient of the state is clipped to ±1 by a hook."""

    def next(self, x: Tensor, t: int, h: Tensor) -> Tensor:
        h = super().next(x, t, h)
        if h.requires_grad:
            h.register_hook(lambda d_h: None if d_h is None else d_h.clamp(-1, 1))
        return h


class BatchFirst(RightModel):
    """The model takes x for [B, T, F]."""

    def forward(self, x: Tensor, state: Tensor = None) -> tuple[Tensor, Tensor]:
        y, _ = super().forward(x.transpose(0, 1))
        return y.transpose(0, 1), self.initial(x)


class Bidirectional(RightModel):
    """A second pass reads the sequence backwards."""

    def forward(self, x: Tensor, state: Tensor = None) -> tuple[Tensor, Tensor]:
        ahead, h = super().forward(x, state)
        back, _ = super().forward(x.flip(0), state)
        return ahead + back.flip(0), h


class Centred(RightModel):
    """The mean of x over time is subtracted."""

    def forward(self, x: Tensor, state: Tensor = None) -> tuple[Tensor, Tensor]:
        return super().forward(x - x.mean(dim=0, keepdim=True), state)


class StepAhead(RightModel):
    """Step t reads x[t + 1]."""

    def next(self, x: Tensor, t: int, h: Tensor) -> Tensor:
        return super().next(x, min(t + 1, len(x) - 1), h)


class StepLate(RightModel):
    """y[t] is read from the state before step t."""

    def forward(self, x: Tensor, state: Tensor = None) -> tuple[Tensor, Tensor]:
        h, states = self.initial(x) if state is None else state, []
        for t in range(len(x)):
            states.append(h)
            h = self.next(x, t, h)
        return self.read_out(torch.stack(states)), h


class StateOnSelf(RightModel):
    """The last state is kept on the model, and is the next call's first."""

    kept: Tensor = None

    def forward(self, x: Tensor, state: Tensor = None) -> tuple[Tensor, Tensor]:
        given = self.kept if state is None else state
        y, h = super().forward(x, None if given is None or len(given) != x.shape[1] else given)
        self.kept = h.detach()
        return y, h


class StateIgnored(RightModel):
    """The given state is ignored."""

    def forward(self, x: Tensor, state: Tensor = None) -> tuple[Tensor, Tensor]:
        return super().forward(x)


class StateDetached(RightModel):
    """The given state is detached."""

    def forward(self, x: Tensor, state: Tensor = None) -> tuple[Tensor, Tensor]:
        return super().forward(x, None if state is None else state.detach())


class StateNotCarried(RightModel):
    """Every step starts from the initial state."""

    def next(self, x: Tensor, t: int, h: Tensor) -> Tensor:
        return super().next(x, t, self.initial(x) + 0.1)


class StateOverwritten(RightModel):
    """The given state is overwritten in place."""

    def forward(self, x: Tensor, state: Tensor = None) -> tuple[Tensor, Tensor]:
        y, h = super().forward(x, state)
        if state is not None:
            state.detach().copy_(h.detach())
        return y, h


class InputOverwritten(RightModel):
    """x is scaled in place."""

    def forward(self, x: Tensor, state: Tensor = None) -> tuple[Tensor, Tensor]:
        y, h = super().forward(x, state)
        x.detach().mul_(0.5)
        return y, h


class Dropped(RightModel):
    """Dropout on the state."""

    def __init__(self, features: int, outputs: int, hidden: int = 8) -> None:
        super().__init__(features, outputs, hidden)
        self.drop = nn.Dropout(0.1)

    def next(self, x: Tensor, t: int, h: Tensor) -> Tensor:
        return super().next(x, t, self.drop(h))


class BatchNormed(RightModel):
    """Batch normalisation of the state."""

    def __init__(self, features: int, outputs: int, hidden: int = 8) -> None:
        super().__init__(features, outputs, hidden)
        self.norm = nn.BatchNorm1d(hidden)

    def next(self, x: Tensor, t: int, h: Tensor) -> Tensor:
        return super().next(x, t, self.norm(h) if h.shape[0] > 1 else h)


class Unregistered(RightModel):
    """R is a plain tensor, so that no optimiser sees it and no `.to` moves it."""

    def __init__(self, features: int, outputs: int, hidden: int = 8) -> None:
        super().__init__(features, outputs, hidden)
        del self.recurrent
        self.R = [torch.randn(hidden, hidden).mul_(0.3).requires_grad_()]

    def next(self, x: Tensor, t: int, h: Tensor) -> Tensor:
        return torch.tanh(self.drive(x[t]) + h @ self.R[0])


class UnregisteredLayers(RightModel):
    """The layers are in a list, where PyTorch does not find their parameters."""

    def __init__(self, features: int, outputs: int, hidden: int = 8) -> None:
        super().__init__(features, outputs, hidden)
        self.layers = [nn.Linear(hidden, hidden)]

    def next(self, x: Tensor, t: int, h: Tensor) -> Tensor:
        return super().next(x, t, torch.tanh(self.layers[0](h)))


class Unused(RightModel):
    """A parameter is never used."""

    def __init__(self, features: int, outputs: int, hidden: int = 8) -> None:
        super().__init__(features, outputs, hidden)
        self.extra = nn.Linear(hidden, hidden, bias=False)


class DetachedParameter(RightModel):
    """R is used through `.data`."""

    def next(self, x: Tensor, t: int, h: Tensor) -> Tensor:
        return torch.tanh(self.drive(x[t]) + h @ self.recurrent.weight.data.T)


class Modes(RightModel):
    """The state is scaled in training only."""

    def next(self, x: Tensor, t: int, h: Tensor) -> Tensor:
        return super().next(x, t, 0.9 * h if self.training else h)


class Float32Buffer(RightModel):
    """The states pass through a buffer of the default dtype."""

    def forward(self, x: Tensor, state: Tensor = None) -> tuple[Tensor, Tensor]:
        h = self.initial(x) if state is None else state
        states = torch.zeros(len(x), x.shape[1], self.hidden)
        for t in range(len(x)):
            h = self.next(x, t, h)
            states[t] = h
        return self.read_out(states.to(x.dtype)), h


class OtherStep(RightModel):
    """The step beside the call leaves out the bias."""

    def step(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Return y `[B, O]` and the state after one step."""
        h = torch.tanh(x @ self.drive.weight.T + self.recurrent(state))
        return self.read_out(h), h


class FixedSeed(RightModel):
    """The factory sets the seed."""

    def __init__(self, features: int, outputs: int, hidden: int = 8) -> None:
        torch.manual_seed(0)
        super().__init__(features, outputs, hidden)


class OtherGenerator(RightModel):
    """R is drawn by NumPy, without a seed."""

    def __init__(self, features: int, outputs: int, hidden: int = 8) -> None:
        super().__init__(features, outputs, hidden)
        drawn = np.random.default_rng().uniform(-0.3, 0.3, (hidden, hidden))
        self.recurrent.weight.data.copy_(torch.from_numpy(drawn))


MODEL_MISTAKES: dict[str, ModelMistake] = {
    "detach in the loop": ModelMistake(Detached, "gradient", "Usual cause: detach"),
    "truncated": ModelMistake(Truncated, "gradient", "every few steps"),
    "backward x 1.0001": ModelMistake(Scaled, "gradient", "1.0001 times the right one in step 10"),
    "float32 backward": ModelMistake(RoundedBackward, "gradient", "a backward pass in float32"),
    "clipped inside": ModelMistake(Clipped, "linear", "clipped"),
    "batch_first": ModelMistake(BatchFirst, "samples", "batch_first"),
    "bidirectional": ModelMistake(Bidirectional, "causal", "bidirectional"),
    "centred over time": ModelMistake(Centred, "causal", "a mean"),
    "one step ahead": ModelMistake(StepAhead, "causal", "one step ahead"),
    "one step late": ModelMistake(StepLate, "present", "one step late"),
    "state on self": ModelMistake(StateOnSelf, "fresh", "self.h"),
    "state ignored": ModelMistake(StateIgnored, "resume", "ignores the state"),
    "given state detached": ModelMistake(StateDetached, "state gradient", "on the state that the model is given"),
    "state not carried": ModelMistake(StateNotCarried, "memory", "not carried"),
    "state overwritten": ModelMistake(StateOverwritten, "inputs kept", "overwritten in place"),
    "x overwritten": ModelMistake(InputOverwritten, "inputs kept", "x after the call"),
    "dropout": ModelMistake(Dropped, "repeat", "drop = Dropout"),
    "batch norm": ModelMistake(BatchNormed, "samples", "norm = BatchNorm1d"),
    "unregistered parameter": ModelMistake(Unregistered, "registered", r"model.R\[0\] of shape"),
    "unregistered layers": ModelMistake(UnregisteredLayers, "registered", r"model.layers\[0\].weight"),
    "unused parameter": ModelMistake(Unused, "used", "extra.weight"),
    "detached parameter": ModelMistake(DetachedParameter, "used", "recurrent.weight changes y"),
    "train and eval differ": ModelMistake(Modes, "modes", "self.training"),
    "float32 buffer": ModelMistake(Float32Buffer, "precision", "float32 buffer"),
    "step differs": ModelMistake(OtherStep, "step", "two implementations"),
    "fixed seed": ModelMistake(FixedSeed, "seed", "fixed seed"),
    "other generator": ModelMistake(OtherGenerator, "seed", "recurrent.weight"),
}
"""Every mistake by name."""
