"""The trials of a study as a table for other programs: CSV, JSON or Parquet."""

import csv
import io
import itertools
import json
import math
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, Any

from memspan.errors import InvalidArgument, one_of
from memspan.runtime.files import replaced
from memspan.store.entry import Entry
from memspan.store.schema import PLAIN
from memspan.study.choices import RENAMED
from memspan.study.trial import Flow, Trial

FORMATS = ("csv", "json", "parquet")
ROWS_AT_ONCE = 10_000
FORMULA = ("=", "+", "-", "@")
"""How a text begins that a spreadsheet would compute, behind whatever it does not show."""


def export(entry: Entry, path: str | Path, form: str | None = None, *, curves: bool = False) -> int:
    """Write the trials of a study to a file, which comes to be when it is whole.

    A row is a trial: its study, the number and the fields of its configuration, its length and repetition, and
    what it showed. CSV marks a text that a spreadsheet would take for a formula with an apostrophe before it; what
    is not a number is empty there, and null in JSON and Parquet.

    Parameters
    ----------
    entry : Entry
    path : path
        A new file.
    form : str, optional
        `csv`, `json` or `parquet`; by default what the path ends with.
    curves : bool
        Whether to write loss curves and gradients too; not to CSV.

    Returns
    -------
    int
        How many trials.

    Raises
    ------
    InvalidArgument
        When the file is there already.
    """
    path = Path(path)
    form = one_of("format", form if form is not None else path.suffix.removeprefix(".").lower(), FORMATS)
    if path.exists():
        raise InvalidArgument("output", "a new file", repr(str(path)))
    if not path.parent.is_dir():
        raise InvalidArgument("output", "in a folder that is there", repr(str(path)))
    if curves and form == "csv":
        raise InvalidArgument("curves", "left out for CSV, whose cells hold single numbers", repr(curves))
    writers: dict[str, Callable[[IO[bytes], Entry, bool], int]] = {
        "csv": _write_csv,
        "json": _write_json,
        "parquet": _write_parquet,
    }
    with replaced(path) as file:
        return writers[form](file, entry, curves)


def rows(entry: Entry, *, curves: bool = False) -> Iterator[dict[str, Any]]:
    """A flat dictionary for each trial."""
    study = entry.study
    fields = [{name: chosen[0] for name, chosen in one.values().items()} for one in study.configurations]
    names = list(dict.fromkeys(name for values in fields for name in values))
    large = {
        name for values in fields for name, value in values.items() if isinstance(value, int) and value >= 1 << 63
    }
    for values in fields:  # a seed may have any number of digits, and other programs' whole numbers have 64 bits
        values |= {name: str(values[name]) for name in large & values.keys()}
    renamed = old_columns(name.replace(".", "_") for name in names)
    for trial in entry.trials(curves_too=curves):
        values = fields[trial.configuration]
        row = {"study": entry.name, "configuration": trial.configuration + 1}
        row |= {name.replace(".", "_"): values.get(name) for name in names}
        row |= {"length": trial.length, "repetition": trial.repetition} | _shown(trial, curves)
        yield row | {old: row[new] for old, new in renamed.items()}


def old_columns(columns: Iterable[str]) -> dict[str, str]:
    """Of columns that memspan 0.1 named otherwise: the new name by the old one."""
    there, begin = list(columns), "task_parameters_"
    found = {old: new for old, new in RENAMED.items() if new in there}
    of_task = [name for name in there if name.startswith(begin)]
    return found | {f"parameters_{name.removeprefix(begin)}": name for name in of_task}


def _shown(trial: Trial, curves: bool) -> dict[str, Any]:
    found: dict[str, Any] = {"outcome": trial.outcome, "accuracy": trial.accuracy, "loss": trial.loss}
    found |= {"updates_done" if name == "updates" else name: getattr(trial, name) for name in PLAIN}
    found |= {name: getattr(trial, name) for name in ("accuracies", "losses")}
    if curves:
        found |= {"curve": trial.curve, "curve_every": trial.curve_every}
        for moment, flow in (("start", trial.start), ("end", trial.end)):
            found |= {f"{moment}_{name}": getattr(flow, name, []) for name in Flow.model_fields}
    return found


def _write_csv(file: IO[bytes], entry: Entry, curves: bool) -> int:
    text = io.TextIOWrapper(file, "utf-8", newline="")
    writer, count = csv.writer(text), 0
    for row in rows(entry):
        if not count:
            writer.writerow(row)
        writer.writerow([_cell(value) for value in row.values()])
        count += 1
    text.flush()
    text.detach()
    return count


def _cell(value: Any) -> Any:
    if isinstance(value, list):
        return json.dumps([_number(part) for part in value])
    if isinstance(value, str) and _is_formula(value):
        return "'" + value
    return _number(value)


def _is_formula(text: str) -> bool:
    """Whether a spreadsheet may compute it: spaces, control characters and wide signs do not keep it from that."""
    shown = itertools.dropwhile(lambda letter: unicodedata.category(letter)[0] in "ZC", text)
    return unicodedata.normalize("NFKC", next(shown, "")).startswith(FORMULA) or text.startswith(("\t", "\r"))


def _write_json(file: IO[bytes], entry: Entry, curves: bool) -> int:
    head = {"study": entry.name, "specification": entry.study.model_dump(mode="json", exclude={"name"})}
    file.write(json.dumps(head)[:-1].encode() + b', "trials": [')
    count = 0
    for row in rows(entry, curves=curves):
        plain = {name: _plain(value) for name, value in row.items() if name != "study"}
        file.write((b",\n" if count else b"\n") + json.dumps(plain, allow_nan=False).encode())
        count += 1
    file.write(b"\n]}\n")
    return count


def _write_parquet(file: IO[bytes], entry: Entry, curves: bool) -> int:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ModuleNotFoundError:
        rule = "csv or json, unless PyArrow is installed: pip install 'memspan[parquet]'"
        raise InvalidArgument("format", rule, "'parquet'") from None
    writer: Any = None
    count, block = 0, list[dict[str, Any]]()

    def write() -> None:
        nonlocal writer
        table = pa.Table.from_pylist(block, schema=writer.schema if writer else _schema(pa, block[0]))
        writer = writer or pq.ParquetWriter(file, table.schema)
        writer.write_table(table)
        block.clear()

    for row in rows(entry, curves=curves):
        block.append({name: _plain(value) for name, value in row.items()})
        count += 1
        if len(block) == ROWS_AT_ONCE:
            write()
    if block:
        write()
    if writer is None:
        pq.write_table(pa.table({}), file)
    else:
        writer.close()
    return count


def _schema(pa: Any, row: dict[str, Any]) -> Any:
    """Columns by what they hold; one that is empty in the first row may hold numbers or a text later."""
    kinds = {
        bool: pa.bool_(),
        int: pa.int64(),
        float: pa.float64(),
        str: pa.string(),
        list: pa.list_(pa.float64()),
    }
    numbers = {"accuracy", "loss", "gain", "recurrent_gain", "learning_rate", "clip", "threshold"}
    numbers |= {"seconds", "cpu_seconds"}

    def kind(name: str, value: Any) -> Any:
        if name in numbers or name.startswith(("parameters_", "task_parameters_")):
            return pa.float64()
        return kinds.get(type(value), pa.string())

    return pa.schema([(name, kind(name, value)) for name, value in row.items()])


def _plain(value: Any) -> Any:
    return [_number(part) for part in value] if isinstance(value, list) else _number(value)


def _number(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
