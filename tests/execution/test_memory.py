import pytest
from memory_estimate import CONFIGURATIONS, measured

from memspan import Configuration
from memspan.execution import memory
from memspan.execution.memory import TooLarge, available, bytes_of
from memspan.runtime.memory import amount

SHORT = ("large evaluation", "copying", "small gru, float64", "many short networks")
"""The configurations that take a few seconds."""


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[] if name in SHORT else pytest.mark.faults)
        for name in CONFIGURATIONS
        if name != "small rnn"  # its arrays are too small to measure
    ],
)
def test_the_estimate_is_within_a_fifth_of_what_is_taken(name):
    base, estimate, peak = measured(*CONFIGURATIONS[name])
    assert estimate == pytest.approx(peak, rel=0.2)
    assert peak > 1.5 * base  # else the arrays are too small to measure


def test_more_of_anything_takes_more():
    configuration = Configuration(cell="lstm")
    least = bytes_of(configuration, 50, 2)
    assert bytes_of(configuration, 500, 2) > least
    assert bytes_of(configuration, 50, 20) > least
    for more in ({"hidden": 256}, {"batch": 2000}, {"evaluation_samples": 20000}, {"dtype": "float64"}):
        assert bytes_of(configuration.with_(**more), 50, 2) > least


def test_scores_at_longer_lengths_take_their_memory():
    configuration = Configuration(evaluation_samples=2000)
    least = bytes_of(configuration, 50, 2)
    assert bytes_of(configuration, 50, 2, (3,)) == least  # training takes more than that
    assert bytes_of(configuration, 50, 2, (3, 5000)) == bytes_of(configuration, 50, 2, (5000,)) > 2 * least
    with pytest.raises(TooLarge, match=r"^A pass at T=2000000000, batch 2000, hidden 32 needs buffers of "):
        bytes_of(configuration, 50, 2, (2 * 10**9,))


def test_what_can_be_had_is_a_share_of_what_is_free(monkeypatch, tmp_path):
    monkeypatch.setattr(memory.psutil, "virtual_memory", lambda: type("Memory", (), {"available": 10_000})())
    monkeypatch.setattr(memory, "Path", lambda path: tmp_path)
    assert available() == 8_000
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "memory.current").write_text("100\n")
    assert available() == 8_000
    (tmp_path / "memory.max").write_text("5000\n")
    (tmp_path / "memory.current").write_text("1000\n")
    assert available() == 3_200
    (tmp_path / "memory.current").write_text("9000\n")
    assert available() == 0


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 bytes"), (1023, "1,023 bytes"), (1536, "1.5 KiB"), (2**28, "256 MiB"), (2**50, "1 PiB")],
)
def test_amounts(size, text):
    assert amount(size) == text
