"""Removal of passwords from addresses before they are printed."""

import re

IN_URL = re.compile(r"(?i)(\b[a-z][a-z0-9+.-]+:/{0,2}[^\s/@:]*):[^\n]*@")
"""Matches `scheme://user:password@`. A `Path` turns // into /, and a password may contain any character."""
IN_QUERY = re.compile(r"(?i)\b((?:ssl)?password|passwd|pwd)=('[^']*'|[^\s&'\"]*)")
"""Matches `?password=...`, and `password=...` in a driver's connection string."""


def without_passwords(text: str) -> str:
    """Return the text with every password in an address replaced by ***."""
    return IN_QUERY.sub(r"\1=***", IN_URL.sub(r"\1:***@", text))
