"""Summaries made without keeping the trials. test_results.py tests their contents."""

import io
import tracemalloc

import pytest
from rich.console import Console

from memspan import Store, Study, StudyResult
from memspan.study import StudySummary

STUDY = Study(cell=("rnn", "gru"), lengths=(5, 10), repetitions=3, keep_weights=0, name="two")


@pytest.fixture
def trials(make_trial):
    """Trials with every outcome; the last one of the second cell is missing."""
    statuses = ["solved", "diverged", "failed", "unsolved", "solved", "failed"] * 2
    keys = [(c, length, k) for c in (0, 1) for length in STUDY.lengths for k in range(3)][:-1]
    return [
        make_trial(
            length, k, status, configuration=c, accuracy=0.1 * n, reason=f"because {n}" * (status == "failed")
        )
        for n, ((c, length, k), status) in enumerate(zip(keys, statuses, strict=False))
    ]


def text(summary):
    out = io.StringIO()
    Console(file=out, width=160).print(summary.table())
    return out.getvalue()


def test_a_summary_says_what_a_result_says(trials):
    summary, result = StudySummary.of(STUDY, iter(trials)), StudyResult.of(STUDY, reversed(trials))
    assert summary.rows == result.rows
    assert text(summary) == text(result)
    for name in ("sentence", "done", "complete", "failures"):
        assert getattr(summary, name) == getattr(result, name)
    assert (summary.done, summary.complete) == (11, False)
    assert summary.failures == ["because 2", "because 5", "because 8"]
    for mine, theirs in zip(summary.parts, result.parts, strict=True):
        assert (mine.study, mine.rows, mine.longest) == (theirs.study, theirs.rows, theirs.longest)
        assert text(mine) == text(theirs)


def test_a_summary_is_read_from_a_store(trials, tmp_path):
    path = tmp_path / "store.sqlite"
    with Store(path, create=True) as store:
        entry = store.enter(STUDY)
        entry.keep(trials)
        assert entry.summary().rows == StudyResult.of(STUDY, trials).rows
        second = entry.of_configuration(1)
        assert second.study == STUDY.only(1)
        assert len(second.done()) == 5
        assert second.summary().rows == (StudySummary.of(STUDY, trials).rows[1],)
    assert Store(path).find("two").summary() == StudySummary.of(STUDY, trials)


def test_a_summary_keeps_two_numbers_of_a_trial(make_trial):
    study = Study(lengths=5, repetitions=5000)
    StudySummary.of(study, [make_trial(5, 0)])
    tracemalloc.start()
    try:
        summary = StudySummary.of(study, (make_trial(5, k, loss=float(k), accuracy=k / 5000) for k in range(5000)))
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert summary.complete
    assert taken / 5000 < 100  # bytes; a trial takes thousands
