"""Stores of studies and their trials: a SQLite file or a PostgreSQL database."""

from memspan.store.store import Store, load_study

__all__ = ["Store", "load_study"]
