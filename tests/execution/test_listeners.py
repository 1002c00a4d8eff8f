import io
import json
import math
import sys
from dataclasses import replace

import pytest
from rich.console import Console

from memspan import InvalidArgument, Search, Study
from memspan.execution import listeners
from memspan.execution.events import (
    Advanced,
    Elsewhere,
    Ended,
    Finished,
    Planned,
    Searching,
    Stopping,
    Timing,
    Waiting,
    WorkerLost,
)
from memspan.execution.listeners import Bars, Json, Lines, begins, listening, remark_on
from memspan.execution.plan import Plan
from memspan.execution.tally import SearchTally, Tally
from memspan.study import Key
from memspan.study.search_result import Paths

STUDY = Study(lengths=(5, 10), repetitions=3, updates=100)
DONE = {5: {"solved": 1}}
KEYS = [key for key in STUDY.keys if key != Key(0, 5, 0)]
PLANNED = Planned(STUDY, "mine", Plan((tuple(KEYS),), 90.0, 2**28, 2, None), DONE)


@pytest.fixture
def events(make_trial):
    return [
        PLANNED,
        Advanced({Key(0, 10, 0): 50, Key(0, 10, 1): 25}),
        Finished((make_trial(10, 0), make_trial(10, 1, "unsolved"))),
        WorkerLost((Key(0, 10, 2), Key(0, 5, 1)), "it died"),
        Elsewhere((Key(0, 5, 1),)),
        Finished((make_trial(5, 2, "diverged", loss=math.nan, accuracy=0.0), make_trial(10, 2, "failed"))),
        Ended(True),
    ]


def test_a_tally_adds_up(events):
    tally = Tally(PLANNED)
    assert (tally.all, tally.totals, tally.share) == ({"solved": 1}, {5: 3, 10: 3}, 0)
    tally.add(events[1])
    assert tally.share == pytest.approx(75 * 10 / (100 * (2 * 5 + 3 * 10)))
    assert tally.under_way == "T=10 update 50"
    tally.add(events[2])
    assert tally.share == pytest.approx(0.5)
    assert tally.under_way == ""
    for event in events[3:]:
        tally.add(event)
    assert tally.share == 1
    assert tally.counts[5] == {"solved": 1, "elsewhere": 1, "diverged": 1}
    assert tally.counts[10] == {"solved": 1, "unsolved": 1, "failed": 1}
    assert "6/6 trials (1 diverged, 1 elsewhere, 1 failed, 2 solved, 1 unsolved)" in tally.line
    assert "workers lost: 1" in tally.line


def test_longer_sequences_and_more_updates_weigh_more(make_trial):
    study = Study(lengths=(1, 3), repetitions=1, updates=(100, 300))
    tally = Tally(Planned(study, "a", Plan((tuple(study.keys),), None, 0, 1, None)))
    tally.add(Finished((make_trial(3, 0).model_copy(update={"configuration": 1}),)))
    assert tally.share == pytest.approx(9 / 16)


def test_lines_say_how_far_it_is_and_what_is_out_of_the_ordinary(events, monkeypatch, capsys):
    monkeypatch.setattr(listeners, "SECONDS_BETWEEN_LINES", 0.0)
    with listening("lines") as tell:
        for event in events:
            tell(event)
    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert out == ""
    assert (
        lines[0]
        == "study: mine: 5 trials in 2 processes, at most about 2 min, at most 256 MiB each (1 more in the store)"
    )
    lost = "study: a worker was killed while it ran 2 trials of T=10; each is run again alone. Reason: it died"
    assert lost in lines
    assert "study: T=10, repetition 2 failed: MemoryError: no room" in lines
    assert any(
        line.startswith("study: 19 %, 1/6 trials (1 solved), ") and "T=10 update 50" in line for line in lines
    )
    assert any(line.startswith("study: 100 %, 6/6 trials") for line in lines)


