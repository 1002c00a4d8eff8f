import math
import pickle
from fractions import Fraction
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from pydantic import BaseModel, ConfigDict, ValidationError

from memspan import InvalidArgument, MemspanError, NotReady, UnreadableFile
from memspan.errors import (
    MOST,
    MOST_SEED,
    MachineFailed,
    a_path,
    did_you_mean,
    generator,
    invalid,
    one_of,
    plain_array,
    real_number,
    shown,
    truth,
    whole_number,
    whole_seed,
)


def test_one_except_clause_catches_them_all_and_the_usual_ones_still_do():
    assert issubclass(InvalidArgument, MemspanError)
    assert issubclass(InvalidArgument, ValueError)
    assert issubclass(NotReady, MemspanError)
    assert issubclass(NotReady, RuntimeError)
    assert issubclass(UnreadableFile, MemspanError)
    assert issubclass(MachineFailed, MemspanError)


def test_invalid_argument_names_argument_rule_and_value():
    error = InvalidArgument("size", "small", "huge")
    assert str(error) == "size must be small, got huge"
    assert error.name == "size"
    error = InvalidArgument("size", "small", "huge", "; did you mean 'large'?")
    assert str(error) == "size must be small, got huge; did you mean 'large'?"


@pytest.mark.parametrize("hint", ["", "; did you mean 'large'?"])
def test_invalid_argument_crosses_a_process_boundary(hint):
    error = pickle.loads(pickle.dumps(InvalidArgument("size", "small", "huge", hint)))
    assert str(error) == f"size must be small, got huge{hint}"
    assert error.name == "size"


@pytest.mark.parametrize("value", [1, 7, np.int32(7), np.uint8(7), MOST])
def test_whole_number_returns_a_plain_int(value):
    number = whole_number("n", value)
    assert type(number) is int
    assert number == value


@pytest.mark.parametrize("value", [0, -1, 1.5, 1.0, True, np.True_, "1", None, np.float64(2), math.nan, [1]])
def test_whole_number_refuses(value):
    with pytest.raises(InvalidArgument) as caught:
        whole_number("n", value)
    assert str(caught.value) == f"n must be a whole number of at least 1, got {value!r}"


def test_whole_number_takes_its_lower_bound_and_nothing_below():
    assert whole_number("n", -2, least=-2) == -2
    with pytest.raises(InvalidArgument, match="n must be a whole number of at least 5, got 4"):
        whole_number("n", 4, least=5)


@pytest.mark.parametrize("value", [0, -1.5, np.float32(0.25), np.int64(3), Fraction(1, 4), 1e300])
def test_real_number_returns_a_plain_float(value):
    number = real_number("v", value)
    assert type(number) is float
    assert number == value


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, True, "1", None, 1j, [1.0], np.float32("nan")])
def test_real_number_refuses(value):
    with pytest.raises(InvalidArgument) as caught:
        real_number("v", value)
    assert str(caught.value) == f"v must be a finite number, got {value!r}"


@pytest.mark.parametrize("value", [10**400, np.complex128(1 + 1j), b"1", np.True_])
def test_real_number_refuses_what_float_would_take_or_choke_on(value):
    with pytest.raises(InvalidArgument, match="v must be a finite number, got "):
        real_number("v", value)


@pytest.mark.parametrize(
    ("value", "bounds", "rule"),
    [
        (0, {"above": 0}, "a finite number above 0"),
        (1, {"below": 1}, "a finite number below 1"),
        (-0.5, {"least": 0}, "a finite number of at least 0"),
        (1.5, {"above": 0, "below": 1}, "a finite number above 0 and below 1"),
        (math.nan, {"least": 0, "below": 1}, "a finite number of at least 0 and below 1"),
    ],
)
def test_real_number_states_the_bound_that_was_broken(value, bounds, rule):
    with pytest.raises(InvalidArgument) as caught:
        real_number("v", value, **bounds)
    assert str(caught.value) == f"v must be {rule}, got {value!r}"


def test_real_number_admits_the_closed_bound_only():
    assert real_number("v", 0, least=0) == 0
    assert real_number("v", 5e-324, above=0) == 5e-324


def test_one_of_lists_the_choices():
    assert one_of("colour", "red", {"red": 1, "blue": 2}) == "red"
    with pytest.raises(InvalidArgument) as caught:
        one_of("colour", "green", {"red": 1, "blue": 2})
    assert str(caught.value) == "colour must be one of red, blue, got 'green'"


@pytest.mark.parametrize("typed", ["gren", "GREEN", "greenish"])
def test_one_of_suggests_the_choice_that_was_meant(typed):
    with pytest.raises(InvalidArgument) as caught:
        one_of("colour", typed, ["red", "green"])
    assert str(caught.value) == f"colour must be one of red, green, got {typed!r}; did you mean 'green'?"


@pytest.mark.parametrize(
    ("name", "known", "expected"),
    [
        ("lenghts", ["length", "lengths", "hidden"], "; did you mean 'lengths'?"),
        ("purple", ["red", "green"], ""),
        ("red", [], ""),
        (None, ["red"], ""),
        (3, ["red"], ""),
    ],
)
def test_only_what_is_like_it_is_suggested(name, known, expected):
    assert did_you_mean(name, known) == expected


class Paint(BaseModel):
    model_config = ConfigDict(extra="forbid")

    colour: Literal["red", "green"] = "red"
    layers: tuple[int, ...] = ()
    thickness: dict[str, float] = {}
    maker: str = ""


