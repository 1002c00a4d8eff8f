import json
import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, func, select, update

from memspan import CELLS, InvalidArgument, NotFound, Search, Store, Study, UnreadableFile, load_study
from memspan.store import catalogue
from memspan.store.checksums import sealed
from memspan.store.database import StoreFailed
from memspan.store.schema import METADATA, configurations, studies
from memspan.study import Key
from memspan.study.fingerprint import RULES, fingerprints
from memspan.study.identity import AnotherStudy, UncheckedCode, canonical, specified

STUDY = Study(cell=("rnn", "lstm"), lengths=(3, 5), repetitions=2, keep_weights=0, name="first")


def rewrite(store, **values):
    """Change the row of the only study, with the checksum that belongs to it."""

    def work(connection):
        row = connection.execute(select(studies)).mappings().one()
        connection.execute(update(studies).values(**sealed(studies, {**row, **values})))

    store.transact(work, writes=True)


def test_a_study_grows_and_its_trials_stay_what_they_were(opened, make_trial):
    entry = opened.enter(STUDY)
    lstm = [trial.model_copy(update={"configuration": 1}) for trial in (make_trial(3, 0), make_trial(5, 1))]
    entry.keep([make_trial(3, 1), *lstm])
    grown = STUDY.with_(cell=("gru", "lstm", "rnn"), hidden=(32, 8), lengths=(3, 4, 5), repetitions=3)
    again = opened.enter(grown)
    cells = [(one.cell, one.hidden) for one in grown.configurations]
    place = {cell: cells.index((cell, 32)) for cell in ("lstm", "rnn")}
    assert again.done() == {Key(place["rnn"], 3, 1), Key(place["lstm"], 3, 0), Key(place["lstm"], 5, 1)}
    both = opened.find("first").study
    assert both == grown.with_(cell=("rnn", "lstm", "gru"))  # old values keep their order
    assert len(opened.missing(grown)) == 6 * 3 * 3 - 3
    assert set(opened.missing(grown)) == set(grown.keys) - again.done()


def test_a_study_from_before_the_recurrent_gain_grows_by_it(opened, make_trial):
    """A study stored before the field existed has no such key; its trials have the value 1."""
    opened.enter(STUDY).keep([make_trial(3, 0)])
    (stored,) = opened.transact(
        lambda connection: connection.execute(select(studies.c.specification)).scalars().all()
    )
    assert "recurrent_gain" not in json.loads(stored)
    grown = STUDY.with_(recurrent_gain=(2, 1))
    again = opened.enter(grown)
    place = [(one.cell, one.recurrent_gain) for one in grown.configurations].index(("rnn", 1))
    assert again.done() == {Key(place, 3, 0)}


def test_a_study_that_has_lost_its_configurations_is_found_and_run_again(opened, make_trial):
    """A rescued store may have such gaps."""
    opened.enter(STUDY).keep([make_trial(3, 1)])
    opened.transact(lambda connection: connection.execute(delete(configurations)), writes=True)
    found = opened.find("first")
    assert found.study == STUDY
    assert found.done() == set()
    assert [*found.trials()] == []
    entry = opened.enter(found.study)
    entry.keep([make_trial(3, 1)])
    assert opened.find("first").done() == {Key(0, 3, 1)}


def test_another_study_of_the_same_name_is_refused_with_every_difference(opened, make_trial):
    opened.enter(STUDY).keep([make_trial(3, 0)])
    other = Study(cell="gru", lengths=(3, 7), learning_rate=0.5, name="first")
    for enter in (opened.enter, opened.missing):
        with pytest.raises(AnotherStudy) as error:
            enter(other)
        message = str(error.value)
        assert message == (
            "Study 'first' exists with other settings (cell: rnn, lstm, now gru; learning_rate: 0.01, now 0.5). "
            "Choose another --name."
        )
        assert "hidden" not in message
        assert "lengths" not in message  # lengths may differ
    assert opened.find("first").study == STUDY
    assert len(opened.find("first").done()) == 1


def test_a_parameter_of_the_task_is_part_of_the_study(opened):
    opened.enter(Study(task_parameters={"tolerance": 0.2}, name="a"))
    with pytest.raises(AnotherStudy, match=r"task_parameters.tolerance: 0.2, now not set"):
        opened.enter(Study(name="a"))
    with pytest.raises(AnotherStudy, match=r"task_parameters.tolerance: 0.2, now 0.3"):
        opened.enter(Study(task_parameters={"tolerance": 0.3}, name="a"))


