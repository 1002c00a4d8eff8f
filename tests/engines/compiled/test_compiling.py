"""The cache on disk, as fresh processes see it."""

import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from numba import njit

import memspan
from memspan import CELLS, MSELoss, Network
from memspan.engines.compiled import compiling, engine
from memspan.engines.compiled.compiling import OPTIONS, _fingerprint, announcement
from memspan.engines.compiled.kernel import build
from memspan.engines.parameters import Layout
from memspan.losses import evaluate

CELL = """
from memspan.cells.activations import tanh, tanh_derivative
from memspan.cells import Cell


def forward(s, previous, unit):
    a = tanh(s[0]{plus})
    return (a,), (a,)


def backward(d_state, residuals, previous, state, unit):
    return (d_state[0] * tanh_derivative(residuals[0]),), (0.0 * d_state[0],), ()


CELL = Cell("mine", ("a",), ("a",), forward, backward, "here")
"""

SCRIPT = """
import sys
import numpy as np
from memspan import MSELoss, Network
from memspan.engines.compiled import CompiledEngine, compiling

compiling.LOADING_SECONDS = float(sys.argv[1])
network = Network("rnn", 1, 3, 1, dtype="float32", rng=0)
engine = CompiledEngine(network.layout, network.dtype, MSELoss())
batch = np.ones((4, 2, 1), np.float32), np.zeros((2, 1), np.float32)
found = engine.differentiate(network.parameters[np.newaxis], [batch])
(stats,) = [kernel.stats for kernel in compiling._kernels.values()]
print(sum(stats.cache_hits.values()), sum(stats.cache_misses.values()), stats.cache_path)
print(found.losses[0].hex())
"""

SOON, LATE = 0.05, 60.0
"""Seconds before a process says that it is loading: less than that takes, and more."""


def run(patience, **environment):
    """What a new process loaded and compiled, the loss it found, what it said, and where its cache is."""
    command = [sys.executable, "-c", SCRIPT, str(patience)]
    done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, check=True)
    counts, loss = done.stdout.splitlines()
    hits, misses, folder = counts.split(maxsplit=2)
    return (int(hits), int(misses)), float.fromhex(loss), done.stderr, folder


@pytest.mark.slow
def test_the_next_process_loads_what_an_earlier_one_has_compiled(tmp_path):
    first, loss, said, folder = run(LATE, NUMBA_CACHE_DIR=str(tmp_path))
    assert first == (0, 1)
    assert said == "memspan: compiling the cell rnn for float32, once\n"
    assert Path(folder).is_relative_to(tmp_path)
    assert run(LATE, NUMBA_CACHE_DIR=str(tmp_path)) == ((1, 0), loss, "", folder)
    slow = "memspan: loading the cell rnn for float32\n"
    assert run(SOON, NUMBA_CACHE_DIR=str(tmp_path)) == ((1, 0), loss, slow, folder)


@pytest.mark.faults
def test_a_damaged_kernel_is_compiled_again(tmp_path):
    _, loss, _, folder = run(LATE, NUMBA_CACHE_DIR=str(tmp_path))
    for file in Path(folder).glob("*kernel_*.nb?"):
        file.write_bytes(b"junk")
    damaged, found, *_ = run(LATE, NUMBA_CACHE_DIR=str(tmp_path))
    assert (damaged[0], found) == (0, loss)  # compiled again
    assert run(LATE, NUMBA_CACHE_DIR=str(tmp_path)) == ((1, 0), loss, "", folder)


NAME = """
from memspan.engines.compiled.compiling import kernel_of
from memspan.losses import evaluate
from mine import CELL

print(kernel_of(CELL, evaluate).py_func.__qualname__)
"""


def test_a_cell_that_was_changed_has_another_kernel_and_so_another_file(tmp_path):
    names = []
    for plus in ("", " + s[0]", ""):
        (tmp_path / "mine.py").write_text(CELL.format(plus=plus))
        command = [sys.executable, "-B", "-c", NAME]
        environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
        names.append(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)
    assert names[0] == names[2] != names[1]
    assert names[0].startswith("kernel_")


def test_where_nothing_can_be_written_there_is_a_kernel_all_the_same(tmp_path):
    """Folders below a file: nobody can make them, not even root."""
    file = tmp_path / "file"
    file.write_text("")
    package = shutil.copytree(
        Path(memspan.__file__).parent, tmp_path / "memspan", ignore=shutil.ignore_patterns("__pycache__")
    )
    (package / "engines" / "compiled" / "__pycache__").write_text("")
    nowhere = dict.fromkeys(("NUMBA_CACHE_DIR", "XDG_CACHE_HOME", "HOME"), str(file / "below"))
    code = """if True:
        from memspan import CELLS
        from memspan.engines.compiled.compiling import kernel_of
        from memspan.losses import evaluate
        print(kernel_of(CELLS["rnn"], evaluate).stats.cache_path)
    """
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), **nowhere}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout == "None\n"


