"""Displays of a running study or search: bars in a terminal, lines in a log, a notebook cell, or JSON."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Protocol

from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from memspan.errors import InvalidArgument, one_of, shown
from memspan.execution.encoding import contents
from memspan.execution.events import (
    Ended,
    Engines,
    Event,
    Finished,
    Listener,
    Planned,
    Searching,
    Stopping,
    Timing,
    Waiting,
    WorkerLost,
)
from memspan.execution.plan import duration
from memspan.execution.tally import SearchTally, Tally
from memspan.runtime.notices import say
from memspan.runtime.progress import ipython_shell, plain, surroundings
from memspan.runtime.tables import PlainConsole
from memspan.study.study import Key
from memspan.training.history import Outcome

KINDS = ("auto", "bar", "notebook", "lines", "json", "none")
SECONDS_BETWEEN_LINES = 5.0
SECONDS_BETWEEN_DISPLAYS = 0.25
MOST_LENGTHS = 16  # bars in a terminal
MOST_SPANS = 4  # lines about several searches, in each round


class Shown(Protocol):
    """A display of events."""

    def __call__(self, event: Event) -> None:
        """Show an event."""

    def close(self) -> None:
        """End the display after the last event."""


def progress_kind(progress: bool | str) -> str:
    """Return the kind of display for an argument `progress` that may be True or False.

    Raises
    ------
    InvalidArgument
        If it is neither a truth value nor a text.
    """
    if not isinstance(progress, bool | str):
        raise InvalidArgument("progress", f"True, False or one of {', '.join(KINDS)}", shown(progress))
    return progress if isinstance(progress, str) else "auto" if progress else "none"


@contextmanager
def listening(kind: str, more: Listener | None = None) -> Iterator[Listener]:
    """Show the events of a study inside the `with` block.

    Parameters
    ----------
    kind : str
        `bar`, `notebook`, `lines`, `json` (a line on standard output for each event) or `none`. `auto` chooses
        `notebook` in a notebook, `bar` in a terminal, and `lines` otherwise.
    more : callable, optional
        A listener that is also called with each event.

    Yields
    ------
    Listener
        Passes an event to the display and to `more`.

    Raises
    ------
    InvalidArgument
        If `kind` is unknown, `more` is not callable, or `kind` is `notebook` outside IPython.
    """
    kind = one_of("progress", kind, KINDS)
    if more is not None and not callable(more):
        raise InvalidArgument("listen", "a callable that takes an event", shown(more))
    if (surroundings() if kind == "auto" else kind) == "notebook" and ipython_shell() is None:
        raise InvalidArgument("progress", "bar, lines, json or none outside IPython", "'notebook'")
    kinds: dict[str, Callable[[], Shown]] = {"bar": Bars, "notebook": Notebook, "lines": Lines, "json": Json}
    with ExitStack() as stack:
        listeners: list[Listener] = [] if more is None else [more]
        if kind != "none":
            display = kinds[surroundings() if kind == "auto" else kind]()
            stack.callback(display.close)
            listeners.append(display)

        def tell(event: Event) -> None:
            for listener in listeners:
                listener(event)

        yield tell


class Lines:
    """A line every few seconds, and one for each unusual event."""

    def __init__(self) -> None:
        self.tally: Tally | SearchTally | None = None
        self.last = time.monotonic()

    def __call__(self, event: Event) -> None:
        """As in `Shown`."""
        self.tally = self.tally or begun(event)
        lines = [begins(event), *spans_so_far(event), *remark_on(event, self.tally).splitlines()]
        for line in filter(None, lines):
            self._print(line)
        if self.tally is None:
            return
        self.tally.add(event)
        if self.tally.to_do and time.monotonic() - self.last >= SECONDS_BETWEEN_LINES:
            self.last = time.monotonic()
            self._print("  ".join([self.tally.line, self.tally.under_way]).rstrip())

    def close(self) -> None:
        """As in `Shown`."""

    def _print(self, text: str) -> None:
        kind = "memspan" if self.tally is None else "span" if isinstance(self.tally, SearchTally) else "study"
        say(f"{kind}: {text}")


class Bars:
    """A bar for the study and one for each length, with the share that solved it."""

    def __init__(self) -> None:
        self.tally: Tally | SearchTally | None = None
        self.lock = threading.Lock()  # Live draws in a separate thread
        self.live = Live(console=PlainConsole(stderr=True), get_renderable=self._draw, refresh_per_second=4)

    def __call__(self, event: Event) -> None:
        """As in `Shown`."""
        if line := begins(event):
            self.live.console.print(Text(line))
        if self.tally is None and (tally := begun(event)):
            with self.lock:
                self.tally = tally
            if tally.to_do:
                self.live.start()
        if remark := remark_on(event, self.tally):
            self.live.console.print(Text(remark))
        if self.tally is not None:
            with self.lock:
                self.tally.add(event)

    def close(self) -> None:
        """As in `Shown`."""
        self.live.stop()

    def _draw(self) -> RenderableType:
        with self.lock:
            if self.tally is None:
                return ""
            table = _spans(self.tally) if isinstance(self.tally, SearchTally) else self._lengths(self.tally)
            whole = Table.grid(padding=(0, 1))
            whole.add_row(ProgressBar(total=1.0, completed=self.tally.share, width=24), Text(self.tally.line))
            running = Text(self.tally.under_way, style="dim", no_wrap=True, overflow="ellipsis")
            return Group(table, whole, running)

    def _lengths(self, tally: Tally) -> Table:
        lengths = [n for n in tally.totals if tally.counts[n].total() < tally.totals[n]] or list(tally.totals)
        lengths = list(tally.totals) if len(tally.totals) <= MOST_LENGTHS else lengths[-MOST_LENGTHS:]
        states = [outcome for outcome in ("diverged", "failed") if tally.all[outcome]]
        table = Table(box=None, pad_edge=False)
        for heading in ("length", "", "done", "solved", *states):
            table.add_column(heading, justify="left" if not heading else "right", min_width=8 if heading else 24)
        for length in lengths:
            counts, total = tally.counts[length], tally.totals[length]
            ran = counts.total() - counts["failed"] - counts["elsewhere"]
            share = f"{counts['solved'] / ran:.0%}" if ran else "–"
            bar = ProgressBar(total=total, completed=counts.total(), width=24)
            table.add_row(str(length), bar, f"{counts.total()}/{total}", share, *(str(counts[s]) for s in states))
        return table


class Notebook:
    """A line below the notebook cell, which is updated in place."""

    def __init__(self) -> None:
        self.tally: Tally | SearchTally | None = None
        self.last = 0.0
        self.remarks: list[str] = []
        self.handle: Any = None

    def __call__(self, event: Event) -> None:
        """As in `Shown`."""
        self.tally = self.tally or begun(event)
        if line := begins(event):
            self.remarks.append(line)
        if remark := remark_on(event, self.tally):
            self.remarks.append(remark)
        if self.tally is None:
            if self.remarks:
                self._display("\n".join(self.remarks))
            return
        self.tally.add(event)
        if time.monotonic() - self.last >= SECONDS_BETWEEN_DISPLAYS or isinstance(event, Ended):
            self.last = time.monotonic()
            self._display("\n".join([*self.remarks[-5:], self.tally.line, self.tally.under_way]).rstrip())

    def close(self) -> None:
        """As in `Shown`."""

    def _display(self, text: str) -> None:
        data = {"text/plain": text}
        if self.handle is None:
            self.handle = ipython_shell().display.display(data, raw=True, display_id=True)
        else:
            self.handle.update(data, raw=True)


class Json:
    """A line of JSON on standard output for each event, for other programs.

    Each object has `event`, and `seconds` since the beginning. The other fields depend on the event: `timing` of
    engines, before anything is trained (`cells`: those with models of another library), `planned` (`name`,
    `trials` to run, `done`, `copied` by source, `processes`, `at_most_seconds`, `bytes`), `engines` of models of
    another library (`engines`: `label`, `name`, and `reason`, why others cannot be used), `advanced` (`trials`
    with their `updates`), `finished` (`trials` with outcome, accuracy and so on), `elsewhere`
    (`trials`), `worker-lost` (`trials`, `reason`), `waiting` for the store (`reason`, `at_most_seconds`),
    `stopping`, `ended` (`complete`, `reason`, `spans`). A search has `searching` instead of `planned`, once a
    round: `round`, `trials` to run, and `searches`, with the `name` of each, its `span`, `low` and `high` so far,
    and the list of its `next` lengths, which is empty once it has ended. The `spans` are those that a complete run
    has found, of each search or of a study with one configuration: `name`, `span`, `low`, `high`, `level`,
    `share`, and `ended`, which says why a search ended. NaN, infinite and unknown numbers become null.
    """

    def __init__(self) -> None:
        self.started = time.monotonic()

    def __call__(self, event: Event) -> None:
        """As in `Shown`."""
        name = "worker-lost" if isinstance(event, WorkerLost) else type(event).__name__.lower()
        line = {"event": name, "seconds": round(time.monotonic() - self.started, 3), **contents(event)}
        print(json.dumps(line, allow_nan=False), flush=True)

    def close(self) -> None:
        """As in `Shown`."""


def begun(event: Event) -> Tally | SearchTally | None:
    """Return the tally of a study or search that begins with this event."""
    if isinstance(event, Planned):
        return Tally(event)
    return SearchTally(event) if isinstance(event, Searching) else None


def begins(event: Event) -> str:
    """Return the line with which a study or a round of a search begins, and an empty text for other events."""
    if isinstance(event, Searching):
        return _round_begins(event)
    if not isinstance(event, Planned):
        return ""
    done = sum(sum(counts.values()) for counts in event.done.values())
    copied = f"{_trials(sum(event.copied.values()))} copied from {', '.join(map(plain, event.copied))}"
    if not event.plan.groups:
        done_so = f"{copied}, nothing to train" if event.copied else "nothing to do"
        return f"{plain(event.name)}: {done_so}, all {done:,} trials are in the store"
    more = f"{done:,} more in the store" + (f", {copied}" if event.copied else "")
    return f"{plain(event.name)}: {event.plan.sentence}" + (f" ({more})" if done else "")


def _trials(count: int) -> str:
    return f"{count:,} trial" + "s" * (count != 1)


def _round_begins(event: Searching) -> str:
    tally = SearchTally(event)
    trained = sum(path.trainings for path in event.paths)
    if not event.keys:
        return f"{_named_searches(event)}: nothing to do, all {trained:,} trainings are in the store"
    head = f"{_named_searches(event)}, round {tally.round}: {len(event.keys)} trainings"
    if len(event.paths) > 1:
        going = sum(not path.ended for path in event.paths)
        return f"{head}; {going} of {len(event.paths)} spans are not yet precise enough"
    span, lengths = tally.state_of(0)
    return f"{head} at T={lengths}" + (f"; so far {event.paths[0].estimate}" if span != "–" else "")


def spans_so_far(event: Event) -> list[str]:
    """Return a line for some of several searches that go on: the estimate and the next lengths."""
    if not isinstance(event, Searching) or len(event.paths) == 1 or not any(path.rounds for path in event.paths):
        return []
    tally = SearchTally(event)
    going = [place for place, path in enumerate(event.paths) if not path.ended]
    states = [(event.names[place], *tally.state_of(place)) for place in going[:MOST_SPANS]]
    lines = [f"{plain(name)}: {span}, next T={lengths}" for name, span, lengths in states]
    return [*lines, f"and {len(going) - MOST_SPANS} more searches"] if len(going) > MOST_SPANS else lines


def _named_searches(event: Searching) -> str:
    return plain(event.names[0]) if len(event.names) == 1 else f"{len(event.names)} searches"


def _spans(tally: SearchTally) -> Table:
    """The estimates so far, one row for each search that goes on."""
    table = Table(box=None, pad_edge=False)
    going = [place for place, path in enumerate(tally.paths) if not path.ended] or list(range(len(tally.paths)))
    several = len(tally.paths) > 1
    for heading in [*(["search"] if several else []), "span so far", "next lengths"]:
        table.add_column(heading, min_width=24)
    for place in going[:MOST_LENGTHS]:
        label = [tally.searches[place].describe()] if several else []
        table.add_row(*map(Text, [*label, *tally.state_of(place)]))
    return table


def remark_on(event: Event, tally: Tally | SearchTally | None = None) -> str:
    """Return a line about an unusual event, and an empty text for all others.

    The tally knows the names of several configurations or searches.
    """
    if isinstance(event, WorkerLost):
        number, again = ("a trial", "it is") if len(event.keys) == 1 else (f"{len(event.keys)} trials", "each is")
        lost = f"a worker was killed while it ran {number} of {_place(event.keys[0], tally)}"
        return f"{lost}; {again} run again alone. Reason: {plain(event.reason)}"
    if isinstance(event, Timing):
        return f"timing the engines for {plain(', '.join(event.cells))}; nothing is trained yet"
    if isinstance(event, Engines):
        lines = ((f"{one.label}: {one.name}", one.reason) for one in event.lines)
        return "\n".join(plain("; ".join(filter(None, parts))) for parts in lines)
    if isinstance(event, Waiting):
        return f"waiting for the store, at most {duration(event.seconds)}: {plain(event.reason)}"
    if isinstance(event, Stopping):
        return "stopping: all finished trials are kept. Interrupt again to stop at once."
    if isinstance(event, Finished):
        failed = [trial for trial in event.trials if trial.outcome is Outcome.FAILED]
        return "\n".join(f"{_which(one.key, tally)} failed: {plain(one.reason)}" for one in failed)
    return ""


def _which(key: Key, tally: Tally | SearchTally | None) -> str:
    return f"{_place(key, tally)}, repetition {key.repetition}"


def _place(key: Key, tally: Tally | SearchTally | None) -> str:
    """The configuration, if there are several, and the length of a trial."""
    label = "" if tally is None else tally.label(key.configuration)
    return f"{plain(label)}, T={key.length}" if label else f"T={key.length}"