@pytest.fixture
def other_code(monkeypatch):
    """Give the cell rnn another constant, as if its file had been edited."""
    return lambda value: monkeypatch.setitem(CELLS, "rnn", replace(CELLS["rnn"], constants={"more": value}))


def test_a_named_study_is_refused_when_the_code_of_its_cell_has_changed(opened, make_trial, other_code):
    opened.enter(STUDY).keep([make_trial(3)])
    other_code(1.0)
    for enter in (opened.enter, opened.missing):
        with pytest.raises(AnotherStudy) as error:
            enter(STUDY.with_(repetitions=3))
        assert str(error.value) == (
            "The code of cell rnn has changed since study 'first' was run. Choose another --name, or delete the "
            "study with `memspan store rm first`."
        )
    assert opened.find("first").study == STUDY
    lstm = STUDY.with_(cell="lstm", name="lstm")
    assert opened.enter(lstm).study == lstm  # its code has not changed


def test_a_study_without_a_name_is_a_new_one_when_its_code_has_changed(opened, make_trial, other_code):
    study = Study(lengths=3, repetitions=2, keep_weights=0)
    first = opened.enter(study)
    first.keep([make_trial(3)])
    other_code(1.0)
    assert opened.missing(study) == study.keys
    second = opened.enter(study)
    assert second.name.startswith(f"{first.name}-")
    second.keep([make_trial(3, 1)])
    assert opened.enter(study).done() == {Key(0, 3, 1)}
    other_code(2.0)
    assert len({first.name, second.name, opened.enter(study).name}) == 3
    with pytest.raises(AnotherStudy, match=r"The code of cell rnn has changed"):
        opened.enter(opened.find(first.name).study)  # as `memspan study resume` would


def test_a_cell_that_only_failed_may_be_mended_under_the_same_name(opened, make_trial, other_code):
    opened.enter(STUDY).keep([make_trial(3, outcome="failed")])
    other_code(1.0)
    opened.enter(STUDY).keep([make_trial(3, 1)])
    other_code(2.0)
    with pytest.raises(AnotherStudy):
        opened.enter(STUDY)


def test_a_study_stored_without_fingerprints_is_accepted_with_a_warning_once(opened, make_trial, other_code):
    opened.enter(STUDY).keep([make_trial(3)])
    rewrite(opened, **specified(STUDY, {RULES: fingerprints(STUDY)[RULES]}))
    with pytest.warns(UncheckedCode, match=r"study 'first'.*\(cell rnn, cell lstm, task recall\)"):
        opened.enter(STUDY)
    opened.enter(STUDY)
    other_code(1.0)
    with pytest.raises(AnotherStudy):
        opened.enter(STUDY)


def test_a_study_of_other_rules_is_refused(opened, make_trial, monkeypatch):
    opened.enter(STUDY)
    rewrite(opened, **specified(STUDY))  # as of memspan 0.1, which knew of no rules
    opened.enter(STUDY).keep([make_trial(3)])  # without results, it is a study of today
    monkeypatch.setattr("memspan.study.fingerprint.VERSION", 3)
    for enter in (opened.enter, opened.missing):
        with pytest.raises(
            AnotherStudy, match=r"^The code of the training loop has changed since study 'first' was"
        ):
            enter(STUDY)
    assert opened.enter(STUDY.with_(name=None)).done() == set()


def test_fingerprints_are_no_part_of_what_a_study_computes(opened, other_code):
    before = canonical(STUDY), STUDY.keys, specified(STUDY)["hash"]
    other_code(1.0)
    assert (canonical(STUDY), STUDY.keys, specified(STUDY, fingerprints(STUDY))["hash"]) == before


@pytest.mark.parametrize("code", ["[1]", '{"cell rnn": 3}'])
def test_damaged_fingerprints_are_named(opened, code):
    opened.enter(STUDY)
    text = json.dumps(json.loads(specified(STUDY)["specification"]) | {"code": json.loads(code)})
    rewrite(opened, specification=text)
    with pytest.raises(UnreadableFile, match=r"'first'.*damaged"):
        opened.enter(STUDY)


