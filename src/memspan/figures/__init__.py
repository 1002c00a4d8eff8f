"""Figures: a typed record is computed first, then drawn, and saved with its data beside it."""
