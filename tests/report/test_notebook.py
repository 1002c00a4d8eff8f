"""What a notebook shows of a result: the fragments of the report."""

import html
import re

import numpy as np
import pytest

from memspan import Explanation, MSELoss, Network, Report, compare, gradient_check
from memspan.span import estimate_span
from memspan.study.configuration import Configuration


def text_of(shown):
    assert shown.startswith('<div class="memspan"><style>')
    return html.unescape(re.sub(r"<style>.*?</style>|<[^>]*>", " ", shown, flags=re.S))


def test_a_study_shows_its_answer_and_its_lengths(several):
    found = text_of(several._repr_html_())
    assert all(line in found for line in several.sentence.splitlines())
    assert "4/4" in found


def test_a_span_shows_its_sentence():
    estimate = estimate_span([4, 8, 16], [8, 5, 0], 8)
    assert str(estimate) in text_of(estimate._repr_html_())


def test_a_gradient_check_shows_its_verdict_and_every_comparison():
    rng = np.random.default_rng(0)
    report = gradient_check(
        Network("rnn", 1, 3, 1, rng=0), rng.normal(size=(4, 2, 1)), rng.normal(size=(2, 1)), MSELoss()
    )
    found = text_of(report._repr_html_())
    assert report.verdict in found
    assert all(one.place in found for one in report.comparisons)
    assert report.verdict in html.unescape(Report().add(report).html())


def test_an_explanation_shows_its_verdict(several):
    row = several.parts[0].summaries()[0]
    one = Explanation(several.parts[0].study.configuration, row.length, row.share)
    assert str(one) in text_of(one._repr_html_())


@pytest.mark.slow
def test_a_comparison_shows_its_answer_spans_and_ratios():
    tiny = {"hidden": 4, "updates": 5}
    compared = compare(
        [Configuration(**tiny), Configuration(**tiny, cell="gru")], budget=16, longest=8, progress=False
    )
    found = text_of(compared._repr_html_())
    assert all(line in found for line in compared.sentence.splitlines())
    assert "told apart" in found
