"""Parsing of untrusted JSON: it ends soon, with a value or a ValueError."""

import json
from typing import Any

LARGEST = 1 << 24
"""The most characters of a JSON text, far more than the largest study needs."""


def parsed_json(text: str) -> Any:
    """Return the value of a JSON text.

    Raises
    ------
    ValueError
        If the text is not JSON, too long, or nested too deeply.
    """
    if len(text) > LARGEST:
        raise ValueError(f"its JSON is too long ({len(text):,} characters)")
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("its JSON is nested too deeply") from None


def parsed_object(text: str) -> dict[str, Any]:
    """Return the value of a JSON text that must be an object; raises like `parsed_json`."""
    found = parsed_json(text)
    if not isinstance(found, dict):
        raise ValueError("its JSON is not an object")
    return found
