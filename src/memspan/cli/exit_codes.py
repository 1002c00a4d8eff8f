"""The exit codes of `memspan`."""

from enum import IntEnum


class ExitCode(IntEnum):
    """What the exit code of a command means. A shell script may rely on these numbers."""

    SUCCESS = 0
    NO = 1
    INVALID = 2
    UNREADABLE = 3
    MACHINE = 4
    INTERRUPTED = 130
    PIPE = 141


EXIT_CODES = {
    ExitCode.SUCCESS: "success",
    ExitCode.NO: "the answer is no (a gradient is wrong, a contract is broken), or a trial failed",
    ExitCode.INVALID: "invalid input: nothing was trained or written",
    ExitCode.UNREADABLE: "a file is damaged or not memspan's",
    ExitCode.MACHINE: "the machine failed: a full disk, too little memory, a server that does not answer",
    ExitCode.INTERRUPTED: "interrupted by Ctrl-C, SIGTERM or SIGHUP: finished trials are stored",
    ExitCode.PIPE: "the reader of standard output closed it early, as `head` does",
}
"""The meaning of each exit code."""
