"""The memory of this machine, and the refusal of sizes that exceed it before anything is allocated."""

import functools

import psutil

from memspan.errors import InvalidArgument


@functools.cache
def total() -> int:
    """Return the bytes of this machine's memory."""
    return int(psutil.virtual_memory().total)


def demand_memory(name: str, got: object, size: int) -> None:
    """Refuse an argument if its arrays would take `size` bytes and the machine has less memory.

    Raises
    ------
    InvalidArgument
        With both amounts of memory in the message.
    """
    if size > total():
        rule = f"small enough for the memory of this machine, {amount(total())}"
        raise InvalidArgument(name, rule, f"{got}, which takes {amount(size)}")


def amount(size: float) -> str:
    """Return a number of bytes as text: `250 MiB`."""
    for unit in ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"):
        if size < 1024 or unit == "EiB":
            break
        size /= 1024
    return f"{size:,.0f} {unit}" if size >= 100 or unit == "bytes" else f"{size:.3g} {unit}"
