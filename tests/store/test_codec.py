import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from memspan import UnreadableFile
from memspan.store.codec import pack, unpack
from memspan.study.trial import DIGITS, Trial, rounded

numbers = arrays.arrays(np.float64, st.integers(0, 20), elements=st.floats(allow_nan=True, allow_infinity=True))


@given(numbers, st.integers(1, 10**6))
def test_every_curve_comes_back(values, every):
    trial = Trial(length=3, repetition=0, outcome="solved", curve=values.tolist(), curve_every=every)
    found = unpack(pack(trial))
    np.testing.assert_array_equal(found["curve"], values)
    assert (found["curve_every"], found["start"], found["end"], found["flow_map"]) == (every, None, None, [])


def test_flows_and_maps_come_back(make_trial):
    trial = make_trial(5, 0)
    found = unpack(pack(trial))
    assert {name: getattr(trial, name) for name in found} == found
    assert found["start"].d_a == trial.start.d_a
    assert len(found["flow_map"]) == 4
    assert len(found["flow_spread"].q50) == len(found["flow_spread"].zero) == 4
    assert found["flow_spread"].underflow == []


def test_a_trial_without_a_spread_has_none(make_trial):
    """As in stores of older versions."""
    assert unpack(pack(make_trial(5, 0).model_copy(update={"flow_spread": None})))["flow_spread"] is None
    assert unpack(pack(make_trial(5, 1)))["flow_spread"] is None


def test_a_spread_that_would_make_a_blob_too_large_is_left_out(make_trial, monkeypatch):
    trial = make_trial(200, 0)
    monkeypatch.setattr("memspan.store.codec.LARGEST", 20_000)
    found = unpack(pack(trial))
    assert found["flow_spread"] is None
    assert (found["flow_map"], found["start"]) == (trial.flow_map, trial.start)


@given(numbers)
def test_six_digits_are_kept_and_half_of_the_bits(values):
    kept = np.array(rounded(values))
    finite = np.isfinite(values) & (np.abs(values) > 1e-300)
    np.testing.assert_allclose(kept[finite], values[finite], rtol=2.0 ** (1 - DIGITS))
    np.testing.assert_array_equal(kept[~np.isfinite(values)], values[~np.isfinite(values)])
    bits = kept[finite].view(np.uint64)
    assert not (bits & np.uint64(0xFFFFFFFF)).any()
    np.testing.assert_array_equal(rounded(kept), kept)


def test_a_blob_takes_half_of_what_the_numbers_take(make_trial):
    curve = rounded(np.random.default_rng(0).lognormal(size=150))
    without = {"flow_map": [], "flow_spread": None, "start": None, "end": None}
    trial = make_trial(5, 0).model_copy(update={"curve": curve, **without})
    assert len(pack(trial)) < 0.55 * 8 * 150 + 200


@pytest.mark.parametrize(
    "damage",
    [
        lambda blob: blob[:-1],
        lambda blob: blob[: len(blob) // 2],
        lambda blob: b"",
        lambda blob: b"no blob",
        lambda blob: blob[:20] + bytes([blob[20] ^ 255]) + blob[21:],
        lambda blob: zlib.compress(b"no safetensors"),
        lambda blob: zlib.compress(zlib.decompress(blob)[:-8]),
    ],
)
def test_a_damaged_blob_is_named(make_trial, damage):
    with pytest.raises(UnreadableFile, match="the curves of a trial are damaged: "):
        unpack(damage(pack(make_trial(3, 0))))


def test_a_blob_cannot_grow_without_end(monkeypatch, make_trial):
    monkeypatch.setattr("memspan.store.codec.LARGEST", 1000)
    bomb = zlib.compress(bytes(10**6))
    with pytest.raises(UnreadableFile, match="truncated or too large"):
        unpack(bomb)
