"""JSON from outside: whatever it is, reading it ends soon, with a value or a ValueError."""

import json
from typing import Any

LARGEST = 1 << 24
"""Characters: far more than the largest study has."""


def parsed_json(text: str) -> Any:
    """The value of a JSON text.

    Raises
    ------
    ValueError
        When it is not JSON, too long, or nested too deeply.
    """
    if len(text) > LARGEST:
        raise ValueError(f"its JSON has {len(text):,} characters")
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("its JSON is nested too deeply") from None


def parsed_object(text: str) -> dict[str, Any]:
    """The value of a JSON text that must be an object; errors as `parsed_json`."""
    found = parsed_json(text)
    if not isinstance(found, dict):
        raise ValueError("its JSON is not an object")
    return found
