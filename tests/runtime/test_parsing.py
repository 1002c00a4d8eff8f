import pytest

from memspan.runtime import parsing
from memspan.runtime.parsing import parsed_json, parsed_object


def test_json_is_read():
    assert parsed_json("[1, 2]") == [1, 2]
    assert parsed_object('{"a": [1]}') == {"a": [1]}


@pytest.mark.parametrize("text", ["", "{", "[" * 200_000, '{"a":' * 200_000, "1" * 5000])
def test_whatever_it_is_not_is_one_error(text):
    with pytest.raises(ValueError, match=r"."):
        parsed_json(text)


def test_only_an_object_is_one():
    with pytest.raises(ValueError, match="its JSON is not an object"):
        parsed_object("[1]")


def test_a_long_text_is_not_even_looked_at(monkeypatch):
    monkeypatch.setattr(parsing, "LARGEST", 10)
    with pytest.raises(ValueError, match=r"its JSON is too long \(11 characters\)"):
        parsed_json("[" * 11)