def test_lengths_and_repetitions_stand_beside_each_other(opened, make_trial):
    opened.enter(STUDY).keep([make_trial(3, 0), make_trial(5, 1)])
    less = opened.enter(STUDY.with_(lengths=(4, 5), repetitions=1))
    assert (less.study.lengths, less.study.repetitions) == ((4, 5), 1)
    assert less.done() == set()
    less.keep([make_trial(4, 0)])
    assert [trial.key for trial in less.trials()] == [Key(0, 4, 0)]
    whole = opened.find("first")
    assert (whole.study.lengths, whole.study.repetitions) == ((3, 4, 5), 2)
    assert whole.done() == {Key(0, 3, 0), Key(0, 4, 0), Key(0, 5, 1)}
    assert opened.missing(STUDY) == [key for key in STUDY.keys if key not in whole.done()]


def test_values_keep_the_order_in_which_they_came(opened, make_trial):
    several = STUDY.with_(hidden=(8, 16), task_parameters={"tolerance": (0.1, 0.2), "element": 1})
    opened.enter(several)
    other = several.with_(
        cell=("gru", "lstm", "rnn"), hidden=(16, 8), task_parameters={"element": 1, "tolerance": (0.3, 0.2, 0.1)}
    )
    entry = opened.enter(other)
    assert entry.study == other
    found = opened.find("first").study
    assert (found.cell, found.hidden) == (("rnn", "lstm", "gru"), (8, 16))
    assert found.task_parameters == {"tolerance": (0.1, 0.2, 0.3), "element": 1}
    trial = make_trial(3, 0).model_copy(update={"configuration": 0})
    entry.keep([trial])
    (key,) = opened.find("first").done()
    first, again = other.configurations[0], found.configurations[key.configuration]
    assert (first.cell, first.hidden, first.task_parameters) == (again.cell, again.hidden, again.task_parameters)


def test_more_weights_are_computed_again_and_fewer_lose_none(opened, make_trial):
    opened.enter(STUDY).keep([make_trial(3, 0), make_trial(3, 1), make_trial(5, 0, "failed")])
    more = opened.enter(STUDY.with_(keep_weights=1))
    assert more.done() == {Key(0, 3, 1), Key(0, 5, 0)}
    assert more.missing([Key(0, 3, 0), Key(0, 3, 1)]) == [Key(0, 3, 0)]
    assert more.counts() == {3: {"solved": 1}, 5: {"failed": 1}}
    more.keep([make_trial(3, 0, weights=b"weights")])
    assert more.done() == {Key(0, 3, 0), Key(0, 3, 1), Key(0, 5, 0)}
    assert more.weights(Key(0, 3, 0)) == b"weights"
    assert opened.enter(STUDY).study.keep_weights == 1


def test_a_study_that_takes_the_place_of_one_that_runs_gets_none_of_its_trials(opened, make_trial):
    running = opened.enter(STUDY)
    opened.remove("first")
    other = opened.enter(Study(cell="gru", lengths=3, repetitions=2, keep_weights=0, name="second"))
    with pytest.raises(StoreFailed, match="was deleted from its store while it ran"):
        running.keep([make_trial(3, 0)])
    assert other.done() == running.done() == set()


def test_a_study_that_cannot_be_read_can_still_be_taken_out(opened, make_trial):
    opened.enter(STUDY).keep([make_trial(3, 0)])
    damage = update(studies).values(versions="{")
    opened.transact(lambda connection: connection.execute(damage), writes=True)
    with pytest.raises(UnreadableFile, match=r"Study 'first' in .* cannot be read"):
        opened.overviews()
    assert (opened.names(), opened.count("first"), opened.remove("first")) == (["first"], 1, 1)
    assert opened.names() == []
    with pytest.raises(NotFound, match="No study 'first' in "):
        opened.remove("first")


def test_overviews_count(opened, make_trial):
    opened.enter(STUDY).keep([make_trial(3, 0), make_trial(3, 1, "unsolved")])
    opened.enter(Study(name="second"))
    first, second = opened.overviews()
    assert (first.name, first.done, first.trials, first.counts) == ("first", 2, 8, {"solved": 1, "unsolved": 1})
    assert (second.name, second.done, second.trials) == ("second", 0, 70)
    assert first.versions.numpy
    assert first.hash != second.hash
    assert opened.overview("second") == second
    with pytest.raises(NotFound, match=r"No study 'secnd'.* Did you mean 'second'"):
        opened.overview("secnd")


