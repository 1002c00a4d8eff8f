import json
import re
from contextlib import nullcontext

import pytest

from memspan import Configuration, Search, SearchResult, Store, Study, find_span, load_study
from memspan.cli.study.choose import settings_of
from memspan.cli.study.runner import print_result
from memspan.execution.events import Finished

TINY = "span --hidden 4 --updates 5 --budget 16 --repetitions 2 --groups 2 --workers 0"
SAME = {"budget": 16, "repetitions": 2, "groups": 2}


def test_the_answer_is_printed_and_drawn(memspan_, tmp_path):
    code, out, err = memspan_(TINY)
    assert code == 0
    expected = find_span(Configuration(hidden=4, updates=5), **SAME, progress=False)
    assert expected.sentence in out
    assert "below 4 steps" in expected.sentence or "T50" in expected.sentence
    (picture,) = (tmp_path / "runs").glob("span-*/span.png")
    assert str(picture.relative_to(tmp_path)) in out
    assert {path.suffix for path in picture.parent.iterdir()} == {".png", ".svg", ".csv", ".html"}
    assert expected.sentence in (picture.parent / "report.html").read_text("utf-8")
    assert "round 1: 4 trainings at T=" in err


def test_json_has_the_numbers_and_nothing_else_is_printed(memspan_, tmp_path):
    code, out, err = memspan_(f"{TINY} --json")
    found = json.loads(out)
    estimate = find_span(Configuration(hidden=4, updates=5), **SAME, progress=False).estimate
    names = ["span", "low", "high", "level", "share", "left_censored", "right_censored", "fits", "trainings"]
    assert list(found) == [*names, "steps_trained", "ended", "seconds"]
    assert {name: found[name] for name in names} == {name: getattr(estimate, name) for name in names}
    assert found["steps_trained"] > 0
    assert found["ended"] == "the interval lies below the shortest length allowed"
    assert (code, err) == (0, "")
    assert not (tmp_path / "runs").exists()


def test_the_same_command_trains_nothing_again(memspan_):
    _, first, _ = memspan_(f"{TINY} --json")
    code, again, err = memspan_(f"{TINY} --no-figures")
    assert code == 0
    assert "nothing to do, all" in err
    assert "The search ended: the interval lies below the shortest length allowed." in again.splitlines()
    assert f"{json.loads(first)['trainings']} trainings" in again


def test_the_seconds_are_those_of_the_command(memspan_, monkeypatch):
    """However long the stored trainings took."""
    memspan_(f"{TINY} --json")
    clock = iter([100.0, 107.25])
    monkeypatch.setattr("memspan.cli.span.time.perf_counter", lambda: next(clock))
    assert json.loads(memspan_(f"{TINY} --json")[1])["seconds"] == 7.25


def test_why_a_search_ended_is_said(memspan_):
    easy = f"{TINY} --name mine --threshold 0.02"  # solved by chance
    ended = "the next round could exceed the budget"
    assert json.loads(memspan_(f"{easy} --json")[1])["ended"] == ended
    assert f"The search ended: {ended}." in memspan_(f"{easy} --no-figures")[1].splitlines()
    assert f"finished: {ended}" in memspan_("study status mine")[1]


def test_a_larger_budget_continues(memspan_, tmp_path):
    easy = f"{TINY} --threshold 0.02"  # solved by chance, so the search goes on to the longest length
    memspan_(f"{easy} --json")
    with Store(tmp_path / "memspan.sqlite") as store:
        before = {trial.key: trial for trial in store.find(store.names()[0]).trials()}
    memspan_(f"{easy} --json".replace("--budget 16", "--budget 24"))
    with Store(tmp_path / "memspan.sqlite") as store:
        (name,) = store.names()
        after = {trial.key: trial for trial in store.find(name).trials()}
    assert before.items() <= after.items()
    assert len(after) > len(before)


