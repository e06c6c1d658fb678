"""Lets answers to the engine out one after another.

dockerd counts a network's endpoints, and loses count where it forgets two at once: the network then "has active
endpoints" for ever (moby#42119). It counts down within milliseconds of the answer to ReleaseAddress, so answers
some milliseconds apart keep its count right.
"""

import asyncio

GAP_S = 0.05  # some writes to dockerd's database, fsync included, with room for a busy host
_PATIENCE_S = 5.0  # a call must be answered in time, whatever comes of the count


class Pace:
    """A door through which one goes at a time, `gap_s` after the one before, in the order of arrival."""

    def __init__(self, gap_s: float = GAP_S) -> None:
        self._gap_s = gap_s
        self._free_s = 0.0  # when the next may go, by the loop's clock

    async def wait(self) -> None:
        """Wait for one's turn, but never for longer than a call may take."""
        now_s = asyncio.get_running_loop().time()
        turn_s = max(now_s, self._free_s)
        if turn_s - now_s > _PATIENCE_S:
            return
        self._free_s = turn_s + self._gap_s
        await asyncio.sleep(turn_s - now_s)
