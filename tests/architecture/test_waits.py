"""Whoever is cancelled ends."""

from pathlib import Path

import isthmus

SOURCE = Path(isthmus.__file__).parent


def test_nobody_waits_in_a_way_that_loses_a_cancellation() -> None:
    """Python 3.11's wait_for returns the result of what is done in the moment of the cancellation, and goes on."""
    waiting = [str(path) for path in SOURCE.rglob("*.py") if "asyncio.wait_for(" in path.read_text()]
    assert waiting == []
