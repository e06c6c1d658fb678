"""Which of the operator's wishes may become records, and which records those are.

Each stage takes the wish and the facts, read in one snapshot; what it returns may be written as long as
those facts still hold.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address

from isthmus.core.errors import ConflictError, InvalidError, NotFoundError
from isthmus.core.ipam import overlaps
from isthmus.core.model import (
    DEFAULT_TENANT,
    AddressClaim,
    ClaimPurpose,
    Encap,
    Endpoint,
    Network,
    NetworkKey,
    NetworkType,
    Record,
    Settings,
    Subnet,
    SubnetV6,
    Tag,
    TagOwner,
    Tenant,
    TenantName,
)
from isthmus.core.tags import allocate_tag

_NAMED_AT_MOST = 10  # users of a thing that a refusal lists one by one


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


@dataclass(frozen=True, slots=True)
class NetworkFacts:
    """What decides over a network: its tenant and that one's networks, and who holds tags of its kind."""

    tenant: Tenant | None
    networks: Sequence[Network] = ()
    tag_owners: Mapping[Tag, NetworkKey] = field(default_factory=dict)
    settings: Settings = field(default_factory=Settings)


def admit_tenant(request: Tenant, existing: Tenant | None) -> Tenant:
    """The tenant to hold; `existing` itself where nothing differs.

    Raises:
        ConflictError: it exists and is not the same.
    """
    if existing is not None and existing != request:
        raise ConflictError(f"tenant {request.name} exists with other parameters, which cannot be changed")
    return request


def admit_tenant_removal(name: TenantName, existing: Tenant | None, networks: Iterable[Network]) -> Tenant:
    """The tenant that may go.

    Raises:
        NotFoundError: there is none.
        ConflictError: it is the default tenant, or has networks.
    """
    if existing is None:
        raise NotFoundError(f"tenant {name} not found")
    if name == DEFAULT_TENANT:
        raise ConflictError(f"tenant {name} cannot be deleted: it is always there")
    names = sorted(str(network.key.name) for network in networks)
    if names:
        raise ConflictError(f"cannot delete tenant {name}: it has {_counted(names, 'network')}")
    return existing


def admit_network(request: NetworkRequest, facts: NetworkFacts) -> Network:
    """The network to hold, its tag chosen; the existing one itself where nothing differs.

    Raises:
        NotFoundError: the tenant does not exist.
        InvalidError: a gateway lies outside its subnet, or a tag outside its range.
        ConflictError: the network exists with other parameters, a subnet overlaps, the tag is held.
        ExhaustedError: no tag is left.
    """
    if facts.tenant is None:
        raise NotFoundError(f"tenant {request.key.tenant} not found")
    existing = next((each for each in facts.networks if each.key == request.key), None)
    if existing is not None:
        return _unchanged(request, existing)
    _check_gateways(request)
    _check_overlaps(request, facts.networks)
    tag = allocate_tag(facts.settings, request.encap, facts.tag_owners, wish=request.configured_tag)
    return Network(
        key=request.key,
        encap=request.encap,
        tag=tag,
        subnet=request.subnet,
        gateway=request.gateway,
        subnet_v6=request.subnet_v6,
        gateway_v6=request.gateway_v6,
        configured_tag=request.configured_tag,
        nw_type=request.nw_type,
        label=request.label,
    )


def network_records(network: Network) -> tuple[Record, ...]:
    """All that is written for a network: itself, its tag, and its gateways' addresses."""
    gateways = (each for each in (network.gateway, network.gateway_v6) if each is not None)
    claims = (AddressClaim(network.key, each, ClaimPurpose.GATEWAY) for each in gateways)
    return (network, TagOwner(network.encap, network.tag, network.key), *claims)


def admit_network_removal(key: NetworkKey, existing: Network | None, endpoints: Iterable[Endpoint]) -> Network:
    """The network that may go.

    Raises:
        NotFoundError: there is none.
        ConflictError: containers are in it; the text says which, and where.
    """
    if existing is None:
        raise NotFoundError(f"network {key} not found")
    users = [_user(each) for each in sorted(endpoints, key=lambda each: (each.node, each.address))]
    if users:
        raise ConflictError(f"network {key} is in use by {_counted(users, 'container')}")
    return existing


def _user(endpoint: Endpoint) -> str:
    return f"{endpoint.container or endpoint.id[:12]} ({endpoint.address} on {endpoint.node})"


def _counted(names: Sequence[str], noun: str) -> str:
    more = len(names) - _NAMED_AT_MOST
    tail = f" and {more} more" if more > 0 else ""
    return f"{len(names)} {noun}{'s' if len(names) > 1 else ''}: {', '.join(names[:_NAMED_AT_MOST])}{tail}"


def _unchanged(request: NetworkRequest, existing: Network) -> Network:
    asked = {name: getattr(request, name) for name in NetworkRequest.__dataclass_fields__}
    differing = [name for name, value in asked.items() if getattr(existing, name) != value]
    if differing:
        words = ", ".join(name.replace("_", " ") for name in differing)
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
