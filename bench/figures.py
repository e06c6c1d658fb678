"""Figures of all rounds to medians, ratios, a table and JSON; pure."""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

RATIOS = (("ours", "wire"), ("overlay", "wire"), ("ours", "overlay"))


@dataclass(frozen=True, slots=True)
class Figure:
    """What one run of one measure gave."""

    measure: str
    way: str
    round: int
    value: float


@dataclass(frozen=True, slots=True)
class Summary:
    """The middle and the ends of several runs of one cell."""

    median: float
    low: float
    high: float


def summary(values: Sequence[float]) -> Summary:
    """Give median, least and most of at least one value."""
    return Summary(statistics.median(values), min(values), max(values))


def values(figures: Iterable[Figure], measure: str, way: str) -> dict[int, float]:
    """Give one cell's values by round."""
    return {each.round: each.value for each in figures if (each.measure, each.way) == (measure, way)}


def ratio(figures: Sequence[Figure], measure: str, above: str, below: str) -> Summary:
    """Compare two ways within each round, where both met the same weather, and sum the rounds up."""
    tops, bottoms = values(figures, measure, above), values(figures, measure, below)
    return summary([tops[number] / bottoms[number] for number in tops if number in bottoms])


def rows(figures: Sequence[Figure], measures: Sequence[tuple[str, str, str]], ways: Sequence[str]) -> list[list[str]]:
    """Lay out a table with a heading; `measures` are (name, title, unit)."""
    heading = ["", *ways, *(f"{above}/{below}" for above, below in RATIOS)]
    return [heading, *(_row(figures, measure, ways) for measure in measures)]


def table(cells: Sequence[Sequence[str]]) -> str:
    """Render rows with their columns aligned, the first to the left."""
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    lines = (
        "  ".join(cell.rjust(width) if column else cell.ljust(width) for column, (cell, width) in enumerate(pairs))
        for pairs in (list(zip(row, widths, strict=True)) for row in cells)
    )
    return "\n".join(line.rstrip() for line in lines)


def document(figures: Sequence[Figure], about: dict[str, object]) -> dict[str, object]:
    """Give all as JSON has it: `about`, every figure, and per measure the summaries and ratios."""
    names = list(dict.fromkeys(each.measure for each in figures))
    ways = list(dict.fromkeys(each.way for each in figures))
    results = {
        name: {
            **{way: asdict(summary(list(values(figures, name, way).values()))) for way in ways},
            **{f"{above}/{below}": asdict(ratio(figures, name, above, below)) for above, below in RATIOS},
        }
        for name in names
    }
    return {**about, "results": results, "figures": [asdict(each) for each in figures]}


def _row(figures: Sequence[Figure], measure: tuple[str, str, str], ways: Sequence[str]) -> list[str]:
    name, title, unit = measure
    cells = [_cell(summary(list(values(figures, name, way).values()))) for way in ways]
    ratios = [ratio(figures, name, above, below) for above, below in RATIOS]
    return [f"{title}, {unit}", *cells, *(f"{each.median:.2f} ({each.low:.2f}..{each.high:.2f})" for each in ratios)]


def _cell(of: Summary) -> str:
    return f"{_number(of.median)} ({_number(of.low)}..{_number(of.high)})"


def _number(value: float) -> str:
    if value >= 1000:
        return f"{value / 1000:.1f}k"
    return f"{value:.1f}" if value >= 1 else f"{value:.3f}"
