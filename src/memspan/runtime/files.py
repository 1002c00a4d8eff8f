"""Files and folders that a user names: what memspan reads, makes and replaces."""

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
    """What a path leads to, in words, if that is neither a regular file nor nothing; else an empty text.

    Opening a FIFO waits for ever, and what replaces a device takes it away from every other program.
    """
    try:
        return SPECIAL.get(stat.S_IFMT(path.stat().st_mode), "")
    except OSError:  # what is done with it next will say the same
        return ""


@contextmanager
def replaced(path: Path, name: str = "path") -> Iterator[IO[bytes]]:
    """A new file, which takes the place of `path` in one move when the block ends without an error.

    At every moment the old file or the new one is there, whole. The new one gets the permissions of the old one.
    A symbolic link stays, and its target is replaced.

    Raises
    ------
    InvalidArgument
        When `path`, which the message calls `name`, is a folder, a FIFO, a socket or a device.
    FileNotFoundError
        When its folder does not exist.
    """
    target = Path(os.path.realpath(path))
    if kind := special(target):
        raise InvalidArgument(name, "a regular file, or a new one", f"{path}, which is {kind}")
    if not target.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(target.parent))
    mode = stat.S_IMODE(target.stat().st_mode) if target.exists() else None
    new = target.with_name(f".memspan-{os.getpid()}-{secrets.token_hex(4)}.new")  # however long the name is

    def opener(name: str, flags: int) -> int:
        return os.open(name, flags, 0o666 if mode is None else mode)

    try:
        with open(new, "xb", opener=opener) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if mode is not None:
            new.chmod(mode)  # opening took away what the umask forbids
        os.replace(new, target)
    except BaseException:
        new.unlink(missing_ok=True)
        raise


def write_text(path: Path, text: str, name: str = "output") -> None:
    """Write a text in UTF-8; the file appears whole or not at all."""
    with replaced(path, name) as file:
        file.write(text.encode())


def demand_folder(folder: Path, name: str = "output") -> None:
    """Refuse a path at which `make_folder` could make no folder. The message calls it `name`."""
    if folder.exists() and not folder.is_dir():
        raise InvalidArgument(name, "a folder", f"{folder}, which is {special(folder) or 'a file'}")
    above = folder.absolute().parent
    if not folder.exists() and not above.is_dir():
        raise NotFound(f"There is no folder {above}. Make it first: memspan makes only the last folder of a path.")


def make_folder(folder: Path, name: str = "output") -> None:
    """Make a folder, if it does not exist, and say so; but not those above it, which may be a slip of the pen."""
    demand_folder(folder, name)
    if folder.is_dir():
        return
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise InvalidArgument(name, "a folder that can be made", f"{folder}: {error.strerror}") from None
    say(f"memspan: made the folder {folder}")
