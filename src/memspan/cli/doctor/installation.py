"""What is installed, and what the machine has: versions, BLAS, cores, memory, the store, extras."""

import os
import platform
import re
import sys
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from threadpoolctl import threadpool_info

from memspan.cells import CELLS
from memspan.cli.doctor.finding import Finding, State
from memspan.errors import MemspanError, NotFound
from memspan.execution.teams import available_cores
from memspan.losses import MSELoss
from memspan.runtime.memory import amount, total
from memspan.store import Store
from memspan.study.provenance import Provenance

EXTRAS = {
    "dask": (("distributed",), "studies on several machines"),
    "parquet": (("pyarrow",), "export of trials as Parquet"),
    "postgres": (("psycopg",), "stores in PostgreSQL"),
    "torch": (("torch",), "PyTorch models of your own"),
    "jax": (("jax", "flax", "equinox"), "JAX models of your own"),
}
"""The distributions of each extra, and what it is for."""


def installation(store: str) -> list[Finding]:
    """Return what is found without a computation."""
    return [
        _memspan(),
        Finding("Python", f"{platform.python_version()}, {platform.platform()}, {sys.executable}"),
        _dependencies(),
        _blas(),
        _machine(),
        _cache(),
        _store(store),
        *(_extra(name, *parts) for name, parts in EXTRAS.items()),
    ]


def _memspan() -> Finding:
    here = Provenance.here()
    commit = f", commit {here.commit}" if here.commit else ""
    return Finding("memspan", f"{here.memspan}{commit}")


def _dependencies() -> Finding:
    """The versions of the packages that memspan always needs."""
    try:
        listed = requires("memspan") or []
    except PackageNotFoundError:  # its folder was put on the path
        return Finding("dependencies", "unknown, because memspan is not installed", State.MISSING)
    names = [re.split(r"[^\w.-]", one)[0] for one in listed if "extra ==" not in one]
    versions = {name: installed_version(name) for name in names}
    found = ", ".join(f"{name} {number or 'not installed'}" for name, number in versions.items())
    if all(versions.values()):
        return Finding("dependencies", found)
    return Finding("dependencies", found, State.BROKEN, "Install memspan again with pip.")


def _blas() -> Finding:
    """The libraries for products of matrices, with their threads outside memspan's trainings."""
    import scipy.linalg  # noqa: F401  (with a BLAS of its own)

    found = [one for one in threadpool_info() if one["user_api"] == "blas"]
    if not found:
        advice = "memspan cannot limit its threads, so set OMP_NUM_THREADS=1 for results that can be repeated."
        return Finding("BLAS", "none that is known to threadpoolctl", State.MISSING, advice)
    texts = [
        f"{one['internal_api']} {one['version'] or ''} ({one.get('architecture', 'unknown')}, "
        f"threads: {one['num_threads']})"
        for one in found
    ]
    return Finding("BLAS", "; ".join(dict.fromkeys(texts)) + "; one thread in each training")


def _machine() -> Finding:
    cores = available_cores()
    return Finding(
        "machine", f"{cores} of {os.cpu_count()} cores for worker processes, {amount(total())} of memory"
    )


def _cache() -> Finding:
    """The folder in which Numba keeps compiled cells."""
    from memspan.engines.compiled.compiling import kernel_of  # Numba takes a third of a second to import
    from memspan.engines.compiled.losses import loss_in_kernel

    function, *_ = loss_in_kernel(MSELoss())
    folder = kernel_of(CELLS["rnn"], function).stats.cache_path
    if not folder:
        advice = "Set NUMBA_CACHE_DIR to a folder that can be written to."
        return Finding(
            "Numba's cache", "no folder can be written to: each process compiles", State.MISSING, advice
        )
    return Finding("Numba's cache", f"{folder}, compiled cells: {len([*Path(folder).glob('*.nbi')])}")


def _store(place: str) -> Finding:
    try:
        with Store(place) as opened:
            overviews = opened.overviews()
            trials = sum(one.done for one in overviews)
            return Finding("store", f"{opened.place}: studies and searches: {len(overviews)}, trials: {trials:,}")
    except NotFound as error:
        return Finding("store", str(error).partition(". ")[0], State.MISSING)
    except MemspanError as error:
        return Finding("store", str(error), State.BROKEN)


def _extra(name: str, distributions: tuple[str, ...], purpose: str) -> Finding:
    versions = {one: installed_version(one) for one in distributions}
    if all(versions.values()):
        return Finding(name, f"{', '.join(f'{one} {number}' for one, number in versions.items())}: {purpose}")
    lacking = ", ".join(one for one, number in versions.items() if not number)
    advice = f"To install: pip install 'memspan[{name}]'."
    return Finding(name, f"for {purpose}: no {lacking}", State.MISSING, advice)


def installed_version(distribution: str) -> str | None:
    """Return the version of a distribution; None if it is not installed."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None
