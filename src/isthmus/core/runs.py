"""Sets of numbers as runs: pairs of first and last, in order and apart. Costs grow with the runs only."""

from collections.abc import Iterable, Iterator

Run = tuple[int, int]


def merged(runs: Iterable[Run]) -> tuple[Run, ...]:
    """The numbers of all of these, which may overlap, in order; neighbours are drawn together."""
    found: list[Run] = []
    for first, last in sorted(runs):
        if found and first <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(last, found[-1][1]))
        else:
            found.append((first, last))
    return tuple(found)


def without(runs: Iterable[Run], holes: Iterable[Run]) -> tuple[Run, ...]:
    """The numbers of `runs` that are in none of `holes`; both in order."""
    left: list[Run] = []
    waiting = list(merged(holes))[::-1]
    for first, last in runs:
        start = first
        while waiting and waiting[-1][0] <= last:
            hole = waiting[-1]
            if start < hole[0]:
                left.append((start, hole[0] - 1))
            start = max(start, hole[1] + 1)
            if hole[1] > last:
                break  # it reaches into the next run
            waiting.pop()
        if start <= last:
            left.append((start, last))
    return tuple(left)


def within(runs: Iterable[Run], limits: Run) -> tuple[Run, ...]:
    """The numbers of `runs` from the first of `limits` to its last."""
    cut = ((max(first, limits[0]), min(last, limits[1])) for first, last in runs)
    return tuple((first, last) for first, last in cut if first <= last)


def size(runs: Iterable[Run]) -> int:
    """How many numbers there are."""
    return sum(last - first + 1 for first, last in runs)


def after(runs: Iterable[Run], number: int | None) -> Iterator[int]:
    """All the numbers: those above `number` first, each part upwards."""
    known = tuple(runs)
    if number is None:
        number = -1
    for first, last in known:
        yield from range(max(first, number + 1), last + 1)
    for first, last in known:
        yield from range(first, min(last, number) + 1)
