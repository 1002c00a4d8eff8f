"""How NumPy treats overflow and the like while memspan computes, whatever the user's program has set."""

import numpy as np

quiet = np.errstate(all="ignore")
"""For every function of memspan that computes: a decorator.

With the program's own setting, `np.errstate(all="raise")` would end a trial where a gradient vanishes, and a
result would depend on more than its key. What is not finite is a result, or is looked for and named.

(Without it some right products would warn, too: a few of OpenBLAS's float32 kernels compute with vector lanes that
they never filled, and drop the outcome. Seen with 0.3.31 on AVX-512, for five columns times a vector.)
"""
