"""Answers go out one at a time, so that dockerd counts right."""

import asyncio

from isthmus.netplugin.pace import Pace

GAP_S = 0.02


def leaving_times(gap_s: float, calls: int) -> tuple[float, list[float]]:
    """When calls that come at once may go, by the loop's clock; first, when they came."""

    async def arrive() -> tuple[float, list[float]]:
        pace, loop = Pace(gap_s), asyncio.get_running_loop()

        async def go() -> float:
            await pace.wait()
            return loop.time()

        return loop.time(), list(await asyncio.gather(*(go() for _ in range(calls))))

    return asyncio.run(arrive())


def test_calls_at_once_leave_in_their_order_each_in_a_time_of_its_own() -> None:
    came_s, left_s = leaving_times(GAP_S, 10)
    assert left_s == sorted(left_s)
    assert all(left - came_s >= number * GAP_S for number, left in enumerate(left_s))


def test_a_queue_too_long_for_a_call_is_passed_by() -> None:
    came_s, left_s = leaving_times(gap_s=1000.0, calls=3)
    assert max(left_s) - came_s < 1000.0
