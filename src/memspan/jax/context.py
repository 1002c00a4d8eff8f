"""Where and how JAX computes for memspan: with one thread, and in 64 bits if a model needs them."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import jax
import numpy as np
from jaxlib import xla_client

from memspan.errors import InvalidArgument, shown

Device = Any
"""A device of JAX."""
THREADS = "NPROC"
"""The environment variable from which XLA takes the number of threads of a new client."""
_lock = threading.Lock()


@contextmanager
def computing(dtype: np.dtype[Any], device: Device = None) -> Iterator[None]:
    """Compute in the precision of a dtype inside the `with` block, by default on a processor with one thread.

    The user's own setting of `jax_enable_x64` neither matters nor changes.
    """
    with jax.enable_x64(dtype.itemsize >= 8), jax.default_device(device or one_thread()):
        yield


def one_thread() -> Device:
    """Return the processor as a device with one thread.

    The bits of a matrix product can depend on the number of threads, and JAX's own client has one for each core of
    the machine. So memspan makes a client of its own; that of the user's program stays as it is.
    """
    with _lock:  # two threads of a Dask worker may ask for it at once
        return _one_thread()


@cache
def _one_thread() -> Device:
    before = os.environ.get(THREADS)
    os.environ[THREADS] = "1"
    try:
        client = xla_client.make_cpu_client(asynchronous=False)
    finally:
        os.environ.pop(THREADS)
        if before is not None:
            os.environ[THREADS] = before
    return client.local_devices()[0]


def device_of(name: Any) -> Device:
    """Return a device by the name of its platform and its number; `cpu` is the processor with one thread."""
    if name == "cpu":
        return one_thread()
    rule = "one that JAX can use, such as cpu, cuda or cuda:1"
    if not isinstance(name, str):
        raise InvalidArgument("device", rule, shown(name))
    platform, _, number = name.partition(":")
    if platform == "cpu":  # that of JAX's own client, with a thread for each core
        raise InvalidArgument("device", rule, shown(name), "; for the processor write cpu")
    try:
        return jax.devices(platform)[int(number or 0)]
    except (RuntimeError, ValueError, IndexError) as error:
        reason = str(error).partition("\n")[0].rstrip(".")
        raise InvalidArgument("device", rule, shown(name), f": {reason}") from None
