"""Files of arrays with a header: what saved networks and saved learners have in common.

Such a file is one safetensors file. Its metadata contains, under `memspan`, a JSON header that describes the
arrays. The file contains no code. The reader trusts nothing: it validates the header, and the caller compares
every array with the header (`expect`) before it uses the array. The header contains a checksum of itself and of
all arrays, which detects a damaged file.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from memspan._version import __version__
from memspan.errors import UnreadableFile, invalid
from memspan.runtime.files import replaced, special
from memspan.shapes import Array


class Strict(BaseModel):
    """A part of a header: nothing but its fields, which do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Header(Strict):
    """What every header has.

    Attributes
    ----------
    format : str
        `memspan`, what is saved, and the version of the format, such as `memspan learner 2`.
    version : str
        The version of memspan that wrote the file.
    checksum : str
        The result of `checksum_of`.
    """

    format: str
    version: str = __version__
    checksum: str = ""


H = TypeVar("H", bound=Header)
LOADERS = {"network": "Network.load", "learner": "Learner.load"}
"""What reads each kind of file."""


def write(path: Path, header: Header, arrays: Mapping[str, Array]) -> None:
    """Write a header with its checksum, and arrays, to a new file, which then replaces `path` in one step."""
    content = packed(header, arrays)
    with replaced(path) as file:
        file.write(content)


def packed(header: Header, arrays: Mapping[str, Array]) -> bytes:
    """Return the content of a file with a header, its checksum, and arrays."""
    from safetensors.numpy import save

    checksum = checksum_of(header.model_dump_json(), arrays)
    text = header.model_copy(update={"checksum": checksum}).model_dump_json()
    return save(dict(arrays), {"memspan": text})


def read(path: Path, kind: type[H], what: str, unchecked: str = "") -> tuple[H, dict[str, Array]]:
    """Read a header and the arrays.

    Parameters
    ----------
    path : path
        The file.
    kind : type
        The header that it must have.
    what : str
        What is saved, for the message: the second word of the format.
    unchecked : str
        An old format whose files need no checksum.

    Raises
    ------
    UnreadableFile
        If the file is truncated, damaged, or not of that kind.
    FileNotFoundError
        If there is no file.
    """
    from safetensors import SafetensorError, safe_open

    path.stat()  # a missing file raises FileNotFoundError
    if special_kind := special(path):
        raise UnreadableFile(f"{path} is {special_kind}, not a saved {what}.")
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            if "memspan" not in metadata:
                raise UnreadableFile(f"{path} is a safetensors file, but not a saved {what}.")
            text = metadata["memspan"]
            header = kind.model_validate_json(text)
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            if header.checksum or header.format != unchecked:
                _demand_checksum(path, header.checksum, text, arrays)
            return header, arrays
    except ValidationError as error:
        if other := _other(error, what):
            raise UnreadableFile(f"{path} is a saved {other}, not a saved {what}: use {LOADERS[other]}.") from None
        raise UnreadableFile(f"The header of {path} is invalid: {invalid(error)}") from None
    except (SafetensorError, OSError, ValueError, TypeError, AttributeError) as error:  # dtypes unknown to NumPy
        raise UnreadableFile(f"{path} is not a complete safetensors file: {error}") from None


def _other(error: ValidationError, what: str) -> str:
    """Return what is saved in a file whose header was refused, if the format names another thing than `what`."""
    found = next((str(each["input"]) for each in error.errors() if each["loc"] == ("format",)), "")
    match found.split():
        case ["memspan", other, _] if other in LOADERS and other != what:
            return other
    return ""


def _demand_checksum(path: Path, checksum: str, header: str, arrays: Mapping[str, Array]) -> None:
    without = header.replace(f'"{checksum}"', '""') if checksum else header
    if checksum != checksum_of(without, arrays):
        raise UnreadableFile(f"{path} is damaged: its content does not match its checksum.")


def checksum_of(header: str, arrays: Mapping[str, Array]) -> str:
    """Return the BLAKE2b hash of a header with an empty checksum and of all arrays, names, dtypes and shapes."""
    digest = hashlib.blake2b(digest_size=16)
    for name in sorted(arrays):
        array = np.asarray(arrays[name])
        content = array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
        for part in (name.encode(), array.dtype.name.encode(), repr(array.shape).encode(), content):
            digest.update(len(part).to_bytes(8, "little"))
            digest.update(part)
    digest.update(header.encode())
    return digest.hexdigest()


def expect(path: Path, arrays: Mapping[str, Array], name: str, shape: tuple[int, ...], dtype: str) -> Array:
    """Return the array of that name, or raise `UnreadableFile` if it has another shape or dtype."""
    array = arrays.get(name)
    if array is None or array.shape != shape or array.dtype != dtype:
        got = "nothing" if array is None else f"{array.dtype} {array.shape}"
        raise UnreadableFile(f"{path} must contain {name} as {dtype} {shape}, but contains {got}.")
    return array
