"""Where studies and their trials are kept: a SQLite file or a PostgreSQL database."""

from memspan.store.store import Store, load_study

__all__ = ["Store", "load_study"]
