import os
import socket
import stat
import sys
from pathlib import Path

import pytest

from memspan.errors import InvalidArgument, NotFound
from memspan.runtime.files import demand_folder, demand_writable, make_folder, replaced, special, write_text

posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX only")


def write(path, contents=b"new"):
    with replaced(path) as file:
        file.write(contents)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_appears_whole_or_not_at_all(tmp_path):
    path = tmp_path / "file"
    write(path, b"old")

    def fail():
        with replaced(path) as file:
            file.write(b"half")
            assert path.read_bytes() == b"old"
            raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        fail()
    assert (path.read_bytes(), names(tmp_path)) == (b"old", ["file"])
    write(path)
    assert (path.read_bytes(), names(tmp_path)) == (b"new", ["file"])


def test_a_text_is_utf_8(tmp_path):
    write_text(tmp_path / "text", "ŷ\n")
    assert (tmp_path / "text").read_bytes() == b"\xc5\xb7\n"


@posix
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o666])
def test_permissions_stay(tmp_path, mode):
    path = tmp_path / "file"
    path.touch()
    path.chmod(mode)
    with replaced(path) as file:
        (new,) = set(tmp_path.iterdir()) - {path}
        assert not stat.S_IMODE(new.stat().st_mode) & ~mode  # others may not read it at any moment
        file.write(b"new")
    assert stat.S_IMODE(path.stat().st_mode) == mode


@posix
def test_a_new_file_has_the_permissions_that_the_umask_leaves(tmp_path):
    before = os.umask(0o027)
    try:
        write(tmp_path / "file")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o640


@posix
def test_a_name_may_be_as_long_as_names_can_be(tmp_path):
    write(tmp_path / ("n" * 255))
    assert names(tmp_path) == ["n" * 255]


@posix
@pytest.mark.parametrize("existing", [True, False])
def test_of_a_symbolic_link_the_target_is_replaced(tmp_path, existing):
    target, link = tmp_path / "elsewhere" / "target", tmp_path / "link"
    target.parent.mkdir()
    if existing:
        target.write_bytes(b"old")
    link.symlink_to(os.path.join("elsewhere", "target"))
    write(link)
    assert link.is_symlink()
    assert (target.read_bytes(), names(target.parent)) == (b"new", ["target"])


def make_socket(path):
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


@posix
@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (os.mkfifo, "a FIFO"),
        (os.mkdir, "a folder"),
        (make_socket, "a socket"),
        (lambda path: path.symlink_to("/dev/null"), "a device"),
    ],
    ids=["FIFO", "folder", "socket", "device"],
)
def test_what_is_no_regular_file_is_not_replaced(tmp_path, monkeypatch, make, kind):
    monkeypatch.chdir(tmp_path)  # the name of a socket must be short
    path = tmp_path.relative_to(tmp_path) / "special"
    make(path)
    assert special(path) == kind
    before = path.stat()
    with pytest.raises(InvalidArgument, match=rf"^output must be a regular file or a new one, got .*{kind}"):
        write_text(path, "new")
    assert (path.stat().st_ino, path.stat().st_mode) == (before.st_ino, before.st_mode)
    assert names(tmp_path) == ["special"]


def test_a_regular_file_is_not_special_and_neither_is_nothing(tmp_path):
    (tmp_path / "file").touch()
    assert (
        special(tmp_path / "file") == special(tmp_path / "nothing") == special(tmp_path / "file" / "below") == ""
    )


def test_a_missing_folder_is_named_and_not_the_new_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere'$"):
        write(tmp_path / "nowhere" / "file")


def test_of_a_path_only_the_last_folder_is_made_and_that_is_said(tmp_path, capsys):
    with pytest.raises(NotFound, match=r"No folder at .*above\. Create it first"):
        make_folder(tmp_path / "above" / "folder")
    assert names(tmp_path) == []
    assert capsys.readouterr().err == ""
    make_folder(tmp_path / "folder")
    assert capsys.readouterr().err == f"memspan: created the folder {tmp_path / 'folder'}\n"
    make_folder(tmp_path / "folder")
    assert capsys.readouterr().err == ""


def test_what_is_no_folder_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InvalidArgument, match=r"^output must be a folder, got .*file, which is a file$"):
        demand_folder(tmp_path / "file")


def test_a_folder_that_could_be_made_is_not_made_yet(tmp_path):
    demand_folder(tmp_path / "folder")
    demand_writable(tmp_path / "folder")
    assert names(tmp_path) == []


def test_a_folder_is_tried_and_left_as_it_was(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    demand_writable(tmp_path)
    assert names(tmp_path) == ["file"]

    def full(path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "mkdir", full)
    for folder in (tmp_path, tmp_path / "new"):
        with pytest.raises(InvalidArgument, match=r"^out must be a folder .* write to, got .*: No space left"):
            demand_writable(folder, "out")