def test_a_search_is_listed_and_shown_like_a_study(memspan_):
    _, out, _ = memspan_(TINY)
    answer = out.splitlines()[-3]
    _, listed, _ = memspan_("store ls")
    assert "search" in listed
    assert answer in memspan_("study show")[1]
    code, out, _ = memspan_("study show --output figures")
    assert code == 0
    assert "figures/span.png" in out


def test_the_record_of_a_search_is_shown(memspan_):
    memspan_(f"{TINY} --name mine --json")
    code, out, err = memspan_("store show mine")
    assert (code, err) == (0, "")
    rows = [[cell.strip() for cell in line.strip("│┃ ").split("│")] for line in out.splitlines()]
    found = {row[0]: row[1] for row in rows if len(row) == 2}
    expected = {"hidden": "4", "budget": "16", "first length": "4", "keep weights": "1"}
    assert expected.items() <= found.items()
    assert re.fullmatch(r"\d+: .*\bunsolved\b.*", found["trials"])
    assert "lengths" not in found


def test_kinds_are_listed(memspan_):
    done = str(json.loads(memspan_(f"{TINY} --name a --json")[1])["trainings"])
    small = "--hidden 4 --batch 4 --updates 3 --final-batches 1 --lengths 2 --repetitions 1"
    memspan_(f"study run {small} --name b --workers 0 --progress none --no-figures")
    for line in ("store ls", "study status"):
        code, out, _ = memspan_(line)
        assert code == 0
        rows = [row.strip("│").split("│") for row in out.splitlines() if row.startswith("│")]
        cells = [[row[k].strip() for k in (0, 1, 6)] for row in rows if row[0].strip()]
        assert cells == [["a", "search", done], ["b", "study", "1/1"]]


def test_the_list_tells_searches_apart():
    assert settings_of(Search(hidden=8, gain=2, width=0.2, task_parameters={"tolerance": 0.1})) == (
        "gain 2, hidden 8, width 0.2, tolerance 0.1"
    )
    assert settings_of(Search()) == settings_of(Study(lengths=(5, 10), cell=("rnn", "gru"))) == ""
    assert settings_of(Study(hidden=(8, 16))) == "hidden 8,16"
    long = settings_of(Study(seed=tuple(range(100))))
    assert (long[:9], long[-3:], len(long)) == ("seed 0,1,", "...", 80)


def test_an_interrupted_search_is_told_how_it_goes_on(memspan_, monkeypatch):
    heard = []

    def listening(kind, listen):
        def both(event):
            listen(event)
            heard.append(event)
            if isinstance(event, Finished) and len(heard) > 4:
                raise KeyboardInterrupt

        return nullcontext(both)

    line = ["span", "--name", "my search", *TINY.split()[1:], "--store", "my.store"]
    with monkeypatch.context() as patched:
        patched.setattr("memspan.cli.study.runner.listening", listening)
        patched.setattr("memspan.cli.study.runner.ignore_interrupts", lambda: None)
        code, out, err = memspan_(line)
    assert (code, out) == (130, "")
    command = "memspan span --name 'my search' --hidden 4 --updates 5 --budget 16 --repetitions 2 --groups 2"
    assert err.splitlines() == [
        "memspan: finished trials are stored. To continue:",
        f"  {command} --workers 0 --store my.store",
        "memspan: interrupted",
    ]
    code, out, _ = memspan_("study status --store my.store")
    assert "my search" in out
    code, out, _ = memspan_(["study", "status", "my search", "--store", "my.store"])
    assert "unfinished: give the command again with which it began" in out
    with Store("my.store") as store:
        stored = len([*store.find("my search").trials()])
    assert f"my search: {stored} trainings stored, 1 round complete, unfinished" in out
    code, out, err = memspan_(line)
    assert code == 0
    assert find_span(Configuration(hidden=4, updates=5), **SAME, progress=False).sentence in out


def test_no_table_is_printed_before_the_first_round_has_ended(capsys):
    print_result(SearchResult.found(Search(), []))
    assert capsys.readouterr().out == "No round has ended, so there is no answer yet.\n"


