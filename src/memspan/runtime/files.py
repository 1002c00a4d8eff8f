"""Checking, creating and replacing the files and folders that a user names."""

import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from memspan.errors import InvalidArgument, NotFound
from memspan.runtime.notices import say

SPECIAL = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def special(path: Path) -> str:
    """Return what a path is if it exists and is not a regular file (`a FIFO`); otherwise an empty text.

    Such paths are refused: opening a FIFO may wait for ever, and replacing a device removes it for all programs.
    """
    try:
        return SPECIAL.get(stat.S_IFMT(path.stat().st_mode), "")
    except OSError:  # the caller's next access raises the same error
        return ""


@contextmanager
def replaced(path: Path, name: str = "path") -> Iterator[IO[bytes]]:
    """Open a new file that replaces `path` atomically when the block ends without an error.

    At every moment `path` is the complete old file or the complete new one. The new file gets the permissions of
    the old one. A symbolic link stays, and its target is replaced.

    Raises
    ------
    InvalidArgument
        If `path` is a folder, a FIFO, a socket or a device. The message calls the argument `name`.
    FileNotFoundError
        If its folder does not exist.
    """
    target = Path(os.path.realpath(path))
    if kind := special(target):
        raise InvalidArgument(name, "a regular file or a new one", f"{path}, which is {kind}")
    if not target.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(target.parent))
    mode = stat.S_IMODE(target.stat().st_mode) if target.exists() else None
    new = target.with_name(f".memspan-{os.getpid()}-{secrets.token_hex(4)}.new")  # short even if the name is long

    def opener(name: str, flags: int) -> int:
        return os.open(name, flags, 0o666 if mode is None else mode)

    try:
        with open(new, "xb", opener=opener) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if mode is not None:
            new.chmod(mode)  # the umask may have removed permissions
        os.replace(new, target)
    except BaseException:
        new.unlink(missing_ok=True)
        raise


def write_text(path: Path, text: str, name: str = "output") -> None:
    """Write a text file in UTF-8, completely or not at all."""
    with replaced(path, name) as file:
        file.write(text.encode())


def demand_folder(folder: Path, name: str = "output") -> None:
    """Raise if `make_folder` could not create this folder. The message calls the argument `name`."""
    if folder.exists() and not folder.is_dir():
        raise InvalidArgument(name, "a folder", f"{folder}, which is {special(folder) or 'a file'}")
    above = folder.absolute().parent
    if not folder.exists() and not above.is_dir():
        raise NotFound(f"No folder at {above}. Create it first; memspan creates only the last folder of a path.")


def demand_writable(folder: Path, name: str = "output") -> None:
    """Raise if no files could be written to this folder, which may be a new one. Nothing is left there."""
    demand_folder(folder, name)
    probe = folder / f".memspan-{os.getpid()}-{secrets.token_hex(4)}" if folder.is_dir() else folder
    try:
        probe.mkdir()
        probe.rmdir()
    except OSError as error:
        raise InvalidArgument(name, "a folder that memspan can write to", f"{folder}: {error.strerror}") from None


def make_folder(folder: Path, name: str = "output") -> None:
    """Create a folder if it does not exist, and print a line. Its parent must exist, to catch mistyped paths.

    Raises
    ------
    InvalidArgument
        If the path is not a folder, or the folder cannot be created.
    NotFound
        If its parent does not exist.
    """
    demand_folder(folder, name)
    if folder.is_dir():
        return
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise InvalidArgument(name, "a folder that can be created", f"{folder}: {error.strerror}") from None
    say(f"memspan: created the folder {folder}")
