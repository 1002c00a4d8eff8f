import os
import stat

import pytest

from memspan import Study
from memspan.errors import InvalidArgument, NotFound, UnreadableFile
from memspan.runtime.files import demand_folder, make_folder, replaced, special, write_text
from memspan.training.learner import Learner

posix = pytest.mark.skipif(os.name == "nt", reason="POSIX files")


@posix
def test_the_permissions_of_a_file_stay(tmp_path):
    path = tmp_path / "private"
    path.write_text("old")
    path.chmod(0o600)
    write_text(path, "new")
    assert (path.read_text(), stat.S_IMODE(path.stat().st_mode)) == ("new", 0o600)


@posix
def test_a_symbolic_link_stays_and_its_target_is_replaced(tmp_path):
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("old")
    link.symlink_to(target)
    write_text(link, "new")
    assert link.is_symlink()
    assert target.read_text() == "new"


def test_a_long_name_can_be_written(tmp_path):
    path = tmp_path / ("n" * 248)
    write_text(path, "text")
    assert path.read_text() == "text"


def test_after_an_error_the_old_file_is_there_and_nothing_else(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(TypeError), replaced(path) as file:
        file.writelines([b"half", "no bytes"])
    assert [(one.name, one.read_text()) for one in tmp_path.iterdir()] == [("file", "old")]


@posix
def test_what_is_not_a_regular_file_is_neither_replaced_nor_read(tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    assert special(fifo) == "a FIFO"
    with pytest.raises(InvalidArgument, match=r"regular file.*a FIFO"):
        write_text(fifo, "text")
    with pytest.raises(InvalidArgument, match=r"regular file.*a FIFO"):
        Study.read(fifo)
    with pytest.raises(UnreadableFile, match="a FIFO"):
        Learner.load(fifo)
    assert stat.S_ISFIFO(fifo.stat().st_mode)


def test_only_the_last_folder_of_a_path_is_made_and_said(tmp_path, capsys):
    with pytest.raises(NotFound, match="Make it first"):
        make_folder(tmp_path / "slip" / "runs")
    assert not (tmp_path / "slip").exists()
    make_folder(tmp_path / "runs")
    assert capsys.readouterr().err == f"memspan: made the folder {tmp_path / 'runs'}\n"
    make_folder(tmp_path / "runs")
    assert capsys.readouterr().err == ""
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidArgument, match=r"a folder, got .*a file"):
        demand_folder(tmp_path / "file")
