"""Networks and groups for the tests of addresses."""

from ipaddress import IPv4Address, IPv6Address

from isthmus.core.ipam import parse_pool, parse_pool_v6, parse_subnet, parse_subnet_v6
from isthmus.core.model import (
    Address,
    Encap,
    EndpointGroup,
    GroupId,
    GroupKey,
    GroupName,
    Network,
    NetworkKey,
    NetworkName,
    Tag,
    TenantName,
)

TENANT = TenantName("default")
KEY = NetworkKey(TENANT, NetworkName("net"))


def network(subnet: str, gateway: str = "", subnet_v6: str = "", gateway_v6: str = "") -> Network:
    return Network(
        KEY,
        Encap.VXLAN,
        Tag(1),
        parse_subnet(subnet),
        IPv4Address(gateway) if gateway else None,
        parse_subnet_v6(subnet_v6) if subnet_v6 else None,
        IPv6Address(gateway_v6) if gateway_v6 else None,
    )


def group(name: str, pool: str = "", pool_v6: str = "", *, network_name: str = "net") -> EndpointGroup:
    return EndpointGroup(
        GroupKey(TENANT, GroupName(name)),
        GroupId(1),
        NetworkName(network_name),
        pool=parse_pool(pool) if pool else None,
        pool_v6=parse_pool_v6(pool_v6) if pool_v6 else None,
    )


def address(text: str) -> Address:
    return IPv6Address(text) if ":" in text else IPv4Address(text)


def listed(text: str) -> list[Address]:
    """What a text of ranges names."""
    runs = [part.partition("-") for part in text.split(", ") if part]
    ends = [(address(low), address(high or low)) for low, _, high in runs]
    return [type(low)(number) for low, high in ends for number in range(int(low), int(high) + 1)]