def test_of_several_configurations_and_searches_the_failed_one_is_named(make_trial, capsys):
    failed = make_trial(10, 2, "failed").model_copy(update={"configuration": 1})
    study = STUDY.with_(cell="rnn,gru")
    path = Path(SEARCH, SEARCH.with_(cell="gru"))
    for begun in (replace(PLANNED, study=study), path.begun()):
        with listening("lines") as tell:
            for event in (begun, WorkerLost((failed.key,), "it died"), Finished((failed,))):
                tell(event)
    lines = capsys.readouterr().err.splitlines()
    assert "study: cell gru, T=10, repetition 2 failed: MemoryError: no room" in lines
    assert "span: mine 1, T=10, repetition 2 failed: MemoryError: no room" in lines
    for begins_so in (
        "study: a worker was killed while it ran a trial of cell gru, T=10; it is run again",
        "span: a worker was killed while it ran a trial of mine 1, T=10;",
    ):
        assert any(line.startswith(begins_so) for line in lines)


@pytest.mark.parametrize("kind", ["bar", "lines"])
def test_it_is_said_that_engines_are_timed(kind, capsys):
    with listening(kind) as tell:
        tell(Timing(("mypkg.nets:mine", "mypkg.nets:other")))
        said = capsys.readouterr().err
    assert said.removeprefix("memspan: ") == (
        "timing the engines for mypkg.nets:mine, mypkg.nets:other; nothing is trained yet\n"
    )


def test_lines_are_few(events, monkeypatch, capsys):
    with listening("lines") as tell:
        for event in events[:3] * 100:
            tell(event)
    assert len([line for line in capsys.readouterr().err.splitlines() if "%" in line]) <= 1


def test_a_study_that_is_done_says_so(capsys):
    with listening("lines") as tell:
        tell(Planned(STUDY, "mine", Plan((), 0.0, 0, 0, None), {5: {"solved": 3}, 10: {"solved": 3}}))
    assert capsys.readouterr().err == "study: mine: nothing to do, all 6 trials are in the store\n"


def test_what_was_copied_is_said():
    nothing, some = Plan((), 0.0, 0, 0, None), PLANNED.plan
    said = begins(Planned(STUDY, "mine", nothing, {5: {"solved": 6}}, {"a": 4, "b": 2}))
    assert said == "mine: 6 trials copied from a, b, nothing to train, all 6 trials are in the store"
    assert begins(Planned(STUDY, "mine", some, DONE, {"a": 1})).endswith(
        " (1 more in the store, 1 trial copied from a)"
    )


def test_json_is_a_line_for_each_event(events, capsys):
    with listening("json") as tell:
        for event in [*events, Stopping(), Ended(False, "interrupted")]:
            tell(event)
    out, err = capsys.readouterr()
    found = [json.loads(line) for line in out.splitlines()]
    assert err == ""
    names = [
        "planned",
        "advanced",
        "finished",
        "worker-lost",
        "elsewhere",
        "finished",
        "ended",
        "stopping",
        "ended",
    ]
    assert [line["event"] for line in found] == names
    assert all(line["seconds"] >= 0 for line in found)
    assert (found[0]["name"], found[0]["trials"], found[0]["done"], found[0]["processes"]) == ("mine", 5, 1, 2)
    assert found[1]["trials"][0] == {"configuration": 1, "length": 10, "repetition": 0, "updates": 50}
    assert (found[2]["trials"][0]["outcome"], found[2]["trials"][0]["accuracy"]) == ("solved", 0.95)
    assert found[5]["trials"][0]["loss"] is None
    assert (found[8]["complete"], found[8]["reason"]) == (False, "interrupted")


def test_bars_show_every_length_and_what_it_is_worth(events):
    bars = Bars()
    for event in events[:3]:
        bars.tally = bars.tally or Tally(event)
        bars.tally.add(event)
    out = io.StringIO()
    Console(file=out, width=100).print(bars._draw())
    lines = [line.split() for line in out.getvalue().splitlines()]
    assert lines[0] == ["length", "done", "solved"]
    assert lines[1][0] == "5"
    assert lines[1][-2:] == ["1/3", "100%"]
    assert lines[2][0] == "10"
    assert lines[2][-2:] == ["2/3", "50%"]
    assert "50 %, 3/6 trials (2 solved, 1 unsolved)" in out.getvalue()
    assert max(map(len, out.getvalue().splitlines())) <= 100


