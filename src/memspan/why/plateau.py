"""The plateau, on which training begins: how many updates gradient descent needs to leave it, without training.

At first a network answers every sequence alike, and its loss is the trivial risk. The mean update of its weights θ
has three parts, for a learning rate η (divided by 1 - μ for momentum μ) and batches of B sequences:

    dθ/dn = -η ∇L₀(θ) + 2 η g(θ) - (η² τ / 4B) ∇ E|∇v(θ)|²

- L₀ is the loss of labels that do not depend on the input. It pulls the prediction back to the trivial answer.
- g is the label gradient (`memspan.diagnostics.label`), the only part that leads off the plateau. It is a product
  of as many factors as the label is steps away, and grows with them.
- The last part is the noise of the batches. Where L₀ is flat, gradient descent drifts to where its gradients are
  small (label noise: Blanc, Gupta, Valiant & Valiant 2020, arXiv:1904.09080). Here E|∇v|² is the mean squared
  gradient of one prediction, scaled with the curvature of the loss, and τ the variance of dL/dŷ in units of that
  curvature: 2 E y² for the squared error of one number. This part makes the readout decay, so that beyond some
  length no number of updates is enough.

`Plateau` integrates this equation in steps that double where little happens. Some forty evaluations give the
result of thousands of updates, with no constant that was fitted to trained networks. The readout follows the label
and L₀ at once, which would force tiny steps. Therefore each step has two parts: all other weights move along a
straight line; then the readout follows the exact solution of its linear equation, with the new states held.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from memspan.diagnostics.label import label_engine
from memspan.diagnostics.twins import Twins
from memspan.errors import InvalidArgument
from memspan.network import Model
from memspan.runtime.blas import one_blas_thread
from memspan.runtime.floats import quiet
from memspan.shapes import Array
from memspan.tasks import Task

LEFT = 0.9
"""A network has left the plateau when its loss, as a share of the trivial risk, falls below this."""
WINDOW = 25
"""The number of updates over which the loss is averaged in training before it is compared with `LEFT`."""
DISTANCE = 0.04  # all weights but the readout move at most this far in a step of the integration
READOUT = 0.1  # where the readout moves this far in a step, the steps stop growing
FIRST, GROWTH = 4.0, 2.0  # the longest first step, in updates, and the most by which a step grows
MOST_STEPS = 400  # of the integration; a network that takes more of them moves to and fro and does not leave
NOISE = 8  # sequences for the noise
NUDGE = 1e-6  # of the weights or of ŷ, for a difference in place of a derivative
TINY = 1e-300


@dataclass(frozen=True)
class Descent:
    """What gradient descent is: the numbers of the optimiser on which the plateau depends.

    Attributes
    ----------
    rate : float
        η, the learning rate divided by 1 - μ.
    batch : int
        B; infinity leaves out the noise of the batches.
    clip : float
        The norm to which gradients are clipped; infinity without clipping.
    delay : float
        μ / (1 - μ), the updates by which momentum lags behind.
    """

    rate: float
    batch: float
    clip: float = np.inf
    delay: float = 0.0


def averaged(losses: Float[np.ndarray, "updates"], window: int = WINDOW) -> Float[np.ndarray, "updates"]:
    """Return the means of a loss over windows of updates. An entry stands for the window that ends there."""
    if len(losses) < window:
        return np.empty(0)
    return np.lib.stride_tricks.sliding_window_view(losses, window).mean(axis=1)


def left_at(shares: Float[np.ndarray, "updates"], window: int = WINDOW) -> float:
    """Return the update at which a trained network has left the plateau, infinity for never.

    Parameters
    ----------
    shares : array [updates]
        The loss of each update as a share of the trivial risk. Its mean over a window must be below `LEFT`.
    window : int
    """
    below = np.flatnonzero(averaged(shares, window) < LEFT)
    return float(below[0] + window) if len(below) else np.inf


class Plateau:
    """The plateau of networks of one shape, for a task at one length.

    Parameters
    ----------
    network : Network or another Model
        Any network of the shape; its weights do not matter. Networks that are not `interchangeable` need a plateau
        each.
    task : Task
    length : int
    twins : Twins
        Of the task, at the length.

    Attributes
    ----------
    engine : PreparedEngine
        The engine of these networks, as `label_engine` returns it.
    read_out : ReadOut
        V and b_y among their weights, and what they read.

    Raises
    ------
    InvalidArgument
        If it is not known which of the weights are those of a linear read-out.
    """

    def __init__(self, network: Model, task: Task, length: int, twins: Twins) -> None:
        read_out = network.astype(np.float64).read_out()
        if read_out is None:
            raise InvalidArgument("network", "one whose linear read-out memspan knows", repr(network))
        self.read_out, self.twins = read_out, twins
        self.engine = label_engine(network)
        outputs = network.output_size
        self._loss, self._risk = task.make_loss(), task.trivial_risk(length)
        self._answer = np.broadcast_to(task.trivial_answer(length)[..., np.newaxis, :], twins.y.shape)
        self._at_answer = self._loss_of(self._answer)
        self._label = twins.weights / twins.parts
        sequences, curvatures = twins.y.shape[-2], self._curvatures()
        self._curvature = curvatures.reshape(-1, outputs, outputs).sum(axis=0) / sequences
        weights = np.trace(curvatures, axis1=-2, axis2=-1)
        self._weights = weights / weights.sum()  # of the answers, in the moments of the states
        each = self._at_answer[1] * sequences  # dL/dŷ of each sequence, for the loss of that sequence alone
        self._tau = float((each**2).sum() / sequences / np.trace(self._curvature))
        self._singles = self._single_predictions(curvatures)

    @quiet
    def leave(
        self, parameters: Float[np.ndarray, "models parameters"], descent: Descent, limit: float
    ) -> Float[np.ndarray, "models"]:
        """Return after how many updates each network leaves the plateau; infinity for more than `limit`.

        Parameters
        ----------
        parameters : array [M, P]
            The initial weights of each network.
        descent : Descent
        limit : float
            The most updates to look for.
        """
        theta: Array = parameters.astype(np.float64)
        here: Array = np.arange(len(theta))
        done: Array
        longest: Array
        left, done, longest = np.full(len(theta), np.inf), np.zeros(len(theta)), np.full(len(theta), FIRST)
        lag = WINDOW / 2 + descent.delay
        with one_blas_thread():
            states = self._states(theta)
            for _ in range(MOST_STEPS):
                share, pull = self._pull(theta, states)
                gone = ~(share >= LEFT)  # a network whose numbers overflow has left too
                left[here[gone]] = done[gone] + lag
                stay = ~gone & (done < limit - lag)
                if not stay.any():
                    break
                theta, here, done, longest, pull = (a[stay] for a in (theta, here, done, longest, pull))
                theta, states, step, longest = self._advance(theta, pull, descent, longest)
                done = done + step
        return np.where(left <= limit, left, np.inf)

    @quiet
    def decay(
        self, parameters: Float[np.ndarray, "models parameters"], descent: Descent
    ) -> Float[np.ndarray, "models"]:
        """Return κ, the share by which the noise of the batches shortens the readout V in one update, `[M]`."""
        with one_blas_thread():
            _, drift = self._noise(parameters.astype(np.float64))
        H = self.read_out.width
        V, along = (flats[:, self.read_out.places[:H]] for flats in (parameters, drift))
        size = np.maximum((V**2).sum(axis=(1, 2)), TINY)
        return descent.rate**2 * self._tau / (4 * descent.batch) * (V * along).sum(axis=(1, 2)) / size

    def _advance(self, theta: Array, pull: Array, descent: Descent, longest: Array) -> tuple[Array, ...]:
        """Take one step of the integration, of at most `longest` updates.

        Return the new weights, their states, the length of the step, and the longest next one.
        """
        square, drift = self._noise(theta) if np.isfinite(descent.batch) else (0.0, np.zeros_like(theta))
        norm = np.sqrt((pull**2).sum(axis=1) + self._tau * square / descent.batch)  # of a batch's gradient
        rate = descent.rate * np.minimum(1, descent.clip / np.maximum(norm, TINY))
        noise = (rate**2 * self._tau / (4 * descent.batch))[:, np.newaxis] * drift
        speed = rate[:, np.newaxis] * pull - noise
        speed[:, self.read_out.places] = 0
        step = np.minimum(longest, DISTANCE / np.maximum(np.linalg.norm(speed, axis=1), TINY))
        theta = theta + speed * step[:, np.newaxis]
        states, places = self._states(theta), self.read_out.places
        change = self._relaxed(theta, states, rate, noise[:, places], step)
        theta[:, places] += change
        moved = np.sqrt((change**2).sum(axis=(1, 2)))
        return theta, states, step, step * np.minimum(GROWTH, READOUT / np.maximum(moved, TINY))

    def _relaxed(self, theta: Array, states: Array, rate: Array, noise: Array, step: Array) -> Array:
        """How far the readout moves in a step `[M, H + 1, O]`, with the states held: an exponential Euler step."""
        _, upstream = self._errors(theta, states)
        M, width, outputs = len(theta), states.shape[-1], upstream.shape[-1]
        read = states.reshape(M, -1, width)
        moments = read.transpose(0, 2, 1) @ (read * self._weights.reshape(-1, 1))
        moments[~np.isfinite(moments).all(axis=(1, 2))] = 0  # `eigh` refuses them; `pull` is not finite either
        of_states, left = np.linalg.eigh(moments)
        of_loss, right = np.linalg.eigh(self._curvature)
        r = rate[:, np.newaxis, np.newaxis] * np.maximum(of_states, 0)[:, :, np.newaxis] * np.maximum(of_loss, 0)
        pull = -read.transpose(0, 2, 1) @ upstream.reshape(M, -1, outputs)
        along = left.transpose(0, 2, 1) @ (rate[:, np.newaxis, np.newaxis] * pull - noise) @ right
        return np.asarray(left @ (along * _response(r, step[:, np.newaxis, np.newaxis])) @ right.T)

    def _loss_of(self, y_hat: Array) -> tuple[float, Array]:
        """The loss of predictions for all sequences, and its derivative."""
        return self._loss.forward(np.ascontiguousarray(y_hat), self.twins.y), self._loss.backward()

    def _curvatures(self) -> Array:
        """d²L/dŷ² of each answer at the trivial one, for the loss of its sequence alone, `[2N, O, O]`."""
        columns = []
        for one in np.eye(self.twins.y.shape[-1]):
            up, down = (self._loss_of(self._answer + sign * NUDGE * one)[1] for sign in (1, -1))
            columns.append((up - down) / (2 * NUDGE))
        return np.stack(columns, axis=-1) * self._answer.shape[-2]

    def _single_predictions(self, curvatures: Array) -> list[tuple[Array, Array]]:
        """One sequence from each of some parts, with a dL/dŷ for one of its answers.

        The answer, and the direction of ŷ if there are several outputs, have a chance in proportion to their
        curvature. So the mean of the squared gradients is E|∇v|², without products of different answers.
        """
        twins, found = self.twins, []
        numbers = np.linspace(0, twins.parts - 1, min(NOISE, twins.parts)).round().astype(int).tolist()
        for i, number in enumerate(numbers):
            one = slice(twins.part(number).start, twins.part(number).start + 1)
            values, vectors = np.linalg.eigh(curvatures[..., one, :, :])
            sums = np.cumsum(np.maximum(values, 0))
            at = int(np.searchsorted(sums, (i + 0.5) / len(numbers) * sums[-1]))  # evenly over the answers
            answer, direction = divmod(at, values.shape[-1])
            upstream = np.zeros((values.size // values.shape[-1], values.shape[-1]))
            upstream[answer] = np.sqrt(sums[-1]) * vectors.reshape(-1, *vectors.shape[-2:])[answer, :, direction]
            found.append((twins.x[:, one], upstream.reshape(values.shape) * upstream.size))  # the loss is a mean
        return found

    def _states(self, theta: Array) -> Array:
        """The states that the readout reads, and 1: `[M, K, 2N, H + 1]` or `[M, 2N, H + 1]`."""
        return self.read_out.states(theta, self.twins.x)

    def _errors(self, theta: Array, states: Array) -> tuple[Array, Array]:
        """The expected loss as a share of the trivial risk `[M]`, and its derivative by ŷ, `[M, 2N, O]`.

        The label's part of both comes from the weights of the twins, which makes it exact for tiny signals. What
        remains of the loss of the sequences, after its linear part, does not depend on their labels.
        """
        loss, derivative = self._at_answer
        share, upstream = np.empty(len(theta)), np.empty((len(theta), *self._label.shape))
        for k, (readout, read) in enumerate(zip(theta[:, self.read_out.places], states, strict=True)):
            y_hat = read @ readout
            away = y_hat - self._answer
            new, d_y_hat = self._loss_of(y_hat)
            share[k] = 1 + (new - loss + ((self._label - derivative) * away).sum()) / self._risk
            upstream[k] = d_y_hat - derivative + self._label
        return share, upstream

    def _pull(self, theta: Array, states: Array) -> tuple[Array, Array]:
        """The loss as a share of the trivial risk `[M]`, and -∇L₀ + 2 g `[M, P]`."""
        share, upstream = self._errors(theta, states)
        batches = [(self.twins.x, one * one.size) for one in upstream]  # the loss of the engine is a mean
        return share, -self.engine.differentiate(theta, batches).gradients

    def _noise(self, theta: Array) -> tuple[Array, Array]:
        """E|∇v|² `[M]`, and its gradient `[M, P]`: the change of ∇v where the weights move along it."""
        count, (M, P) = len(self._singles), theta.shape
        rows, batches = np.repeat(theta, count, axis=0), self._singles * M
        gradients = self.engine.differentiate(rows, batches).gradients
        size = np.linalg.norm(gradients, axis=1, keepdims=True)
        nudged = rows + NUDGE * gradients / np.maximum(size, TINY)
        change = self.engine.differentiate(nudged, batches).gradients - gradients
        drift = (2 * size * change / NUDGE).reshape(M, count, P).mean(axis=1)
        return (size**2).reshape(M, count).mean(axis=1), drift


def _response(r: Array, n: Array) -> Array:
    """(1 - exp(-r n)) / r for rates r and n updates; n where r is 0."""
    return np.where(r * n > 1e-9, -np.expm1(-r * n) / np.maximum(r, TINY), n)
