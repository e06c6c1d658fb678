"""Runs are sets of numbers."""

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from isthmus.core.runs import Run, after, merged, size, within, without

pairs = st.tuples(st.integers(0, 20), st.integers(0, 6)).map(lambda pair: (pair[0], pair[0] + pair[1]))
many = st.lists(pairs, max_size=5)


def numbers(runs: tuple[Run, ...] | list[Run]) -> set[int]:
    return {number for first, last in runs for number in range(first, last + 1)}


@settings(max_examples=50)
@given(many, many, pairs, st.none() | st.integers(0, 30))
def test_runs_are_sets_of_numbers(some: list[Run], others: list[Run], limits: Run, last: int | None) -> None:
    runs = merged(some)
    assert numbers(runs) == numbers(some)
    assert all(one[1] + 1 < other[0] for one, other in pairwise(runs))
    assert size(runs) == len(numbers(some))
    assert numbers(without(runs, others)) == numbers(some) - numbers(others)
    assert numbers(within(runs, limits)) == numbers(some) & numbers([limits])
    order = list(after(runs, last))
    split = -1 if last is None else last
    assert order == sorted(numbers(some), key=lambda number: (number <= split, number))
