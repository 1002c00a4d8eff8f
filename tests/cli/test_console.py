"""What users name is printed as it is."""

import pytest
from rich.table import Table

from memspan.cli.console import new_console
from memspan.runtime.tables import TextTable

NAMES = ("mypkg.zoo:two", "mypkg.em:star:", "[bold]x", "[/]", "\\[bold]x")


@pytest.mark.parametrize("name", NAMES)
def test_names_are_no_markup_and_no_emoji(capsys, name):
    for kind in (Table, TextTable):
        table = kind(title=f"title {name} ", caption=f"caption {name} ", width=60)
        table.add_column(f"heading {name} ")
        table.add_row(f"row {name} ")
        new_console().print(table, f"sentence {name} ")
        texts = [capsys.readouterr().out, *([f"{table} sentence {name} "] if kind is TextTable else [])]
        for text in texts:
            for place in ("title", "caption", "heading", "row", "sentence"):
                assert f"{place} {name} " in text


def test_a_study_may_be_named_like_markup(memspan_):
    quick = "--lengths 3 --repetitions 1 --hidden 2 --updates 1 --evaluation-samples 10 --final-batches 1"
    code, _, err = memspan_(f"study run --name [bold]x:fire: {quick} --progress none --no-figures --workers 0")
    assert (code, err) == (0, "")
    for line in ("store ls", "study status [bold]x:fire:", "store show [bold]x:fire:"):
        assert "[bold]x:fire:" in memspan_(line)[1], line
