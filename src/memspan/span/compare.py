"""Stand-in."""


class PairOfSpans: ...


def compare_all(*a):
    return []
