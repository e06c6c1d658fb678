"""Which VNI or VLAN id a network gets."""

from collections.abc import Iterable, Mapping

from isthmus.core import runs
from isthmus.core.errors import ConflictError, ExhaustedError, InvalidError
from isthmus.core.model import Encap, NetworkKey, Range, Settings, Tag

_NOUN = {Encap.VXLAN: "vxlan", Encap.VLAN: "vlan"}


def tag_range(settings: Settings, encap: Encap) -> Range:
    """The range from which this kind of network gets its tag."""
    return settings.vnis if encap is Encap.VXLAN else settings.vlans


def allocate_tag(settings: Settings, encap: Encap, owners: Mapping[Tag, NetworkKey], *, wish: int = 0) -> Tag:
    """The tag wished for, or the lowest that nobody holds where `wish` is 0.

    Raises:
        InvalidError: the wish lies outside the range.
        ConflictError: another network holds it.
        ExhaustedError: the range is used up.
    """
    allowed = tag_range(settings, encap)
    noun = _NOUN[encap]
    if wish:
        return _checked(Tag(wish), allowed, owners, noun)
    for number in range(allowed.first, allowed.last + 1):
        if Tag(number) not in owners:
            return Tag(number)
    raise ExhaustedError(f"no {noun}s available: every one of {allowed} is in use")


def tags_text(tags: Iterable[int]) -> str:
    """`10-11, 300`: the tags in order, neighbours drawn together."""
    found = runs.merged((tag, tag) for tag in tags)
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in found)


def _checked(wish: Tag, allowed: Range, owners: Mapping[Tag, NetworkKey], noun: str) -> Tag:
    if not allowed.first <= wish <= allowed.last:
        raise InvalidError(f"requested {noun} {wish} is out of range {allowed}")
    if wish in owners:
        raise ConflictError(f"requested {noun} {wish} is not available: network {owners[wish]} holds it")
    return wish
