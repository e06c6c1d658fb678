"""`make storm N=10000 SEED=7`: a storm of any length on a lab of its own."""

import argparse
import os
import random
import sys
import time

from isthmus.lab.running import running
from isthmus.lab.topology import Lab
from tests.lab.storm.crew import StormError
from tests.lab.storm.plan import NODES
from tests.lab.storm.storm import prepare, storm


def main() -> int:
    """Say how it goes, and return 1 if something was not as it must be."""
    parser = argparse.ArgumentParser(prog="make storm", description=__doc__)
    parser.add_argument("--operations", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=random.randrange(10000))
    asked = parser.parse_args()
    print(f"a storm of {asked.operations} operations, seed {asked.seed}", flush=True)
    try:
        with running(Lab(f"storm-{os.getpid()}", nodes=NODES)) as lab:
            prepare(lab)
            print(storm(lab, asked.seed, asked.operations, _say))
    except StormError as failure:
        print(failure, file=sys.stderr)
        return 1
    return 0


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
