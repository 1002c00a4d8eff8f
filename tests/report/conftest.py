import re
from html.parser import HTMLParser

import pytest

from memspan import Report, Study, StudyResult

HOSTILE = "<img src=x onerror=alert(1)></script>{{7*7}}=cmd()\x1b[31m"


class Read(HTMLParser):
    """A page as a browser reads it: its text by section, its tags, its attributes and links."""

    def __init__(self, page):
        super().__init__(convert_charrefs=True)
        self.tags, self.sections, self.links, self.headings = [], {}, {}, []
        self._open, self._section = [], ""
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self._open.append(tag)
        if tag == "a" and "download" in dict(attributes):
            self.links[dict(attributes)["download"]] = dict(attributes)["href"]

    def handle_endtag(self, tag):
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data):
        if self._open and self._open[-1] == "h3":
            self._section = data
            self.headings.append(data)
        elif "script" not in self._open and "style" not in self._open:
            self.sections[self._section] = self.sections.get(self._section, "") + " " + data

    def text(self, section):
        return re.sub(r"\s+", " ", self.sections[section]).strip()


@pytest.fixture(scope="session")
def read():
    return Read


@pytest.fixture(scope="session")
def result(make_trial, diverged_at_once):
    """At length 3 two of three solve; at length 5 one does not, one diverged, one failed for a hostile reason."""
    trials = [
        *(make_trial(3, k, outcome) for k, outcome in enumerate(("solved", "solved", "unsolved"))),
        make_trial(5, 0, "unsolved"),
        diverged_at_once(5, 1),
        make_trial(5, 2, "failed", reason=f"OSError: {HOSTILE}"),
    ]
    return StudyResult.of(Study(lengths=(3, 5), repetitions=3, name="tiny"), trials)


@pytest.fixture(scope="session")
def several(make_trial):
    """Two configurations, of which the second solves less."""
    study = Study(cell=("rnn", "gru"), lengths=(3, 5), repetitions=4, name="two cells")
    solved = {(0, 3): 4, (0, 5): 4, (1, 3): 3, (1, 5): 0}
    trials = [
        make_trial(length, k, "solved" if k < count else "unsolved").model_copy(update={"configuration": place})
        for (place, length), count in solved.items()
        for k in range(4)
    ]
    return StudyResult.of(study, trials)


@pytest.fixture(scope="session")
def page(result):
    """The page of `result`, in which every name is hostile."""
    hostile = StudyResult.of(result.study.with_(name=HOSTILE), result.trials)
    return Report(HOSTILE).add(hostile, tags=["rnn"]).add(HOSTILE, HOSTILE, tags=["draft", HOSTILE]).html()
