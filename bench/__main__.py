"""`python -m bench`: build the labs, run every measure on every way in turn, print and write what came out."""

import argparse
import json
import os
import platform
import shutil
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.figures import Figure, document, rows, table
from bench.measures import MEASURES, Measure
from bench.ways import WAYS, Way, built
from isthmus.core.errors import EdgeError, IsthmusError

DEFAULT_ROUNDS = 5
DEFAULT_SECONDS = 2.0
DEFAULT_OUTPUT = Path("build/bench.json")

_NEEDED = ("iperf3", "nsenter", "ping", "sockperf", "taskset")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; return 0, 1 where something failed, 130 where it was interrupted."""
    wish = _wish(arguments)
    missing = [program for program in _NEEDED if shutil.which(program) is None]
    if os.geteuid() != 0 or missing:
        lack = f"{', '.join(missing)} not installed; 'make setup' does that" if missing else "only root may build labs"
        print(f"bench: {lack}", file=sys.stderr)
        return 1
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(128 + signal.SIGTERM))  # the labs end on the way out
    started = time.strftime("%Y-%m-%d %H:%M:%S%z")
    try:
        with built(_tell) as ways:
            figures = list(measured(wish.only, ways, wish.rounds, wish.seconds))
    except (EdgeError, IsthmusError) as failure:
        print(f"bench: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    print(table(rows(figures, [(each.name, each.title, each.unit) for each in wish.only], WAYS)))
    about = {"started": started, "kernel": platform.release(), "cores": os.cpu_count(), "seconds": wish.seconds}
    _write(wish.output, document(figures, about))
    return 0


def measured(measures: Sequence[Measure], ways: Sequence[Way], rounds: int, seconds: float) -> Iterator[Figure]:
    """Run each measure on all ways one after the other, then the next; and all of that again every round."""
    for number in range(1, rounds + 1):
        for measure in measures:
            for way in ways:
                value = measure.run(way, seconds)
                _tell(f"round {number} of {rounds}: {measure.name}, {way.name}: {value:.4g} {measure.unit}")
                yield Figure(measure.name, way.name, number, value)


def _wish(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = _parser()
    wish = parser.parse_args(arguments)
    if wish.rounds < 1 or wish.seconds <= 0:
        parser.error("--rounds is at least 1, --seconds more than 0")
    return wish


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bench", description="Ours against the bare wire and Docker's overlay.")
    parser.add_argument("--rounds", type=int, default=DEFAULT_ROUNDS, metavar="N", help="default %(default)s")
    parser.add_argument(
        "--seconds", type=float, default=DEFAULT_SECONDS, metavar="S", help="a run; default %(default)s"
    )
    names = ",".join(each.name for each in MEASURES)
    parser.add_argument("--only", type=_chosen, default=MEASURES, metavar="A,B", help=f"some measures, of: {names}")
    parser.add_argument("--output", type=Path, default=DEFAULT_OUTPUT, metavar="FILE", help="default %(default)s")
    return parser


def _chosen(text: str) -> tuple[Measure, ...]:
    by_name = {each.name: each for each in MEASURES}
    unknown = [name for name in text.split(",") if name not in by_name]
    if unknown:
        raise argparse.ArgumentTypeError(f"no measure '{unknown[0]}'; there is: {', '.join(by_name)}")
    return tuple(by_name[name] for name in text.split(","))


def _write(path: Path, content: dict[str, object]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1) + "\n")
    print(f"all figures: {path}")


def _tell(what: str) -> None:
    print(f"{time.strftime('%H:%M:%S')}  {what}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
