"""How NumPy treats overflow and the like while memspan computes, whatever the user's program has set.

Without this `np.errstate(all="raise")` in a program would end a trial where a gradient vanishes, and a result
would depend on more than its key.
"""

import numpy as np

quiet = np.errstate(all="ignore")
"""For training: what is not finite is looked for afterwards, and named."""

usual = np.errstate(divide="warn", over="warn", under="ignore", invalid="ignore")
"""For single passes: NumPy's defaults, except that it says nothing of invalid values.

Some of OpenBLAS's float32 kernels compute with vector lanes that they never filled, and drop the outcome; NumPy
then warns of an invalid value in a right product. (Seen with 0.3.31 on AVX-512, for five columns times a vector.)
What is really invalid shows as NaN.
"""
