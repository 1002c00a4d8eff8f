import inspect

import pytest

import memspan


def test_the_public_names_are_those_of_the_engine_at_least():
    assert set(memspan.__all__) >= {"CELLS", "MSELoss", "Network", "RNN", "Recall", "generate_samples", "lstm"}


@pytest.mark.parametrize("name", memspan.__all__)
def test_public_name_can_be_imported(name):
    assert getattr(memspan, name) is not None


@pytest.mark.parametrize("name", [name for name in memspan.__all__ if callable(getattr(memspan, name))])
def test_public_class_or_function_has_a_docstring_of_its_own(name):
    public = getattr(memspan, name)
    document = inspect.cleandoc(public.__doc__ or "")
    assert document
    # A dataclass or named tuple without one is given its signature instead.
    assert not document.startswith(f"{public.__name__}(")


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no_such_name"):
        memspan.no_such_name  # noqa: B018
