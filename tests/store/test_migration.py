"""This version reads and repairs stores of older schemas, and upgrades them at the first write.

`data/version-1.sqlite` is of memspan 0.1; `version-2.sqlite` and `version-3.sqlite` are of development versions.
"""

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from memspan import Store, Study, UnreadableFile, load_study, run_study
from memspan.store.export import export
from memspan.store.migration import newer_configuration, newer_study, newer_trial
from memspan.store.repair import diagnose
from memspan.store.schema import VERSION, WITHOUT_CHECKSUMS
from memspan.study import Key
from memspan.study.group import digest_of
from memspan.study.identity import AnotherStudy, default_name
from memspan.study.trial import VERSION as VERSION_OF_TRIALS

DATA = Path(__file__).parent / "data"
OLD = DATA / "version-1.sqlite"
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


def test_weights_without_a_header_give_the_trained_network(old):
    with Store(old) as store:
        entry = store.find(default_name(UNNAMED))
        for trial in entry.trials():
            network = entry.network(trial.length, trial.repetition, trial.configuration)
            assert network.cell.name == ("rnn", "gru")[trial.configuration]
            assert digest_of(network) == trial.digest


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


@pytest.fixture(params=[1, 2, 3])
def aged(request, tmp_path):
    """A copy of the store of each older schema."""
    return Path(shutil.copy(DATA / f"version-{request.param}.sqlite", tmp_path / "aged.sqlite"))


def test_its_trials_are_of_the_first_version(aged):
    for name in (default_name(UNNAMED), "diverging"):
        trials = load_study(aged, name).trials
        assert trials
        assert {trial.version for trial in trials} == {1}


def test_its_studies_are_not_gone_on_with_under_their_names(aged):
    """Their trials were judged by the batches that ended training, so they cannot stand beside those of today."""
    heard = []
    for named in (NAMED, UNNAMED.with_(name=default_name(UNNAMED))):
        for run in (named, named.with_(repetitions=3)):
            with pytest.raises(AnotherStudy) as caught:
                run_study(run, aged, progress=False, listen=heard.append)
            assert str(caught.value) == (
                f"The code of the training loop has changed since study {named.name!r} was run. Choose another "
                f"--name, or delete the study with `memspan store rm {named.name}`."
            )
    assert heard == []


def test_without_a_name_a_study_begins_anew_beside_the_old_one(aged):
    usual = default_name(UNNAMED)
    before = as_json(load_study(aged, usual))
    found = run_study(UNNAMED, aged, progress=False)
    assert {trial.version for trial in found.trials} == {VERSION_OF_TRIALS}
    assert len(found.trials) == len(before)
    assert found.study.name.startswith(f"{usual}-")
    assert as_json(load_study(aged, usual)) == before
    heard = []
    again = run_study(UNNAMED, aged, progress=False, listen=heard.append)
    assert [type(event).__name__ for event in heard] == ["Planned", "Ended"]
    assert as_json(again) == as_json(found)


# --- schema 3 -------------------------------------------------------------------------------------------

OLD_3 = DATA / "version-3.sqlite"


def as_json(result):
    return [trial.model_dump_json() for trial in result.trials]


@pytest.fixture
def old_3(tmp_path):
    """A copy of a store of schema 3: with checksums and fingerprints, without versions of trials."""
    return Path(shutil.copy(OLD_3, tmp_path / "old.sqlite"))


def checksums(path):
    return {
        table: read(path, f"SELECT rowid, checksum FROM {table} ORDER BY 1")
        for table in ("studies", "configurations", "trials", "curves", "weights")
    }


def test_a_store_of_schema_3_is_read_as_it_is(old_3):
    assert read(OLD_3, "PRAGMA user_version") == [(3,)]
    with Store(old_3) as store:
        assert store.names() == [default_name(UNNAMED), "diverging"]
        assert [overview.done for overview in store.overviews()] == [8, 2]
        entry = store.find(default_name(UNNAMED))
        assert entry.study == UNNAMED.with_(name=entry.name)
        assert len(entry.done()) == 8
        assert entry.counts() == {3: {"solved": 1, "unsolved": 3}, 6: {"unsolved": 4}}
        assert all(entry.weights(trial.key) for trial in entry.trials())
        assert export(entry, old_3.with_name("out.csv")) == 8
    digests = [digest for (digest,) in read(OLD_3, "SELECT digest FROM trials WHERE study = 1" + IN_ORDER)]
    assert [trial.digest for trial in load_study(old_3, entry.name).trials] == digests
    assert old_3.read_bytes() == OLD_3.read_bytes()
    assert diagnose(old_3).sound


def test_a_store_of_schema_3_is_upgraded_at_the_first_write(old_3):
    before, marks = as_json(load_study(old_3, "diverging")), checksums(old_3)
    with Store(old_3) as store:
        entry = store.enter(NAMED.with_(name="new", test_lengths=5))
        assert entry.done() == set()
    assert read(old_3, "PRAGMA user_version") == [(VERSION,)]
    assert read(old_3, "SELECT DISTINCT version FROM trials") == [(None,)]
    assert read(old_3, "SELECT count(*) FROM tests") == [(0,)]
    after = checksums(old_3)
    assert {table: rows[: len(marks[table])] for table, rows in after.items()} == marks
    assert as_json(load_study(old_3, "diverging")) == before
    assert diagnose(old_3).sound


def test_a_version_that_was_written_into_an_old_trial_is_noticed(old_3):
    with Store(old_3) as store:
        store.enter(NAMED.with_(name="new"))
    with closing(sqlite3.connect(old_3)) as connection, connection:
        connection.execute("UPDATE trials SET version = 2 WHERE study = 2 AND repetition = 1")
    with pytest.raises(UnreadableFile, match=r"T=4, repetition 1 of study 'diverging' .its checksum does not"):
        load_study(old_3, "diverging")


def test_a_store_of_schema_3_on_a_server_is_upgraded_too(postgres, make_trial):
    import psycopg

    postgres.clear()
    study = NAMED.with_(lengths=3, keep_weights=0)
    with Store(postgres.url, create=True) as store:
        store.enter(study).keep([make_trial(3, 0, version=2), make_trial(3, 1, version=2)])
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute("DROP TABLE memspan.tests")
        connection.execute("ALTER TABLE memspan.trials DROP COLUMN version")
        connection.execute("UPDATE memspan.about SET version = 3")
    with Store(postgres.url) as store:
        with pytest.raises(UnreadableFile, match="its checksum does not match"):  # as the version counts
            list(store.find("diverging").trials())
        entry = store.enter(study.with_(test_lengths=5))
        assert entry.done() == set()
        entry.keep([make_trial(3, 0, tests=[{"length": 5, "accuracy": 1, "loss": 0}])])
        assert entry.done() == {Key(0, 3, 0)}
        assert store.transact(lambda connection: store.transact.database.version(connection)) == VERSION


# --- schema 1 again -------------------------------------------------------------------------------------


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


def test_the_doctor_knows_it_and_rescues_it_as_a_new_one(aged, tmp_path):
    before = aged.read_bytes()
    found = diagnose(aged, tmp_path / "rescued.sqlite")
    assert found.sound
    assert aged.read_bytes() == before
    assert read(tmp_path / "rescued.sqlite", "PRAGMA user_version") == [(VERSION,)]
    for name in (default_name(UNNAMED), "diverging"):
        rescued, known = load_study(tmp_path / "rescued.sqlite", name), load_study(aged, name)
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
