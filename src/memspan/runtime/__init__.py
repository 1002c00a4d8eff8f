"""Tools for long computations: interrupts, BLAS threads, safe replacement of files, progress displays."""