def test_bars_of_many_lengths_show_those_that_are_not_done(make_trial):
    study = Study(lengths=range(1, 101), repetitions=1)
    bars = Bars()
    bars.tally = Tally(Planned(study, "a", Plan((tuple(study.keys),), None, 0, 1, None)))
    bars.tally.add(Finished(tuple(make_trial(length, 0) for length in range(90, 101))))
    out = io.StringIO()
    Console(file=out, width=100).print(bars._draw())
    shown = [int(line.split()[0]) for line in out.getvalue().splitlines()[1:-2] if line.split()[0].isdigit()]
    assert shown == list(range(90 - listeners.MOST_LENGTHS, 90))


def test_bars_are_drawn_and_closed(events, monkeypatch):
    out = io.StringIO()
    bars = Bars()
    bars.live.console = Console(file=out, force_terminal=True, width=100)
    for event in events:
        bars(event)
    bars.close()
    assert "mine: 5 trials" in out.getvalue()
    assert "failed: MemoryError" in out.getvalue()
    assert "6/6 trials" in out.getvalue()
    assert not bars.live.is_started


def test_nothing_is_shown_before_there_is_a_plan(capsys):
    for shown in (Lines(), Bars()):
        shown(Elsewhere((Key(0, 5, 0),)))
        shown.close()
    assert capsys.readouterr() == ("", "")


def test_that_a_store_is_waited_for_is_said_even_before_there_is_a_plan(capsys):
    waiting = Waiting("database is locked\x1b[2J", 600.0)
    for shown in (Lines(), Bars()):
        shown(waiting)
        shown.close()
        assert "waiting for the store, at most 10 min: database is locked" in capsys.readouterr().err
    Json()(waiting)
    line = json.loads(capsys.readouterr().out)
    assert (line["event"], line["at_most_seconds"]) == ("waiting", 600.0)


def test_whoever_listens_hears_everything(events):
    heard = []
    with listening("none", heard.append) as tell:
        for event in events:
            tell(event)
    assert heard == events


def test_ordinary_events_are_not_remarked_on(events):
    assert [bool(remark_on(event)) for event in events] == [False, False, False, True, False, True, False]


@pytest.mark.parametrize(
    ("kind", "rule"), [("loud", "one of auto, bar"), ("notebook", "bar, lines, json or none")]
)
def test_bad_kinds_are_refused(kind, rule, monkeypatch):
    monkeypatch.setitem(sys.modules, "IPython", None)
    with pytest.raises(InvalidArgument, match=f"progress must be {rule}"), listening(kind):
        pass


def test_a_notebook_gets_one_cell_that_is_rewritten(events, monkeypatch):
    shown = []

    class Handle:
        def update(self, data, raw):
            shown.append(data["text/plain"])

    class Display:
        @staticmethod
        def display(data, raw, display_id):
            shown.append(data["text/plain"])
            return Handle()

    monkeypatch.setattr(listeners, "ipython_shell", lambda: type("IPython", (), {"display": Display}))
    with listening("notebook") as tell:
        for event in events:
            tell(event)
    assert shown[0].splitlines()[0].startswith("mine: 5 trials")
    assert "100 %, 6/6 trials" in shown[-1]
    assert "a worker was killed" in shown[-1]


def test_json_goes_to_standard_output_at_once(capsys):
    Json()(PLANNED)
    assert json.loads(capsys.readouterr().out)["at_most_seconds"] == 90


# --- searches -------------------------------------------------------------------------------------------

SEARCH = Search(hidden=4, groups=2, repetitions=2, budget="24")


