"""What docs/studies.md shows is so."""

import re
import sqlite3
import tomllib
from contextlib import closing
from pathlib import Path

from memspan import Store, Study

PAGE = (Path(__file__).parents[2] / "docs" / "studies.md").read_text("utf-8")


def test_the_file_is_a_study():
    (text,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    study = Study(**tomllib.loads(text))
    assert (study.name, len(study.configurations), len(study.keys)) == ("gates", 4, 4 * 3 * 20)


def test_tables_and_columns_are_those_of_a_store(tmp_path):
    with Store(tmp_path / "store.sqlite", create=True):
        pass
    with closing(sqlite3.connect(tmp_path / "store.sqlite")) as connection:
        tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        tables.remove("sqlite_sequence")  # SQLite's own
        told = {table: connection.execute(f"PRAGMA table_info({table})").fetchall() for table in tables}
    columns = {table: [row[1] for row in rows] for table, rows in told.items()}
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*)$", PAGE, re.MULTILINE))
    assert rows.keys() == columns.keys()
    for table in ("studies", "configurations", "trials"):
        for column in set(columns[table]) - {"id"}:
            assert f"`{column}`" in rows[table], f"{table}.{column}"
