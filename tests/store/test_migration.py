"""This version reads, continues and repairs a store of memspan 0.1, `data/version-1.sqlite`."""

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from memspan import Store, Study, load_study, run_study
from memspan.store.migration import newer_configuration, newer_study, newer_trial
from memspan.store.repair import diagnose
from memspan.store.schema import VERSION, WITHOUT_CHECKSUMS
from memspan.study.identity import UncheckedCode, default_name

OLD = Path(__file__).parent / "data" / "version-1.sqlite"
SMALL = {"hidden": 4, "batch": 8, "updates": 60, "final_batches": 2, "evaluation_samples": 50}
UNNAMED = Study(
    **SMALL,
    cell=("rnn", "gru"),
    init="orthogonal",
    task_parameters={"tolerance": 0.2},
    lengths=(3, 6),
    repetitions=2,
    keep_weights=2,
)
NAMED = Study(
    **SMALL,
    cell="rnn-relu",
    optimizer="sgd",
    learning_rate=1e4,
    clip=0,
    lengths=4,
    repetitions=2,
    name="diverging",
)
IN_ORDER = " ORDER BY study, configuration, length, repetition"
OLD_NAME = "recall-several-5e7f2e6a"


@pytest.fixture
def old(tmp_path):
    """A copy of the store of memspan 0.1."""
    return Path(shutil.copy(OLD, tmp_path / "old.sqlite"))


def read(path, query):
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchall()


def test_the_file_is_of_the_old_version():
    assert read(OLD, "PRAGMA user_version") == [(1,)]
    assert [name for (name,) in read(OLD, "SELECT name FROM studies ORDER BY id")] == [OLD_NAME, "diverging"]
    assert set(json.loads(read(OLD, "SELECT specification FROM studies ORDER BY id")[0][0])) >= {
        "start",
        "parameters",
        "weights",
    }


def test_every_study_and_trial_is_read(old):
    before = read(
        OLD, "SELECT study, configuration, length, repetition, outcome, digest FROM trials ORDER BY 1, 2, 3, 4"
    )
    with Store(old) as store:
        assert store.names() == [default_name(UNNAMED), "diverging"]
        assert store.find("diverging").study == NAMED
        entry = store.find(default_name(UNNAMED))
        assert entry.study == UNNAMED.with_(name=entry.name)
        trials = [*entry.trials(), *store.find("diverging").trials()]
        assert all(entry.weights(trial.key) for trial in trials[:8])
    found = [(*trial.key, trial.outcome, trial.digest) for trial in trials]
    assert found == [row[1:] for row in before]
    assert {trial.engine for trial in trials} == {"compiled"}
    assert trials[0].curve
    assert trials[0].start.d_a


def test_it_is_migrated_once(old):
    Store(old).close()
    assert read(old, "PRAGMA user_version") == [(WITHOUT_CHECKSUMS,)]
    after = old.read_bytes()
    Store(old).close()
    assert old.read_bytes() == after


def test_a_study_of_it_is_gone_on_with_and_nothing_is_run_again(old):
    for study in (UNNAMED, NAMED):
        heard = []
        run_study(study, old, progress=False, listen=heard.append)
        assert [type(event).__name__ for event in heard] == ["Planned", "Ended"]
    with pytest.warns(UncheckedCode):  # memspan 0.1 kept no fingerprints
        grown = run_study(UNNAMED.with_(repetitions=3), old, progress=False)
    assert len(grown.trials) == 12
    kept = {trial.key: trial.digest for trial in load_study(old, default_name(UNNAMED)).trials}
    assert (
        kept.items()
        >= {
            (row[0], row[1], row[2]): row[3]
            for row in read(OLD, "SELECT configuration, length, repetition, digest FROM trials WHERE study = 1")
        }.items()
    )


def test_a_store_on_a_server_is_migrated_too(postgres):
    postgres.clear()
    with Store(postgres.url, create=True) as store:
        store.enter(NAMED)
        store.transact(lambda connection: _age(connection), writes=True)
    with Store(postgres.url) as store:
        assert store.find("diverging").study == NAMED
        assert store.enter(NAMED).study == NAMED


def _age(connection):
    """Make the store one of version 1, without checksums."""
    from sqlalchemy import text, update

    from memspan.store.schema import METADATA, configurations, studies

    (study, configuration) = (
        row
        for (row,) in read(OLD, "SELECT specification FROM studies WHERE id = 2")
        + read(OLD, "SELECT specification FROM configurations WHERE study = 2")
    )
    connection.execute(update(studies).values(specification=study))
    connection.execute(update(configurations).values(specification=configuration))
    for table in METADATA.tables:
        connection.execute(text(f"ALTER TABLE memspan.{table} DROP COLUMN checksum"))
    connection.execute(text("UPDATE memspan.about SET version = 1"))


def test_the_doctor_knows_it_and_rescues_it_as_a_new_one(old, tmp_path):
    found = diagnose(old, tmp_path / "rescued.sqlite")
    assert found.sound
    assert old.read_bytes() == OLD.read_bytes()
    assert read(tmp_path / "rescued.sqlite", "PRAGMA user_version") == [(VERSION,)]
    for name in (default_name(UNNAMED), "diverging"):
        rescued, known = load_study(tmp_path / "rescued.sqlite", name), load_study(old, name)
        assert rescued.study == known.study
        assert [t.model_dump_json() for t in rescued.trials] == [t.model_dump_json() for t in known.trials]


def test_what_is_of_this_version_or_damaged_stays_as_it_is(tmp_path):
    with Store(tmp_path / "new.sqlite", create=True) as store:
        store.enter(UNNAMED)
    with closing(sqlite3.connect(tmp_path / "new.sqlite")) as connection:
        connection.row_factory = sqlite3.Row
        for table, newer in (("studies", newer_study), ("configurations", newer_configuration)):
            for row in map(dict, connection.execute(f"SELECT * FROM {table}")):
                assert newer(row) == row
                assert newer(row | {"specification": "{"}) == row | {"specification": "{"}
                assert newer(row | {"specification": "[1]"}) == row | {"specification": "[1]"}
    assert newer_trial({"engine": "fused", "length": 3}) == {"engine": "compiled", "length": 3}
    assert newer_trial({"engine": "readable"}) == {"engine": "readable"}
