import json
import sqlite3
from contextlib import closing

import pytest
from damaged_stores import exit_code, faults, judge, random_page, sound_store, zeroed_header

from memspan import InvalidArgument, Store, Study, load_study
from memspan.store import repair as doctor
from memspan.store.database import NoStore, StoreFailed
from memspan.store.repair import diagnose

STUDY = Study(
    cell=("rnn", "gru"),
    lengths=(3, 6),
    hidden=4,
    batch=4,
    updates=3,
    repetitions=10,
    test_lengths=(4,),
    name="faults",
    final_batches=1,
)


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    return sound_store(tmp_path_factory.mktemp("stores"), STUDY)


def test_a_sound_store_is_sound(sound, tmp_path):
    found = diagnose(sound, tmp_path / "copy.sqlite")
    assert found.sound
    assert found.rows == {"studies": 2, "configurations": 3, "trials": 60, "curves": 60, "weights": 6, "tests": 60}
    first, second = (load_study(path, "faults") for path in (sound, tmp_path / "copy.sqlite"))
    assert first == second
    assert len(first.trials) == 40


@pytest.mark.slow
@pytest.mark.parametrize("damage", [*faults()], ids=lambda damage: damage.__name__)
def test_what_is_damaged_is_named_untouched_and_saved_as_far_as_can_be(sound, damage):
    said, right = judge(sound, damage, STUDY)
    assert right, said


@pytest.mark.slow
def test_of_a_page_of_noise_the_rest_is_saved(sound, tmp_path):
    saved = []
    for seed in range(30):
        path, rescued = tmp_path / f"{seed}.sqlite", tmp_path / f"{seed}-rescued.sqlite"
        path.write_bytes(sound.read_bytes())
        random_page(seed)(path)
        diagnose(path, rescued)
        with Store(rescued) as store:
            saved.append(sum(overview.done for overview in store.overviews()))
    assert sum(number >= 40 for number in saved) >= 15  # pages that head a table are few
    assert max(saved) == 60


def test_every_readable_row_can_be_had_as_json(sound, tmp_path):
    path = tmp_path / "store.sqlite"
    path.write_bytes(sound.read_bytes())
    zeroed_header(path)
    found = diagnose(path, tmp_path / "rows.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    assert len(rows) == sum(found.rows.values()) == 191
    assert {row["name"] for row in rows if row["table"] == "studies"} == {"faults", "another"}


def test_rows_that_belong_to_nothing_are_left_out(sound, tmp_path):
    path = tmp_path / "store.sqlite"
    path.write_bytes(sound.read_bytes())
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DELETE FROM configurations WHERE study = 2")
        connection.execute("UPDATE trials SET losses = 'x' WHERE study = 1 AND length = 3 AND repetition = 0")
        connection.commit()
    found = diagnose(path, tmp_path / "rescued.sqlite")
    assert not found.sound
    assert any(complaint.startswith("22 rows of trials cannot be used") for complaint in found.complaints)
    with Store(tmp_path / "rescued.sqlite") as store:
        assert {overview.name: overview.done for overview in store.overviews()} == {"faults": 38, "another": 0}


def test_a_store_in_use_is_copied_at_a_moment_when_nobody_writes(sound, tmp_path, monkeypatch):
    path = tmp_path / "store.sqlite"
    path.write_bytes(sound.read_bytes())
    copied = []

    def copy(old, new):
        result = right(old, new)
        if old == path and len(copied) < 2:  # a write follows each of the first two copies
            with closing(sqlite3.connect(path)) as connection:
                connection.execute("DELETE FROM trials WHERE repetition = ?", (len(copied),))
                connection.commit()
        copied.append(old)
        return result

    right = doctor.shutil.copyfile
    monkeypatch.setattr(doctor.shutil, "copyfile", copy)
    monkeypatch.setattr(doctor, "SECONDS_BETWEEN_COPIES", 0.01)
    found = diagnose(path)
    assert found.rows["trials"] == 60 - 6 - 6
    assert copied.count(path) == 4  # three for the first look, until nothing changed, and one for the second
    monkeypatch.setattr(doctor.shutil, "copyfile", lambda old, new: path.touch())
    with pytest.raises(StoreFailed, match="is being written to all the time"):
        diagnose(path)


@pytest.mark.parametrize("column", ["specification", "versions"])
def test_a_study_that_cannot_be_read_is_found(sound, tmp_path, column):
    path = tmp_path / "store.sqlite"
    path.write_bytes(sound.read_bytes())
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"UPDATE studies SET {column} = '{{\"hidden\": -1}}' WHERE id = 2")
        connection.commit()
    found = diagnose(path, tmp_path / "rescued.sqlite")
    assert any(complaint.startswith("1 row of studies cannot be used") for complaint in found.complaints)
    with Store(tmp_path / "rescued.sqlite") as store:
        assert store.names() == ["faults"]


def test_nothing_is_written_over(sound, tmp_path):
    (tmp_path / "there").write_text("")
    with pytest.raises(InvalidArgument, match="rescue must be a new file"):
        diagnose(sound, tmp_path / "there")
    with pytest.raises(NoStore, match="No store at "):
        diagnose(tmp_path / "nothing")


@pytest.mark.slow
def test_the_command_line_ends_with_3(sound, tmp_path):
    path = tmp_path / "store.sqlite"
    path.write_bytes(sound.read_bytes())
    zeroed_header(path)
    before = path.read_bytes()
    code, err = exit_code(path)
    assert code == 3
    assert err == f"memspan: {path} is not a memspan store: it is not a SQLite database.\n"
    assert path.read_bytes() == before