class Path:
    """The path of a search, with its trials made by hand: lengths up to 5 are solved."""

    def __init__(self, *searches):
        self.searches, self.paths = searches, Paths(searches)

    def begun(self):
        """The event with which the next round begins."""
        names = tuple(f"mine {k}" for k in range(len(self.searches)))
        return Searching(self.searches, names, tuple(self.paths.paths), tuple(self.paths.missing()))

    def finished(self, make_trial, keys):
        """The event of trials that have ended; they have been told to the search, as a run does."""
        trials = [
            make_trial(key.length, key.repetition, "solved" if key.length <= 5 else "unsolved").model_copy(
                update={"configuration": key.configuration}
            )
            for key in keys
        ]
        self.paths.add(trials)
        return Finished(tuple(trials))

    def events(self, make_trial, rounds, *more):
        """Yield the events of some rounds and others, each only when the one before has been heard."""
        for _ in range(rounds):
            begun = self.begun()
            yield begun
            yield self.finished(make_trial, begun.keys)
        yield from more


def test_a_tally_of_a_search_is_that_of_its_round(make_trial):
    path = Path(SEARCH)
    begun = path.begun()
    tally = SearchTally(begun)
    assert (tally.share, tally.round, tally.state_of(0)[0]) == (0, 1, "–")
    assert tally.line.startswith("round 1: 0 of 4 trainings, 0 before, ")
    tally.add(Advanced({begun.keys[0]: 7, begun.keys[1]: 9}))
    assert tally.under_way == f"T={begun.keys[0].length} update 9"
    tally.add(path.finished(make_trial, begun.keys[:1]))
    tally.add(Elsewhere(begun.keys[1:2]))
    assert (tally.share, tally.under_way) == (0.5, "")
    tally.add(WorkerLost(begun.keys[2:3], "it died"))
    assert tally.line.endswith("workers lost: 1")
    tally.add(path.finished(make_trial, begun.keys[1:]))
    tally.add(path.begun())
    assert (tally.share, tally.round) == (0, 2)
    assert tally.line.startswith("round 2: 0 of 4 trainings, 4 before, ")
    assert tally.state_of(0)[0] == path.paths.paths[0].estimate.short
    assert tally.state_of(0)[1] == ", ".join(dict.fromkeys(str(g.length) for g in path.paths.paths[0].ask()))


def test_lines_of_a_search_have_a_line_for_each_round(make_trial, monkeypatch, capsys):
    monkeypatch.setattr(listeners, "SECONDS_BETWEEN_LINES", 0.0)
    path = Path(SEARCH)
    with listening("lines") as tell:
        for event in path.events(make_trial, 2, Ended(True)):
            tell(event)
    lines = capsys.readouterr().err.splitlines()
    assert all(line.startswith("span: ") for line in lines)
    first, second = (line for line in lines if "trainings at T=" in line)
    lengths = sorted({key.length for key in Path(SEARCH).begun().keys})
    assert first == f"span: mine 0, round 1: 4 trainings at T={', '.join(map(str, lengths))}"
    assert second.startswith("span: mine 0, round 2: 4 trainings at T=")
    assert f"; so far {path.paths.paths[0].rounds[0].estimate}" in second
    assert any(line.startswith("span: round 1: 4 of 4 trainings, 0 before, ") for line in lines)


def test_several_searches_say_how_many_are_found(make_trial, capsys):
    path = Path(SEARCH, SEARCH.with_(cell="gru", budget="4"))
    with listening("lines") as tell:
        for event in path.events(make_trial, 2):
            tell(event)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "span: 2 searches, round 1: 8 trainings; 2 of 2 spans are not yet precise enough"
    second = path.paths.paths[0].rounds[1]
    lengths = ", ".join(f"{group.length}" for group in second.groups)
    assert lines[1:] == [
        "span: 2 searches, round 2: 4 trainings; 1 of 2 spans are not yet precise enough",
        f"span: mine 0: {path.paths.paths[0].rounds[0].estimate.short}, next T={lengths}",
    ]
    tally = SearchTally(path.begun())
    assert "1 of 2 spans found" in tally.line
    assert tally.state_of(1)[1] == "found"


