from rich.text import Text

from memspan.runtime.tables import TextTable


def test_a_table_is_its_own_text_without_colours():
    table = TextTable("what", title="A title")
    table.add_row(Text("x", style="bold red"))
    assert str(table) == repr(table)
    assert "\x1b" not in str(table)
    for text in ("A title", "what", "│ x "):
        assert text in str(table)