def test_a_study_is_taken_out_with_all_that_is_its_own(opened, make_trial):
    tests = [{"length": 9, "accuracy": 0.5, "loss": 0.25}]
    opened.enter(STUDY).keep([make_trial(3, 0, weights=b"some", tests=tests)])
    opened.enter(STUDY.with_(name="second")).keep([make_trial(3, 0)])
    assert opened.remove("first") == 1
    assert [overview.name for overview in opened.overviews()] == ["second"]
    counted = {name: select(func.count()).select_from(table) for name, table in METADATA.tables.items()}
    counts = {name: opened.transact(lambda c, q=query: c.execute(q).scalar()) for name, query in counted.items()}
    assert counts == {"studies": 1, "configurations": 2, "trials": 1, "curves": 1, "weights": 0, "tests": 0}


def test_an_unknown_name_is_told_the_nearest(opened):
    opened.enter(STUDY)
    with pytest.raises(NotFound, match=r"No study 'frist' in .*\. Did you mean 'first'\?"):
        opened.find("frist")


HOSTILE = [
    "../../x",
    "/etc/passwd",
    "a\0b",
    "x" * 300,
    "'; DROP TABLE trials; --",
    '"quoted"',
    "<script>alert(1)</script>",
    "=cmd()",
    "C:\\x\\0",
    "\u202egnp.exe",
    "[bold]x[/bold]",
    " ",
]


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_a_hostile_name_is_stored_as_it_is(opened, name, make_trial, tmp_path):
    before = sorted(tmp_path.rglob("*"))
    opened.enter(STUDY.with_(name=name)).keep([make_trial(3, 0)])
    assert [overview.name for overview in opened.overviews()] == [name]
    assert opened.find(name).name == name
    assert opened.find(name).done() == {Key(0, 3, 0)}
    assert sorted(tmp_path.rglob("*")) == before
    assert opened.remove(name) == 1


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20), min_size=2, unique=True)
)
def test_names_are_told_apart(names):
    assert [catalogue.unescaped(catalogue.escaped(name)) for name in names] == names
    assert len({catalogue.escaped(name) for name in names}) == len(names)
    assert all("\0" not in catalogue.escaped(name) for name in names)


def test_a_result_can_be_loaded_by_name(place, make_trial):
    with Store(place, create=True) as opened:
        opened.enter(STUDY).keep([make_trial(3, 0), make_trial(5, 0)])
    result = load_study(place, "first")
    assert result.study == STUDY
    assert [trial.key for trial in result.trials] == [Key(0, 3, 0), Key(0, 5, 0)]


def test_a_study_of_an_earlier_version_with_fewer_fields_is_the_same_one(tmp_path, make_trial):
    """Pretend that `evaluate_every` and the checksums were added later."""
    path = tmp_path / "store.sqlite"
    with Store(path, create=True) as opened:
        opened.enter(STUDY).keep([make_trial(3, 0)])
    with closing(sqlite3.connect(path)) as connection:
        ((specification,),) = connection.execute("SELECT specification FROM studies").fetchall()
        fields = json.loads(specification)
        del fields["evaluate_every"]
        connection.execute("UPDATE studies SET specification = ?", (json.dumps(fields),))
        connection.execute("DROP TABLE tests")
        connection.execute("ALTER TABLE trials DROP COLUMN version")
        for table in METADATA.tables.keys() - {"tests"}:
            connection.execute(f"ALTER TABLE {table} DROP COLUMN checksum")
        connection.execute("PRAGMA user_version = 2")
        connection.commit()
    with Store(path) as opened:
        assert opened.enter(STUDY).done() == {Key(0, 3, 0)}
        assert opened.find("first").study == STUDY


@pytest.mark.parametrize("name", [3, None, b"x", ["x"]])
def test_a_name_that_is_no_text_is_refused(opened, name):
    for method in (opened.find, opened.count, opened.remove):
        with pytest.raises(InvalidArgument, match=r"^name must be a text, the name of a study, got "):
            method(name)
    for method, kind in (
        (opened.enter, "a Study or a Search"),
        (opened.existing, "a Study or a Search"),
        (opened.missing, "a Study"),
    ):
        with pytest.raises(InvalidArgument, match=f"^study must be {kind}, got "):
            method(name)
    with pytest.raises(InvalidArgument, match=r"^study must be a Study, got Search\("):
        opened.missing(Search(hidden=4))  # which trials it lacks is decided on its way


@pytest.mark.parametrize("place", [3, None, "", b"x"])
def test_a_store_must_be_a_place(place, tmp_path):
    for call in (lambda: Store(place), lambda: load_study(place, "x")):
        with pytest.raises(InvalidArgument, match=r"^store must be a path"):
            call()
    with pytest.raises(InvalidArgument, match=r"^create must be True or False, got 3"):
        Store(tmp_path / "x.sqlite", create=3)
