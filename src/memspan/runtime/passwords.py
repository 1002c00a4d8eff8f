"""Addresses without their passwords, for everything that is printed."""

import re

IN_URL = re.compile(r"(?i)(\b[a-z][a-z0-9+.-]+:/{0,2}[^\s/@:]*):[^\n]*@")
"""`scheme://user:password@`; a path may have lost one slash, and a password may hold anything."""
IN_QUERY = re.compile(r"(?i)\b((?:ssl)?password|passwd|pwd)=('[^']*'|[^\s&'\"]*)")
"""`?password=...`, and `password=...` among a driver's own settings."""


def without_passwords(text: str) -> str:
    """A text with *** in place of every password in an address."""
    return IN_QUERY.sub(r"\1=***", IN_URL.sub(r"\1:***@", text))
