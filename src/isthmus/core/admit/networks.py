"""Networks: which may come, with which tag, and which may go."""

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from isthmus.core.admit.decision import Decision, counted, found, settled, tenant_of, users_text
from isthmus.core.errors import ConflictError, InvalidError
from isthmus.core.ipam import overlaps
from isthmus.core.model import (
    AddressClaim,
    ClaimPurpose,
    Encap,
    GroupKey,
    GroupName,
    Network,
    NetworkKey,
    NetworkType,
    Record,
    Rule,
    Subnet,
    SubnetV6,
    TagOwner,
)
from isthmus.core.tags import allocate_tag
from isthmus.core.world import World


@dataclass(frozen=True, slots=True)
class NetworkRequest:
    """A network as the operator asks for it; `configured_tag` 0 leaves the tag to us."""

    key: NetworkKey
    encap: Encap
    subnet: Subnet
    gateway: IPv4Address | None = None
    subnet_v6: SubnetV6 | None = None
    gateway_v6: IPv6Address | None = None
    configured_tag: int = 0
    nw_type: NetworkType = NetworkType.DATA
    label: str = ""
    is_flooding: bool = True


_WORDS = {"is_flooding": "multicast"}  # where an operator's word differs from the field's


def admit_network(request: NetworkRequest, world: World) -> Decision[Network]:
    """The network to hold, its tag chosen; the existing one itself where nothing differs.

    Raises:
        NotFoundError: the tenant does not exist.
        InvalidError: a gateway lies outside its subnet, or a tag outside its range.
        ConflictError: the network exists with other parameters, a subnet overlaps, the tag or its name is taken.
        ExhaustedError: no tag is left.
    """
    tenant_of(world, request.key.tenant)
    existing = world.networks.get(request.key)
    if existing is not None:
        return Decision(_unchanged(request, existing))
    if GroupKey(request.key.tenant, GroupName(request.key.name)) in world.groups:
        raise ConflictError(f"network {request.key} cannot be: an endpoint group has that name, in Docker as well")
    _check_gateways(request)
    if request.encap is Encap.VLAN and not request.is_flooding:
        raise InvalidError(
            f"network {request.key} is a VLAN network: its multicast cannot be dropped, the wire has it anyway"
        )
    _check_overlaps(request, (each for each in world.networks.values() if each.key.tenant == request.key.tenant))
    tag = allocate_tag(world.settings, request.encap, world.tags(request.encap), wish=request.configured_tag)
    fields = {name: getattr(request, name) for name in NetworkRequest.__dataclass_fields__}
    network = Network(tag=tag, **fields)
    return settled(network, None, *_records(network))


def _records(network: Network) -> tuple[Record, ...]:
    """All that is written for a network: itself, its tag, and its gateways' addresses."""
    gateways = (each for each in (network.gateway, network.gateway_v6) if each is not None)
    claims = (AddressClaim(network.key, each, ClaimPurpose.GATEWAY) for each in gateways)
    return (network, TagOwner(network.encap, network.tag, network.key), *claims)


def admit_network_removal(key: NetworkKey, world: World) -> Decision[Network]:
    """The network that may go; its addresses go with it.

    Raises:
        NotFoundError: there is none.
        ConflictError: groups, services or rules need it, or containers are in it; the text says which, and where.
    """
    network = found(world.networks.get(key), f"network {key}")
    needs = (
        ([each.key.name for each in world.groups_in(key)], "endpoint group"),
        ([each.key.name for each in world.services.values() if each.network_key == key], "service"),
        ([str(each.key) for each in world.rules.values() if _names_network(each, key)], "rule"),
    )
    for names, noun in needs:
        if names:
            raise ConflictError(f"cannot delete network {key}: it has {counted(sorted(names), noun)}")
    users = users_text(world.population(key).endpoints.values())
    if users:
        raise ConflictError(f"network {key} is in use by {users}")
    return Decision(network, remove=(network, TagOwner(network.encap, network.tag, network.key)))


def _names_network(rule: Rule, key: NetworkKey) -> bool:
    return rule.key.policy.tenant == key.tenant and rule.peer_network == key.name


def _unchanged(request: NetworkRequest, existing: Network) -> Network:
    asked = {name: getattr(request, name) for name in NetworkRequest.__dataclass_fields__}
    differing = [name for name, value in asked.items() if getattr(existing, name) != value]
    if differing:
        words = ", ".join(_WORDS.get(name, name.replace("_", " ")) for name in differing)
        raise ConflictError(f"network {request.key} exists with other parameters ({words}), which cannot be changed")
    return existing


def _check_gateways(request: NetworkRequest) -> None:
    prefix, gateway = request.subnet.prefix, request.gateway
    if gateway is not None and (gateway not in prefix or gateway in (prefix.network_address, prefix.broadcast_address)):
        raise InvalidError(f"gateway {gateway} of network {request.key} is no host address of {prefix}")
    if request.gateway_v6 is None:
        return
    if request.subnet_v6 is None:
        raise InvalidError(f"network {request.key} has an IPv6 gateway but no IPv6 subnet")
    prefix_v6 = request.subnet_v6.prefix
    if request.gateway_v6 not in prefix_v6:
        raise InvalidError(
            f"IPv6 gateway {request.gateway_v6} of network {request.key} is no host address of {prefix_v6}"
        )


def _check_overlaps(request: NetworkRequest, networks: Iterable[Network]) -> None:
    for other in networks:
        if overlaps(request.subnet, other.subnet):
            raise ConflictError(
                f"subnet {request.subnet.text} of network {request.key} overlaps "
                f"subnet {other.subnet.text} of network {other.key}"
            )
        if request.subnet_v6 and other.subnet_v6 and request.subnet_v6.prefix.overlaps(other.subnet_v6.prefix):
            raise ConflictError(
                f"IPv6 subnet {request.subnet_v6.text} of network {request.key} overlaps "
                f"IPv6 subnet {other.subnet_v6.text} of network {other.key}"
            )
