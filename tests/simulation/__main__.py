"""Plays seeds: `python -m tests.simulation --seed 7`, or `--count 10000 --first 0` on all processors."""

import argparse
import multiprocessing
import os
import sys

from tests.simulation.schedule import played


def main() -> int:
    """Play them; 0 where no law was broken."""
    parser = argparse.ArgumentParser(prog="simulation", description=__doc__)
    parser.add_argument("--seed", type=int, help="play this one and show what happened")
    parser.add_argument("--count", type=int, default=1000, help="how many to play")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    words = parser.parse_args()
    if os.environ.get("PYTHONHASHSEED") != "0":  # the order in sets is part of what a seed decides
        os.execve(
            sys.executable,
            [sys.executable, "-m", "tests.simulation", *sys.argv[1:]],
            {**os.environ, "PYTHONHASHSEED": "0"},
        )
    if words.seed is not None:
        broken, trace = played(words.seed)
        print("\n".join((*trace, *broken)))
        return 1 if broken else 0
    return _play(range(words.first, words.first + words.count))


def _play(seeds: range) -> int:
    failed = 0
    with multiprocessing.get_context("fork").Pool() as pool:
        for seed, broken in pool.imap_unordered(_played, seeds, 20):
            if broken:
                failed += 1
                print(f"seed {seed}: {broken[0]}\n  make simulate SEED={seed} shows what happened", flush=True)
    print(f"{len(seeds)} schedules, {failed} broke a law")
    return 1 if failed else 0


def _played(seed: int) -> tuple[int, list[str]]:
    return seed, played(seed)[0]


if __name__ == "__main__":
    sys.exit(main())
