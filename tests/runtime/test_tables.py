from rich.text import Text

from memspan.runtime.tables import TextTable


def test_a_table_is_its_own_text_without_colours():
    table = TextTable("what", title="A title")
    table.add_row(Text("x", style="bold red"))
    assert str(table) == repr(table)
    assert "\x1b" not in str(table)
    for text in ("A title", "what", "│ x "):
        assert text in str(table)


def test_a_table_is_its_own_text_in_a_notebook_too(monkeypatch):
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    assert "what" in str(TextTable("what"))