def test_where_every_training_fails_that_is_said(memspan_, monkeypatch):
    def no_room(*arguments):
        raise MemoryError("no room")

    monkeypatch.setattr("memspan.study.group.Batches", no_room)
    code, out, _ = memspan_(f"{TINY} --json")
    found = json.loads(out)
    assert code == 1
    assert [found[name] for name in ("span", "low", "fits")] == [None] * 3
    assert (found["share"], found["level"]) == (0.5, 0.95)
    assert (found["trainings"], found["ended"]) == (4, "the machine failed in every training of the last round")
    code, out, _ = memspan_(TINY)
    assert code == 1
    lines = out.splitlines()
    assert "A trial failed: MemoryError: no room" in lines
    assert lines[-2].endswith("report.html")
    assert [*lines[-4:-2], lines[-1]] == [
        "No training has run to its end, so there is no answer yet.",
        "The search ended: the machine failed in every training of the last round.",
        f"memspan {TINY} --retry-failed",
    ]


def test_rounds_are_events_for_other_programs(memspan_):
    code, out, err = memspan_(f"{TINY} --name mine --progress json")
    assert (code, err) == (0, "")
    events = [json.loads(line) for line in out.splitlines()]
    begun = [event for event in events if event["event"] == "searching"]
    assert [event["round"] for event in begun] == [*range(1, len(begun) + 1)]
    finished = [trial for event in events if event["event"] == "finished" for trial in event["trials"]]
    assert sum(event["trials"] for event in begun) == len(finished) > 0
    (first,) = begun[0]["searches"]
    assert (first["name"], first["span"], first["next"]) == ("mine", None, [4, 6])
    assert isinstance(begun[1]["searches"][0]["high"], float)
    assert events[-1]["complete"] is True
    result = load_study("memspan.sqlite", "mine")
    names = ("span", "low", "high", "level", "share")
    answer = {name: getattr(result.estimate, name) for name in names}
    assert events[-1]["spans"] == [{"name": "mine", **answer, "ended": result.ended}]


def test_a_search_is_no_study_to_resume(memspan_):
    memspan_(f"{TINY} --name mine --json")
    for line in ("study resume mine", "study extend mine --repetitions 3"):
        code, _, err = memspan_(line)
        assert code == 2
        assert "mine is a search. Give the command again with which it began." in err
    code, out, _ = memspan_("study status mine")
    assert code == 0
    assert "T50" in out


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--cell rnn,gru", "--cell must be one value; `memspan compare` takes several"),
        (
            "--budget lots",
            "--budget must be a whole number of trainings, such as 160, or of time steps, such as 20Msteps, "
            "got 'lots'",
        ),
        ("--budget 1.5", "--budget must be a whole number"),
        ("--budget 8", "--budget must be at least 16, the trainings of the first round, got 8"),
        (
            "--budget 9ksteps",
            "--budget must be at least 198,000 time steps, the most that the first round",
        ),
        ("--budget 0", "--budget must be at least 1, got '0'"),
        ("--width 0", "--width must be"),
        ("--share 1", "--share must be"),
        ("--task order/pascanu-2 --longest 9", "--longest must be at least 10"),
        ("--widht 0.1", "--width"),
    ],
)
def test_wrong_options_are_named(memspan_, tmp_path, option, message):
    code, out, err = memspan_(f"span {option}")
    assert (code, out) == (2, "")
    assert message in err
    assert not list(tmp_path.iterdir())


def test_settings_may_come_from_a_file(memspan_, tmp_path):
    (tmp_path / "mine.toml").write_text("hidden = 4\nupdates = 5\nbudget = 16\nrepetitions = 2\ngroups = 2\n")
    _, out, _ = memspan_("span mine.toml --workers 0 --json")
    _, same, _ = memspan_(f"{TINY} --json")
    drop = ("seconds",)
    assert {k: v for k, v in json.loads(out).items() if k not in drop} == {
        k: v for k, v in json.loads(same).items() if k not in drop
    }