@pytest.mark.slow
def test_kernels_that_other_processes_have_compiled_do_not_take_each_others_functions():
    """To the linker all functions of a name are one, and the number that Numba adds begins anew with each process.

    So but for that number no name may stand for two functions, and none for one that depends on the cell.
    """
    kernel = njit(**OPTIONS)(build(CELLS["gru-before"], evaluate, "of_gru"))
    with patch.object(compiling, "kernel_of", lambda *_: kernel):
        engine.CompiledEngine(Layout(CELLS["gru-before"], 1, 3, 1), np.dtype(np.float32), MSELoss())
    (code,) = kernel.inspect_llvm().values()
    shared = [re.sub(r"B\d+v\d+", "", name) for name in re.findall(r"define linkonce_odr .*?@([\w.$]+)\(", code)]
    ours = [name for name in shared if "memspan" in name]
    assert len(ours) == len(set(ours)) > 0
    assert not any("_3cfunction_20" in name for name in ours)  # an argument of the type "Function(<function ..."
    assert set(re.findall(r"define [^l].*@_ZN\w*?(kernel_of_\w\w\w)", code)) == {"kernel_of_gru"}


FUNCTIONS = """
from memspan.cells.activations import relu, tanh
K = {K}

def helper(x):
    return x {sign} x

def plain(s):
    return tanh(s)

def other(s):
    return relu(s)

def using(s):
    return helper(s) * K

def nested(s):
    return [x for x in s]
"""


def made(K=0.5, sign="+"):
    found = {"__name__": "mine"}
    exec(FUNCTIONS.format(K=K, sign=sign), found)
    return found


def test_the_fingerprint_is_of_everything_that_is_compiled():
    first, again = made(), made()
    for name in ("plain", "using", "nested"):
        assert _fingerprint([first[name]]) == _fingerprint([again[name]])
    assert _fingerprint([first["plain"]]) != _fingerprint([first["other"]])
    assert _fingerprint([first["using"]]) != _fingerprint([made(K=0.9)["using"]])
    assert _fingerprint([first["using"]]) != _fingerprint([made(sign="-")["using"]])
    before = _fingerprint([first["using"]])
    first["K"] = 0.9
    assert _fingerprint([first["using"]]) != before


@pytest.mark.slow
def test_a_number_that_a_cell_finds_around_it_may_change():
    """As in a notebook: the readable engine takes the new one, and so does a new kernel."""
    found = {"__name__": "mine", "K": 1.0}
    exec(CELL.format(plus=" * K"), found)
    losses = []
    for number in (0.5, 2.0):
        found["K"] = number
        network = Network(replace(found["CELL"]), 1, 3, 1, rng=0)
        batch = np.ones((4, 2, 1)), np.zeros((2, 1))
        losses.append(
            engine.CompiledEngine(network.layout, network.dtype, MSELoss())
            .differentiate(network.parameters[np.newaxis], [batch])
            .losses[0]
        )
        assert losses[-1] == pytest.approx(MSELoss().forward(network.forward(batch[0]), batch[1]), rel=1e-12)
    assert losses[0] != losses[1]


def test_loading_that_takes_long_is_said_once(capsys, monkeypatch):
    monkeypatch.setattr("memspan.engines.compiled.compiling.LOADING_SECONDS", 0.01)
    for said in ("memspan: loading something slow\n", ""):
        with announcement(None, "something slow"):
            time.sleep(0.2)
        assert capsys.readouterr().err == said


@pytest.mark.slow
def test_a_disk_that_is_full_costs_the_cache_and_nothing_else(tmp_path):
    """A limit on the size of a file: Numba can write its index, and not the code."""
    limit = "import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))\n"
    command = [sys.executable, "-c", limit + SCRIPT, str(LATE)]
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    network = Network("rnn", 1, 3, 1, dtype="float32", rng=0)
    here = engine.CompiledEngine(network.layout, network.dtype, MSELoss())
    batch = np.ones((4, 2, 1), np.float32), np.zeros((2, 1), np.float32)
    found = here.differentiate(network.parameters[np.newaxis], [batch])
    assert float.fromhex(done.stdout.splitlines()[1]) == found.losses[0]
    assert done.stderr.splitlines() == [
        "memspan: compiling the cell rnn for float32, once",
        "memspan: cannot write compiled cells to disk (File too large); every process will compile them again",
    ]
