"""State-to-state Jacobians from the forward alone, for comparison with those from the backward."""

import numpy as np

from memspan.engines.readable import drive, pre_activations, unroll

STEP = 1e-20


def complex_step_jacobians(network, x):
    """[T, B, N, N], one column at a time: an imaginary step in one state before each time step."""
    real = network.astype(np.float64)
    states = unroll(real.cell, real.weights, real.inputs(x)).states
    twin = network.astype(np.complex128)
    cell, weights, unit, x = twin.cell, twin.weights, twin.cell.unit(twin.weights.U), twin.inputs(x)
    S, T1, B, H = states.shape
    J = np.empty((T1 - 1, B, S * H, S * H))
    for t in range(T1 - 1):
        for column in range(S * H):
            before = states[:, t].astype(complex)
            before[column // H, :, column % H] += 1j * STEP
            before = tuple(before)
            s = pre_activations(cell, weights, unit, drive(weights, x[t]), before)
            after, _ = cell.forward(s, before, unit)
            J[t, :, :, column] = np.concatenate(after, axis=-1).imag / STEP
    return J
