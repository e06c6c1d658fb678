"""All chance of one run, from one seed; and what happened, for whoever has to understand it."""

import asyncio
import random
from collections.abc import Sequence
from typing import TypeVar

_T = TypeVar("_T")


class Chance:
    """The dice of one run."""

    def __init__(self, seed: int) -> None:
        self._dice = random.Random(seed)
        self.trace: list[str] = []

    def one_of(self, choices: Sequence[_T]) -> _T:
        """Any of them."""
        return self._dice.choice(choices)

    def happens(self, share: float) -> bool:
        """Whether something comes true that does so in this share of all cases."""
        return self._dice.random() < share

    def number(self, first: int, last: int) -> int:
        """A number from the first to the last."""
        return self._dice.randint(first, last)

    def seconds(self, least_s: float, most_s: float) -> float:
        """A time between them."""
        return self._dice.uniform(least_s, most_s)

    def letters(self, count: int) -> str:
        """An id in hexadecimal digits."""
        return f"{self._dice.getrandbits(count * 4):0{count}x}"

    async def pass_time(self, least_s: float, most_s: float) -> None:
        """Let some time pass."""
        await asyncio.sleep(self.seconds(least_s, most_s))

    def note(self, text: str) -> None:
        """Keep what happened, and when."""
        self.trace.append(f"{asyncio.get_running_loop().time():10.3f}  {text}")
