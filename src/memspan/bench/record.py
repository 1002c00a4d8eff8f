"""The results of a benchmark: the time of every round, and the tables, the figure and the file made from them."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from memspan.bench.case import Case
from memspan.figures.bench import Bar, PassTimes, draw_pass_times
from memspan.figures.style import save as save_figure
from memspan.runtime.files import make_folder, write_text
from memspan.runtime.tables import TextTable
from memspan.shapes import Array

ROOFLINE, OURS = "roofline", "compiled"


class Quartiles(NamedTuple):
    """The median and both quartiles."""

    low: float
    median: float
    high: float

    @classmethod
    def of(cls, values: Array) -> "Quartiles":
        """Compute them from a sample."""
        return cls(*map(float, np.quantile(values, (0.25, 0.5, 0.75))))


@dataclass(frozen=True)
class Timing:
    """The timings of one way of one engine, on a number of cores.

    Attributes
    ----------
    case : Case
    cores : int
    engine, way : str
        If there is a choice, the way includes the number of processes.
    seconds : tuple of float
        The time of one model's pass in each round: processor time, or wall time with threads. On several cores it
        is 1 over the number of passes per second.
    """

    case: Case
    cores: int
    engine: str
    way: str
    seconds: tuple[float, ...]

    @property
    def quartiles(self) -> Quartiles:
        """The quartiles over all rounds."""
        return Quartiles.of(np.array(self.seconds))


@dataclass(frozen=True)
class Benchmark:
    """All timings of a run.

    Attributes
    ----------
    timings : tuple of Timing
    remarks : tuple of str
        The engines that are missing or failed, and why.
    wrong : tuple of str
        The engines that were not timed because their loss or gradient is wrong.
    machine : mapping of str to str
        The processor and the versions.
    """

    timings: tuple[Timing, ...]
    remarks: tuple[str, ...] = ()
    wrong: tuple[str, ...] = ()
    machine: Mapping[str, str] = field(default_factory=dict)

    @property
    def cores(self) -> list[int]:
        """The numbers of cores; each has a table."""
        return list(dict.fromkeys(timing.cores for timing in self.timings))

    @property
    def engines(self) -> list[str]:
        """The engines that were timed, without the roofline."""
        return list(dict.fromkeys(timing.engine for timing in self.timings if timing.engine != ROOFLINE))

    def cases(self, cores: int) -> list[Case]:
        """The cases that were timed on this number of cores."""
        return list(dict.fromkeys(timing.case for timing in self.timings if timing.cores == cores))

    def ways(self, case: Case, cores: int, engine: str) -> list[Timing]:
        """The timings of an engine."""
        wanted = case, cores, engine
        return [timing for timing in self.timings if (timing.case, timing.cores, timing.engine) == wanted]

    def seconds(self, case: Case, cores: int, engine: str) -> Array | None:
        """Each round's time per model: the fastest way of an engine, or both parts of the roofline together."""
        ways = self.ways(case, cores, engine)
        if not ways:
            return None
        if engine == ROOFLINE:
            return np.sum([way.seconds for way in ways], axis=0)
        return np.array(min(ways, key=lambda way: way.quartiles.median).seconds)

    def ratio(self, case: Case, cores: int, engine: str) -> Quartiles | None:
        """The ratio to the compiled engine's time, round by round; the inverse ratio for the roofline."""
        ours, theirs = self.seconds(case, cores, OURS), self.seconds(case, cores, engine)
        if ours is None or theirs is None:
            return None
        return Quartiles.of(ours / theirs if engine == ROOFLINE else theirs / ours)

    def table(self, cores: int) -> TextTable:
        """Return the table for `rich`, one row per engine, so that it fits in a terminal."""
        table = TextTable(title=self.title(cores), caption=self.caption, caption_justify="left")
        for column in ("cell", "T", "B", "H", "engine", "time" if cores == 1 else "rate", "against compiled"):
            table.add_column(column, justify="left" if column in ("cell", "engine") else "right")
        for case in self.cases(cores):
            table.add_section()
            begin = [case.cell, *map(str, case.size)]
            for engine in (*self.engines, ROOFLINE):
                if self.ways(case, cores, engine):
                    against = "" if engine == OURS else _against(self.ratio(case, cores, engine), engine)
                    table.add_row(*begin, engine, _time(self.seconds(case, cores, engine), cores), against)
                    begin = [""] * len(begin)
        return table

    def markdown(self) -> str:
        """Return all tables and notes as text."""
        lines = [self.caption, ""]
        for cores in self.cores:
            columns, rows = self.cells(cores)
            lines += [
                f"**{self.title(cores)}**",
                "",
                *map(_row, [columns]),
                "|---" + "|---:" * (len(columns) - 1) + "|",
            ]
            lines += [*map(_row, rows), ""]
        return "\n".join([*lines, *(f"- {line}" for line in (*self.remarks, *self.wrong))]).rstrip() + "\n"

    def cells(self, cores: int) -> tuple[list[str], list[list[str]]]:
        """Return headings and rows: the quartiles of each engine, and its ratio to the compiled one."""
        present = [engine for engine in (*self.engines, ROOFLINE) if any(t.engine == engine for t in self.timings)]
        compared = [engine for engine in present if engine != OURS and OURS in present]
        headings = [f"{OURS} / {ROOFLINE}" if engine == ROOFLINE else f"{engine} / {OURS}" for engine in compared]
        rows = []
        for case in self.cases(cores):
            times = [_time(self.seconds(case, cores, engine), cores) for engine in present]
            ratios = [_ratio(self.ratio(case, cores, engine)) for engine in compared]
            rows.append([case.cell, *map(str, case.size), *times, *ratios])
        return ["cell", "T", "B", "H", *present, *headings], rows

    def title(self, cores: int) -> str:
        """Return the title of a table."""
        if cores == 1:
            return "Forward, loss and backward, float32, on one core: milliseconds (quartiles)"
        return f"The same on {cores} cores: models x updates a second (quartiles)"

    @property
    def caption(self) -> str:
        """Return the processor and the versions as one line."""
        return ", ".join(f"{name} {value}".strip() for name, value in self.machine.items())

    def picture(self) -> PassTimes:
        """Return the record of the bar chart."""
        bars = []
        for cores in self.cores:
            for case in self.cases(cores):
                for engine in (*self.engines, ROOFLINE):
                    seconds = self.seconds(case, cores, engine)
                    if seconds is not None:
                        milliseconds = Quartiles.of(1e3 * seconds)
                        bars.append(Bar(cores, case.cell, "{}, {}, {}".format(*case.size), engine, *milliseconds))
        return PassTimes("Forward, loss and backward of one network, float32", tuple(bars))

    def to_json(self) -> str:
        """Return every round of every way, and the median of every ratio."""
        ratios = [
            {**asdict(case), "cores": cores, "engine": engine, **quartiles._asdict()}
            for cores in self.cores
            for case in self.cases(cores)
            for engine in (*self.engines, ROOFLINE)
            if engine != OURS and (quartiles := self.ratio(case, cores, engine)) is not None
        ]
        return json.dumps({**asdict(self), "ratios": ratios}, indent=1) + "\n"


