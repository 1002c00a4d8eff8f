import inspect

import pytest

import memspan
from memspan.runtime.renamed import RenamedWarning


def test_the_public_names_are_those_of_the_engine_at_least():
    assert set(memspan.__all__) >= {"CELLS", "MSELoss", "Network", "RNN", "Recall", "generate_samples", "lstm"}


@pytest.mark.parametrize("name", memspan.__all__)
def test_public_name_can_be_imported_and_has_a_docstring_of_its_own(name):
    public = getattr(memspan, name)
    if not callable(public):  # the version and the dictionaries
        assert len(public) > 0
        return
    document = inspect.cleandoc(public.__doc__ or "")
    assert document
    # A dataclass or named tuple without one is given its signature instead.
    assert not document.startswith(f"{public.__name__}(")


def test_an_old_name_warns_and_is_the_new_one():
    with pytest.warns(RenamedWarning, match=r"memspan.Status is now memspan.Outcome; .* stops working"):
        from memspan import Status
    assert Status is memspan.Outcome
    assert "Status" not in memspan.__all__


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no_such_name"):
        memspan.no_such_name  # noqa: B018
