"""From what should be and what is to the ordered difference."""

from collections.abc import Hashable, Iterable, Set
from dataclasses import dataclass
from enum import StrEnum

from isthmus.core.datapath import (
    DirectoryEntry,
    Flood,
    KernelObject,
    KnownNetwork,
    KnownVtep,
    Leg,
    Underlay,
    Uplink,
)


class Verb(StrEnum):
    """What a step does."""

    ADD = "add"
    REMOVE = "remove"


@dataclass(frozen=True, slots=True)
class Step:
    """One act upon the kernel. Adding twice equals adding once; removing what is gone succeeds."""

    verb: Verb
    target: KernelObject


# Identity and isolation first, reachability last; removal runs the other way.
_RANK: dict[type, int] = {
    Underlay: 0,
    Uplink: 1,
    KnownNetwork: 2,
    KnownVtep: 3,
    Leg: 4,
    DirectoryEntry: 5,
    Flood: 6,
}


def steps(desired: Set[KernelObject], actual: Set[KernelObject]) -> tuple[Step, ...]:
    """Turn `actual` into `desired`: removals from the outside in, then additions from the inside out.

    What is there but differs is only added, over itself: to remove a leg or the tunnel would cut off who lives there.
    Empty when the two are equal.
    """
    kept = {place_of(target) for target in desired}
    gone = (target for target in actual - desired if place_of(target) not in kept)
    removals = (Step(Verb.REMOVE, target) for target in _ordered(gone, reverse=True))
    additions = (Step(Verb.ADD, target) for target in _ordered(desired - actual))
    return (*removals, *additions)


def place_of(target: KernelObject) -> Hashable:
    """Where in a kernel a thing is, of which only one can be there: adding another replaces it."""
    match target:
        case Underlay():
            return Underlay
        case Uplink():
            return (Uplink, target.device)
        case Flood():
            return (Flood, target.network)
        case Leg():
            return target.endpoint
        case DirectoryEntry():
            return (target.network, target.address)
        case _:
            return target


def _ordered(objects: Iterable[KernelObject], *, reverse: bool = False) -> list[KernelObject]:
    return sorted(objects, key=lambda each: (_RANK[type(each)], repr(each)), reverse=reverse)
