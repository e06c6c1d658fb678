"""The cluster's settings: which changes may be made while networks are in use."""

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Network

from isthmus.core.admit.decision import Decision, counted, settled
from isthmus.core.errors import ConflictError
from isthmus.core.model import ArpMode, Encap, ForwardMode, Range, Settings
from isthmus.core.tags import tags_text
from isthmus.core.world import World


@dataclass(frozen=True, slots=True)
class SettingsRequest:
    """What shall change; None leaves a setting as it is."""

    vlans: Range | None = None
    vnis: Range | None = None
    forward_mode: ForwardMode | None = None
    arp_mode: ArpMode | None = None
    private_subnet: IPv4Network | None = None


def admit_settings(request: SettingsRequest, world: World) -> Decision[Settings]:
    """The settings to hold.

    Raises:
        ConflictError: tags in use would fall out of their range, or networks or routers depend on what shall change.

    Source: spec 2.7 "Global update rules".
    """
    before = world.settings
    asked = {name: getattr(request, name) for name in SettingsRequest.__dataclass_fields__}
    after = Settings(**{name: getattr(before, name) if value is None else value for name, value in asked.items()})
    _check_range("vlan", after.vlans, world.tags(Encap.VLAN))
    _check_range("vxlan", after.vnis, world.tags(Encap.VXLAN))
    if after.forward_mode != before.forward_mode:
        _check_idle("forwarding mode", world)
        if world.bgps:
            nodes = counted(sorted(world.bgps), "node")
            raise ConflictError(f"unable to update forwarding mode: delete the BGP configurations first, of {nodes}")
    if after.private_subnet != before.private_subnet:
        _check_idle("private subnet", world)
    return settled(after, before, after)


def _check_range(noun: str, allowed: Range, held: Iterable[int]) -> None:
    outside = [tag for tag in held if not allowed.first <= tag <= allowed.last]
    if outside:
        raise ConflictError(f"cannot update the {noun} range to {allowed} due to existing {noun}s {tags_text(outside)}")


def _check_idle(what: str, world: World) -> None:
    numbers = ((len(world.tags(encap)), noun) for encap, noun in ((Encap.VLAN, "vlans"), (Encap.VXLAN, "vxlans")))
    parts = [f"{number} {noun}" for number, noun in numbers if number]
    if parts:
        raise ConflictError(f"unable to update {what} due to existing {' and '.join(parts)}")
