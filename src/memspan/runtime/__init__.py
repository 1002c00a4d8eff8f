"""What long work needs of the machine: interrupts, BLAS threads, whole files, and progress for people."""