def save(benchmark: Benchmark, folder: Path, name: str = "engine") -> list[Path]:
    """Write the record, the tables, and the figure with its data; return the paths to show."""
    make_folder(folder)
    write_text(folder / f"{name}.json", benchmark.to_json())
    write_text(folder / f"{name}.md", benchmark.markdown())
    save_figure(draw_pass_times, benchmark.picture(), folder, name)
    return [folder / f"{name}.{kind}" for kind in ("md", "json", "png")]


def _time(seconds: Array | None, cores: int) -> str:
    if seconds is None:
        return "-"
    shown = Quartiles.of(1e3 * seconds if cores == 1 else 1 / seconds)
    return (
        f"{shown.median:.3g} ({shown.low:.3g}-{shown.high:.3g})"
        if cores == 1
        else (f"{shown.median:.0f} ({shown.low:.0f}-{shown.high:.0f})")
    )


def _ratio(quartiles: Quartiles | None) -> str:
    return "-" if quartiles is None else f"{quartiles.median:.2f} ({quartiles.low:.2f}-{quartiles.high:.2f})"


def _against(quartiles: Quartiles | None, engine: str) -> str:
    """Return how many times slower an engine is, or the share of the roofline that is reached."""
    if quartiles is None:
        return ""
    if engine == ROOFLINE:
        return f"{100 / quartiles.median:.0f} % reached"
    low, median, high = quartiles
    return f"{median:.3g} ({low:.3g}-{high:.3g}) x"


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"
