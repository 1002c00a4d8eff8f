"""What `memspan doctor` finds about one part."""

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """The state of a part. What is missing is not needed by everybody."""

    OK = "ok"
    MISSING = "missing"
    BROKEN = "broken"


@dataclass(frozen=True)
class Finding:
    """What was found about a part.

    Attributes
    ----------
    part : str
        A word or two, such as "BLAS".
    found : str
    state : State
    advice : str
        A sentence that says what to do; empty if nothing is to be done.
    """

    part: str
    found: str
    state: State = State.OK
    advice: str = ""

    def numbers(self) -> dict[str, str]:
        """Return the finding for JSON."""
        return {"part": self.part, "found": self.found, "state": str(self.state), "advice": self.advice}