@pytest.mark.parametrize(
    ("values", "message", "place"),
    [
        ({"colour": "gren"}, "colour must be one of red, green, got 'gren'; did you mean 'green'?", "colour"),
        ({"colour": "purple"}, "colour must be one of red, green, got 'purple'", "colour"),
        ({"layers": [1, "x"]}, "layers takes integers, got 'x'.", "layers"),
        ({"thickness": {"dry": "x"}}, "thickness.dry takes numbers, got 'x'.", "thickness.dry"),
        (
            {"layer": 3},
            "Unknown field 'layer'. Did you mean 'layers'?",
            "layer",
        ),
        ({"maker": 3}, "maker takes text, got 3.", "maker"),
        (7, "the input takes a table of names and values, got 7.", "the input"),
    ],
)
def test_what_pydantic_complains_of_becomes_a_line_with_place_rule_and_value(values, message, place):
    with pytest.raises(ValidationError) as caught:
        Paint.model_validate(values)
    error = invalid(caught.value, known=Paint.model_fields)
    assert str(error).startswith(message)
    assert error.name == place
    assert "\n" not in str(error)
    assert "did you mean" not in str(invalid(caught.value)) or place == "colour"


@pytest.mark.parametrize("value", [MOST + 1, 10**30, 10**5000], ids=["one more", "large", "huge"])
def test_no_size_is_larger_than_a_store_can_keep(value):
    with pytest.raises(InvalidArgument, match=r"^n must be at most 2,147,483,647, got [\w ,]+$"):
        whole_number("n", value)


def test_seeds_have_128_bits():
    assert whole_seed("seed", MOST_SEED) == MOST_SEED
    for value in (MOST_SEED + 1, 10**5000):
        for check in (whole_seed, lambda name, seed: generator(name, seed, "weights")):
            with pytest.raises(InvalidArgument, match=r"^seed must be at most 2\*\*128 - 1, got "):
                check("seed", value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3, "3"),
        ("x", "'x'"),
        (10**30, "1" + "0" * 30),
        (10**400, "an integer of about 401 digits"),
        (-(10**5000), "an integer of about 5,001 digits"),
        ([10**5000], "[an integer of about 5,001 digits]"),
        ({"a": 10**5000}, "{'a': an integer of about 5,001 digits}"),
        (np.zeros((1000, 1000)), "an array of shape (1000, 1000), float64"),
        (np.zeros(2), "array([0., 0.])"),
    ],
    ids=range(9),
)
def test_a_value_is_shown_in_a_bounded_text(value, text):
    assert shown(value) == text


def test_no_value_makes_a_message_long_or_fail():
    class Fails:
        def __repr__(self):
            raise RuntimeError("no text")

    deep = []
    for _ in range(10_000):
        deep = [deep]
    for value in (Fails(), {"x" * 10**7}, list(range(10**6)), deep, {k: k for k in range(10**5)}, b"x" * 10**6):
        assert len(shown(value)) < 250
        assert len(str(InvalidArgument("n", "small", value))) < 300
    assert len(str(InvalidArgument("n", "small", "x" * 10**7))) < 1100


@pytest.mark.parametrize("value", [0, 1, "yes", None, []])
def test_truth_takes_nothing_but_true_and_false(value):
    assert (truth("flag", True), truth("flag", np.False_)) == (True, False)
    with pytest.raises(InvalidArgument, match=r"^flag must be True or False, got "):
        truth("flag", value)


MASKED = np.ma.array([1.0, 2.0], mask=[True, False])


@pytest.mark.parametrize(
    "value", [MASKED, [MASKED], ([1.0, 2.0], MASKED), [[MASKED]]], ids=["array", "list", "tuple", "deep"]
)
def test_a_masked_array_is_found_wherever_it_is(value):
    with pytest.raises(
        InvalidArgument, match=r"x must be an array without a mask, got a numpy\.ma\.MaskedArray; pass"
    ):
        plain_array("x", value)


def test_other_arrays_are_taken_as_they_are():
    x = np.ones((2, 3))
    assert plain_array("x", x) is x
    assert plain_array("x", [[1, 2], [3, 4]]).shape == (2, 2)
    with pytest.raises(InvalidArgument, match="x must be a rectangular array, got list"):
        plain_array("x", [[1.0], [1.0, 2.0]])


@pytest.mark.parametrize("value", [None, 3, b"file", ["file"]])
def test_a_path_is_a_text_or_a_path(value):
    with pytest.raises(InvalidArgument, match="path must be the path of a file, as a string or a Path, got "):
        a_path("path", value)
    assert a_path("path", "file") == a_path("path", Path("file")) == Path("file")


@pytest.mark.parametrize("value", [True, np.False_, -1, 1.0, "0", [1, 2], np.random.RandomState(0)], ids=range(7))
def test_a_seed_is_a_whole_number(value):
    with pytest.raises(
        InvalidArgument, match="rng must be a Generator, a SeedSequence or a whole number of at least 0"
    ):
        generator("rng", value, "weights")


def test_each_purpose_has_a_stream_of_its_own():
    drawn = [generator("rng", 3, purpose).random(50) for purpose in ("weights", "sequences")]
    drawn += [np.random.default_rng(3).random(50)]
    assert len(np.unique(drawn)) == 150
    for one in (3, np.int64(3)):
        np.testing.assert_array_equal(generator("rng", one, "weights").random(50), drawn[0])
    source = np.random.default_rng(3)
    assert generator("rng", source, "weights") is source


def test_no_address_in_memory_is_shown():
    class Plain:
        pass

    name = "test_no_address_in_memory_is_shown.<locals>.Plain object"
    assert shown([Plain()]) == f"[<{__name__}.{name}>]"
    assert shown(lambda: 1) == "<function <lambda>>"
    assert shown(test_no_address_in_memory_is_shown) == "<function test_no_address_in_memory_is_shown>"
    assert shown("it is at 0x10") == "'it is at 0x10'"