def test_a_phase_that_is_all_in_the_store_has_one_line(make_trial, monkeypatch, capsys):
    """The progress of no trainings says nothing."""
    monkeypatch.setattr(listeners, "SECONDS_BETWEEN_LINES", 0.0)
    stored = replace(Path(SEARCH).begun(), keys=())
    with listening("lines") as tell:
        tell(stored)
        tell(Ended(True))
    (line,) = capsys.readouterr().err.splitlines()
    assert "nothing to do, all 0 trainings are in the store" in line
    assert SearchTally(stored).line.startswith("0 trainings in the store, ")


def test_of_many_searches_some_spans_are_shown(make_trial, capsys):
    path = Path(*(SEARCH.with_(seed=seed) for seed in range(6)))
    with listening("lines") as tell:
        for event in path.events(make_trial, 2):
            tell(event)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("span: 6 searches, round 1: ")
    assert [line.partition(":")[2].partition(":")[0] for line in lines[2:6]] == [f" mine {k}" for k in range(4)]
    assert lines[6:] == ["span: and 2 more searches"]


def test_a_search_that_is_done_says_so(make_trial, capsys):
    path = Path(SEARCH.with_(budget="4"))
    assert len([*path.events(make_trial, 1)]) == 2
    with listening("lines") as tell:
        tell(path.begun())
    assert capsys.readouterr().err == "span: mine 0: nothing to do, all 4 trainings are in the store\n"


def test_json_of_a_search_has_the_span_so_far(make_trial, capsys):
    path = Path(SEARCH)
    with listening("json") as tell:
        for event in path.events(make_trial, 1):
            tell(event)
        tell(path.begun())
    first, finished, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert (first["event"], first["round"], first["trials"]) == ("searching", 1, 4)
    lengths = [group.length for group in Path(SEARCH).paths.paths[0].ask()]
    assert first["searches"] == [{"name": "mine 0", "span": None, "low": None, "high": None, "next": lengths}]
    assert len(finished["trials"]) == 4
    assert (second["round"], second["trials"]) == (2, 4)
    found = path.paths.paths[0].estimate
    (search,) = second["searches"]
    assert (search["span"], search["low"], search["high"]) == (found.span, found.low, found.high)
    assert found.span is not None


def test_json_of_a_search_that_has_ended_counts_its_rounds(make_trial, capsys):
    path = Path(SEARCH.with_(budget="8"))
    assert len([*path.events(make_trial, 2)]) == 4
    with listening("json") as tell:
        tell(path.begun())
    event = json.loads(capsys.readouterr().out)
    assert (event["round"], event["trials"], event["searches"][0]["next"]) == (2, 0, [])


@pytest.mark.parametrize("several", [False, True])
def test_bars_of_a_search_show_its_span_and_next_lengths(make_trial, several):
    searches = [SEARCH, SEARCH.with_(cell="gru")] if several else [SEARCH]
    path, bars = Path(*searches), Bars()
    bars.live.console = Console(file=(out := io.StringIO()), force_terminal=True, width=120)
    for event in path.events(make_trial, 1):
        bars(event)
        bars(Advanced({Key(0, 4, 0): 7}))
    bars(path.begun())
    bars.close()
    text = out.getvalue()
    assert "span so far" in text
    assert path.paths.paths[0].estimate.short in text
    assert ("gru, 4 hidden" in text) == several
    assert "round 2: 0 of" in text


def test_a_notebook_shows_the_rounds_of_a_search(make_trial, monkeypatch):
    shown = []

    class Display:
        @staticmethod
        def display(data, raw, display_id):
            shown.append(data["text/plain"])
            return type("Handle", (), {"update": lambda self, data, raw: shown.append(data["text/plain"])})()

    monkeypatch.setattr(listeners, "ipython_shell", lambda: type("IPython", (), {"display": Display}))
    path = Path(SEARCH)
    with listening("notebook") as tell:
        for event in path.events(make_trial, 1):
            tell(event)
        tell(path.begun())
        tell(Ended(True))
    assert shown[0].startswith("mine 0, round 1: 4 trainings at T=")
    assert "round 2: 0 of 4 trainings, 4 before" in shown[-1]
