"""Hypothesis draws the same examples on every run, and watches no clock."""

from hypothesis import settings

settings.register_profile("memspan", derandomize=True, deadline=None)
settings.load_profile("memspan")
