"""What has happened so far: a live line for each machine on a terminal, plain lines anywhere else."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from isthmus.lab.topology import Machine


@contextmanager
def shown() -> Iterator[Callable[[Machine, str], None]]:
    """Give a function to tell of progress, on standard error, until the block ends."""
    if sys.stderr.isatty():
        with _live() as say:
            yield say
    else:
        yield _plain()


def _plain() -> Callable[[Machine, str], None]:
    started_s = time.monotonic()

    def say(machine: Machine, what: str) -> None:
        # In one piece, end of line and all: machines come up side by side, each in a thread.
        sys.stderr.write(f"{time.monotonic() - started_s:5.1f} s  {machine.hostname}: {what}\n")
        sys.stderr.flush()

    return say


@contextmanager
def _live() -> Iterator[Callable[[Machine, str], None]]:
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

    rows: dict[str, TaskID] = {}
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        TextColumn("[dim]{task.fields[what]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=False) as progress:

        def say(machine: Machine, what: str) -> None:
            if machine.hostname not in rows:
                rows[machine.hostname] = progress.add_task(machine.hostname, total=None, what=what)
            progress.update(rows[machine.hostname], what=what)

        yield say
        for row in rows.values():
            progress.update(row, total=1, completed=1)
