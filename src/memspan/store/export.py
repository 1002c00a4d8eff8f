"""Export of the trials of a study for other programs, as CSV, JSON or Parquet."""

import csv
import io
import json
import math
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, Any

from memspan.errors import Conflict, InvalidArgument, one_of, shown
from memspan.runtime.csv_text import harmless
from memspan.runtime.files import replaced
from memspan.store.entry import Entry
from memspan.store.schema import PLAIN
from memspan.study.choices import RENAMED
from memspan.study.trial import Flow, Trial

FORMATS = ("csv", "json", "parquet")
ROWS_AT_ONCE = 10_000


def export(
    entry: Entry, path: str | Path, form: str | None = None, *, curves: bool = False, force: bool = False
) -> int:
    """Write the trials of a study to a file, one row each. The file appears when it is complete.

    A row has the study, the number and fields of the configuration, the length, the repetition and the results,
    with the scores at each length of `Study.test_lengths` as `accuracy_at_40` and `loss_at_40`. In CSV, an
    apostrophe precedes a text that a spreadsheet would take for a formula. NaN and infinity are empty in CSV, and
    null in JSON and Parquet.

    Parameters
    ----------
    entry : Entry
    path : path
        A file in an existing folder. It must be new unless `force` is True.
    form : str, optional
        `csv`, `json` or `parquet`; by default the ending of the path.
    curves : bool
        Whether to write loss curves and gradients too, which CSV cannot hold.
    force : bool
        Whether to replace an existing file. The old file stays until the new one is complete.

    Returns
    -------
    int
        The number of trials.

    Raises
    ------
    Conflict
        When the file exists and `force` is False, or when it is not a regular file.
    InvalidArgument
        When the format is unknown or cannot hold curves, or the folder does not exist.
    """
    path = Path(path)
    form = _format_of(path) if form is None else one_of("format", form, FORMATS)
    if path.exists() and not (force and path.is_file()):
        if path.is_file():
            raise Conflict(f"{path} exists. Choose another --output, or pass --force to replace it.")
        raise Conflict(f"{path} exists and is not a regular file. Choose another --output.")
    if not path.parent.is_dir():
        raise InvalidArgument("output", "in an existing folder", shown(str(path)))
    if curves and form == "csv":
        raise InvalidArgument("curves", "left out for CSV, whose cells hold single values", shown(curves))
    writers: dict[str, Callable[[IO[bytes], Entry, bool], int]] = {
        "csv": _write_csv,
        "json": _write_json,
        "parquet": _write_parquet,
    }
    with replaced(path, "output") as file:
        return writers[form](file, entry, curves)


def _format_of(path: Path) -> str:
    """Return the format that the ending of a path names."""
    ending = path.suffix.removeprefix(".").lower()
    if ending not in FORMATS:
        raise InvalidArgument("output", "a file that ends with .csv, .json or .parquet", shown(str(path)))
    return ending


def rows(entry: Entry, *, curves: bool = False) -> Iterator[dict[str, Any]]:
    """Yield a flat dictionary for each trial."""
    study = entry.study
    fields = [{name: chosen[0] for name, chosen in one.values().items()} for one in study.configurations]
    names = list(dict.fromkeys(name for values in fields for name in values))
    large = {
        name for values in fields for name, value in values.items() if isinstance(value, int) and value >= 1 << 63
    }
    for values in fields:  # seeds have up to 128 bits, and the integers of other programs 64
        values |= {name: str(values[name]) for name in large & values.keys()}
    renamed = old_columns(name.replace(".", "_") for name in names)
    for trial in entry.trials(curves_too=curves):
        values = fields[trial.configuration]
        row = {"study": entry.name, "configuration": trial.configuration + 1}
        row |= {name.replace(".", "_"): values.get(name) for name in names}
        row |= {"length": trial.length, "repetition": trial.repetition} | _results(trial, curves)
        row |= trial.scores_at(study.test_lengths)
        yield row | {old: row[new] for old, new in renamed.items()}


def old_columns(columns: Iterable[str]) -> dict[str, str]:
    """For each column that had another name in memspan 0.1, the new name by the old one."""
    present, begin = list(columns), "task_parameters_"
    found = {old: new for old, new in RENAMED.items() if new in present}
    of_task = [name for name in present if name.startswith(begin)]
    return found | {f"parameters_{name.removeprefix(begin)}": name for name in of_task}


def _results(trial: Trial, curves: bool) -> dict[str, Any]:
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
    return _number(harmless(value))


def _write_json(file: IO[bytes], entry: Entry, curves: bool) -> int:
    experiment = entry.search or entry.study
    head: dict[str, Any] = {"study": entry.name, "kind": experiment.what}
    head |= {"specification": experiment.model_dump(mode="json", exclude={"name"})}
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
        rule = "csv or json, because PyArrow is not installed (pip install 'memspan[parquet]')"
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
    """The Parquet schema, by name or by the values of the first row. A number in it may be empty."""
    kinds = {
        bool: pa.bool_(),
        int: pa.int64(),
        float: pa.float64(),
        str: pa.string(),
        list: pa.list_(pa.float64()),
    }
    numbers = {"accuracy", "loss", "gain", "recurrent_gain", "learning_rate", "clip", "truncate", "threshold"}
    numbers |= {"seconds", "cpu_seconds", "critical_gain"}
    begin = ("parameters_", "task_parameters_", "accuracy_at_", "loss_at_")

    def kind(name: str, value: Any) -> Any:
        if name in numbers or name.startswith(begin):
            return pa.float64()
        return kinds.get(type(value), pa.string())

    return pa.schema([(name, kind(name, value)) for name, value in row.items()])


def _plain(value: Any) -> Any:
    return [_number(part) for part in value] if isinstance(value, list) else _number(value)


def _number(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
