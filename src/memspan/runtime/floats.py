"""NumPy's handling of floating-point errors inside memspan, which ignores the settings of the user's program."""

import numpy as np

quiet = np.errstate(all="ignore")
"""A decorator for every function of memspan that computes.

Without it, `np.errstate(all="raise")` in the user's program would end a trial whose gradient vanishes, and a
result would depend on more than its key. Where a number that is not finite is an error, memspan checks for it.

(Some correct products would also warn: a few of OpenBLAS's float32 kernels compute with uninitialised vector lanes
and discard the result. Seen with version 0.3.31 on AVX-512, for five columns times a vector.)
"""
