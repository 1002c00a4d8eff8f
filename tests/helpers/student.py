"""A recurrent network as a student would write it."""

import numpy as np


class StudentRNN:
    """A tanh network for one sequence at a time, with loops and outer products."""

    def __init__(self, features, hidden, outputs, rng):
        shapes = {
            "W": (features, hidden),
            "R": (hidden, hidden),
            "bs": (hidden, 1),
            "V": (hidden, outputs),
            "by": (outputs, 1),
        }
        self.weights = {name: rng.uniform(-0.5, 0.5, shape) for name, shape in shapes.items()}

    def get_weights(self):
        return {name: weight.copy() for name, weight in self.weights.items()}

    def set_weights(self, weights):
        if set(weights) != set(self.weights):
            raise KeyError(sorted(weights))
        self.weights = {name: weight.copy() for name, weight in weights.items()}

    def forward(self, x):
        self.x = x
        self.a = [np.zeros(len(self.weights["R"]))]
        for x_t in x:
            s = x_t @ self.weights["W"] + self.a[-1] @ self.weights["R"] + self.weights["bs"][:, 0]
            self.a.append(np.tanh(s))
        return self.a[-1][np.newaxis] @ self.weights["V"] + self.weights["by"].T

    def backward(self, d_loss):
        assert d_loss.shape == self.weights["by"].shape[:1]
        T = len(self.x)
        grads = {f"d_{name}": np.zeros((T, *self.weights[name].shape)) for name in ("W", "R", "bs")}
        d_a = self.weights["V"] @ d_loss
        for t in reversed(range(T)):
            d_s = d_a * (1 - self.a[t + 1] ** 2)
            grads["d_W"][t] = np.outer(self.x[t], d_s)
            grads["d_R"][t] = np.outer(self.a[t], d_s)
            grads["d_bs"][t, :, 0] = d_s
            d_a = self.weights["R"] @ d_s
        return grads | {"d_V": np.outer(self.a[-1], d_loss), "d_by": d_loss[:, np.newaxis].copy()}
