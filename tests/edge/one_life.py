"""One life of an agent's kernel edge, of the build that PYTHONPATH names, up to a given moment.

Its input is a Life's fields, pickled. It prints how many calls within edge/kernel it had made when the kernel was open,
when all rows were written, and when the programs were switched.
"""

import asyncio
import os
import pickle
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from isthmus.core.datapath import KernelObject
from isthmus.core.reconcile import steps
from isthmus.edge.kernel import Kernel


@dataclass(frozen=True)
class Life:
    """Without `desired` the world stays unknown; `calls` within edge/kernel are the last thing before SIGKILL."""

    bpffs: Path
    desired: frozenset[KernelObject] | None
    calls: int = sys.maxsize


class Fate:
    """Counts calls, and kills."""

    def __init__(self, calls: int) -> None:
        self.lived = 0
        self._calls = calls

    def __call__(self, frame: FrameType, event: str, _argument: Any) -> None:
        if event == "call" and "/edge/kernel/" in frame.f_code.co_filename:
            self.lived += 1
            if self.lived > self._calls:
                os.kill(os.getpid(), signal.SIGKILL)


async def live(life: Life, fate: Fate) -> None:
    """What netplugin does from its start to the end of its first whole turn."""
    kernel = Kernel(life.bpffs)
    await kernel.open()
    print(fate.lived, flush=True)
    if life.desired is not None:
        for step in steps(life.desired, await kernel.read()):
            await kernel.apply(step)
        print(fate.lived, flush=True)
        await kernel.switch()
        print(fate.lived, flush=True)
        assert await kernel.read() == life.desired
    await kernel.close()


if __name__ == "__main__":
    words = pickle.load(sys.stdin.buffer)
    fate = Fate(words["calls"])
    sys.setprofile(fate)
    asyncio.run(live(Life(**words), fate))
