"""Tables as CSV text, whose cells no spreadsheet takes for formulas."""

import csv
import io
import itertools
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any

FORMULA = ("=", "+", "-", "@")
"""The first characters of texts that a spreadsheet takes for a formula."""


def csv_text(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Return a table as CSV, with a first line of column names."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(columns)
    writer.writerows([harmless(value) for value in row] for row in rows)
    return text.getvalue()


def harmless(value: Any) -> Any:
    """Put an apostrophe before a text that a spreadsheet would compute. Leave all other values as they are."""
    return f"'{value}" if isinstance(value, str) and _is_formula(value) else value


def _is_formula(text: str) -> bool:
    """Whether a spreadsheet may compute a text, even behind spaces or control characters, or in wide letters."""
    shown = itertools.dropwhile(lambda letter: unicodedata.category(letter)[0] in "ZC", text)
    return unicodedata.normalize("NFKC", next(shown, "")).startswith(FORMULA) or text.startswith(("\t", "\r"))
