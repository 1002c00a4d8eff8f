"""The device with one thread: the same bits whatever the machine and the user's program are."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from threading import Barrier

import numpy as np
import pytest

jax = pytest.importorskip("jax", reason="JAX is not installed")
pytest.importorskip("flax", reason="flax is not installed")
pytest.importorskip("equinox", reason="equinox is not installed")

from memspan.jax import context  # noqa: E402
from memspan.jax.context import computing, one_thread  # noqa: E402

SOURCE = """
import hashlib, os, sys
before, processors = sys.argv[1:]
if processors == "one" and hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
if before == "used":  # JAX's own client exists, with a thread for each processor
    import jax
    jax.numpy.ones(3).block_until_ready()
import numpy as np
from jax_twins import equinox_lstm
from memspan.jax import make_network
network = make_network(equinox_lstm, 1, 1, hidden=256, rng=0)
network.forward(np.random.default_rng(0).standard_normal((8, 64, 1)).astype("float32"))
gradient = network.backward(np.ones((64, 1), "float32")).total()
print(hashlib.sha256(gradient.tobytes()).hexdigest())
"""


def test_no_bit_depends_on_the_processors_or_on_earlier_uses_of_jax():
    """With JAX's own client the products of 256 units give other bits on two processors than on one."""
    here = os.path.dirname(__file__)
    path = os.pathsep.join([os.path.join(here, "..", "helpers"), *filter(None, [os.environ.get("PYTHONPATH")])])
    found = set()
    for arguments in (("used", "all"), ("new", "one")):
        command = [sys.executable, "-c", SOURCE, *arguments]
        ended = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path})
        assert ended.returncode == 0, ended.stderr
        found.add(ended.stdout)
    assert len(found) == 1


def test_the_users_settings_are_neither_used_nor_changed():
    with jax.enable_x64(True):
        with computing(np.dtype("float32")):
            assert jax.numpy.ones(2).dtype == np.float32
            assert jax.numpy.ones(2).devices() == {one_thread()}
        assert jax.numpy.ones(2).dtype == np.float64
    with computing(np.dtype("float64")):
        assert jax.numpy.ones(2).dtype == np.float64
    assert jax.numpy.ones(2).dtype == np.float32
    assert jax.numpy.ones(2).devices() == {jax.devices()[0]}
    assert "NPROC" not in os.environ or context._one_thread.cache_info().currsize == 1


def test_threads_that_ask_at_once_get_the_same_device(monkeypatch):
    monkeypatch.setattr(context, "_one_thread", cache(context._one_thread.__wrapped__))
    barrier = Barrier(4)

    def device(_):
        barrier.wait()
        return one_thread()

    before = os.environ.get(context.THREADS)
    with ThreadPoolExecutor(4) as threads:
        found = {id(one) for one in threads.map(device, range(4))}
    assert len(found) == 1
    assert os.environ.get(context.THREADS) == before
