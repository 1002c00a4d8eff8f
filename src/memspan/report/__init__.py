"""The report: one self-contained page with the answer of a study, a search or a comparison, and its reasons."""

from memspan.report.report import Report

__all__ = ["Report"]
