"""A simulated kernel: the objects that it holds for us, which outlive every agent, and steps that may fail."""

import asyncio
from collections.abc import Callable
from ipaddress import IPv4Address

from isthmus.core.datapath import DatapathId, KernelObject, Leg
from isthmus.core.errors import KernelRefusedError
from isthmus.core.model import EndpointId, Mac
from isthmus.core.reconcile import Step, Verb, place_of
from tests.simulation.chance import Chance

Watch = Callable[[Step], None]


class SimKernel:
    """In the form of `edge.kernel.Kernel`; every step is shown to `watch` before it is taken."""

    def __init__(self, chance: Chance, watch: Watch) -> None:
        self._chance = chance
        self._watch = watch
        self._objects: dict[object, KernelObject] = {}
        self.loss = 0.0  # the share of steps that fail

    @property
    def objects(self) -> frozenset[KernelObject]:
        """What it holds now."""
        return frozenset(self._objects.values())

    def leave(self, endpoint: str) -> None:
        """Hold the leg of a crash, as an agent that was killed leaves it."""
        leg = Leg(EndpointId(endpoint), DatapathId(0), Mac(""), (), 0)
        self._objects[place_of(leg)] = leg

    def end_sandbox(self, endpoint: EndpointId) -> None:
        """Lose a leg with its sandbox."""
        self._objects = {
            place: each
            for place, each in self._objects.items()
            if not (isinstance(each, Leg) and each.endpoint == endpoint)
        }

    async def read(self) -> frozenset[KernelObject]:
        """As Kernel.read."""
        await self._chance.pass_time(0.0, 0.005)
        return self.objects

    async def apply(self, step: Step) -> None:
        """As Kernel.apply."""
        await self._chance.pass_time(0.0, 0.001)
        if self._chance.happens(self.loss):
            raise KernelRefusedError(0, "refused by chance")
        self._watch(step)
        if step.verb is Verb.ADD:
            self._objects[place_of(step.target)] = step.target
        else:
            self._objects.pop(place_of(step.target), None)

    def claim(self, endpoint: EndpointId) -> None:
        """As Kernel.claim: an end that is lost here went with its sandbox."""

    async def stirred(self) -> None:
        """As Kernel.stirred: nobody else changes this kernel."""
        await asyncio.Event().wait()

    async def is_as_left(self) -> bool:
        """As Kernel.is_as_left."""
        return True

    async def mend_rows(self) -> dict[str, int]:
        """As Kernel.mend_rows: nothing is amiss."""
        return {}

    async def switch(self) -> int:
        """As Kernel.switch: there is one build only."""
        return 0


VTEPS = (IPv4Address("192.168.2.10"), IPv4Address("192.168.2.11"), IPv4Address("192.168.2.12"))
