"""How the parts of an agent wake each other, without knowing each other."""

import asyncio
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Signals:
    """Each is set by whoever has news, and cleared by who acts on it."""

    moved: asyncio.Event = field(default_factory=asyncio.Event)  # what the node reports may have changed
    stirred: asyncio.Event = field(default_factory=asyncio.Event)  # who lives on the engine is to be counted anew
