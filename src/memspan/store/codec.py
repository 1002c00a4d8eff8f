"""The blob format for the curves and gradients of a trial.

A blob is a safetensors file compressed with zlib. Its arrays are float64: `curve`; `flow_map`, with one row for
each measurement; quantiles and shares in the same shape (`flow_spread.q10` and so on), which trials of older
versions of memspan do not have; and the norms of every time step before training (`start.d_a`, `start.d_R`,
`start.d_W`) and after it (`end.d_a`, `end.d_R`, `end.d_W`). Empty arrays are left out. The metadata holds
`curve_every` and `flow_every`, in updates. Numbers are rounded to 20 binary digits (quantiles to 10), so that half
of their bytes compress to nothing.
"""

import zlib
from typing import Any

import numpy as np

from memspan.errors import UnreadableFile
from memspan.runtime.parsing import parsed_object
from memspan.study.trial import Flow, FlowSpreads, Trial

LARGEST = 1 << 28
"""The most bytes that a blob may unpack to: enough for 200,000 time steps. A damaged blob could claim any size.

The maps of the spread are left out where they might exceed it, above 28,000 time steps."""
MAPS = {name: f"flow_spread.{name}" for name in FlowSpreads.model_fields}
AXES = {"curve": 1, "flow_map": 2} | dict.fromkeys(MAPS.values(), 2)
"""The number of axes of an array; all others have one."""


def pack(trial: Trial) -> bytes:
    """Return the blob of a trial."""
    from safetensors.numpy import save

    arrays: dict[str, list[Any]] = {"curve": trial.curve, "flow_map": trial.flow_map}
    for moment in ("start", "end"):
        flow: Flow | None = getattr(trial, moment)
        arrays |= {f"{moment}.{name}": norms for name, norms in (flow.model_dump() if flow else {}).items()}
    every = {"curve_every": str(trial.curve_every), "flow_every": str(trial.flow_every)}
    spread = {array: getattr(trial.flow_spread, name, []) for name, array in MAPS.items()}
    numbers = len(trial.flow_map) * max(map(len, trial.flow_map), default=0) * (1 + len(MAPS))
    arrays |= spread if 8 * numbers < 0.9 * LARGEST else {}
    return zlib.compress(save({name: np.array(a, "<f8") for name, a in arrays.items() if len(a)}, every))


def unpack(blob: bytes) -> dict[str, Any]:
    """Return the fields of a trial that a blob holds.

    Raises
    ------
    UnreadableFile
        When the blob is damaged.
    """
    from safetensors import SafetensorError, deserialize

    unpacking = zlib.decompressobj()
    try:
        file = unpacking.decompress(blob, LARGEST)
        if not unpacking.eof:
            raise ValueError("the blob is truncated or too large")
        found = {name: _array(name, tensor) for name, tensor in deserialize(file)}  # type: ignore[no-untyped-call]
        fields: dict[str, Any] = {name: found.get(name, np.zeros(0)).tolist() for name in ("curve", "flow_map")}
        maps = {name: found[array] for name, array in MAPS.items() if array in found}
        if any(values.shape != found["flow_map"].shape for values in maps.values()):
            raise ValueError("a map of the spread does not have the shape of the map of norms")
        fields["flow_spread"] = FlowSpreads(**{name: map.tolist() for name, map in maps.items()}) if maps else None
        for moment in ("start", "end"):
            norms = {name: found.get(f"{moment}.{name}") for name in Flow.model_fields}
            whole = {name: array.tolist() for name, array in norms.items() if array is not None}
            fields[moment] = Flow(**whole) if whole else None
        return fields | _metadata(file)
    except (zlib.error, SafetensorError, ValueError, KeyError, TypeError) as error:
        raise UnreadableFile(f"the curves of a trial are damaged: {error}") from None


def _array(name: str, tensor: dict[str, Any]) -> Any:
    if tensor["dtype"] != "F64":
        raise ValueError(f"{name} has dtype {tensor['dtype']} instead of F64")
    if len(tensor["shape"]) != AXES.get(name, 1) or 0 in tensor["shape"]:  # an empty array may claim any shape
        raise ValueError(f"{name} cannot have the shape {tensor['shape']}")
    return np.frombuffer(tensor["data"], "<f8").reshape(tensor["shape"])


def _metadata(file: bytes) -> dict[str, int]:
    size = int.from_bytes(file[:8], "little")
    metadata = parsed_object(file[8 : 8 + size].decode()).get("__metadata__", {})
    return {name: int(metadata[name]) for name in ("curve_every", "flow_every")}
