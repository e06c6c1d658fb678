"""Names belong to a tenant; services come before groups and groups before containers; the nearest are meant."""

from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address

from isthmus.core.model import (
    Address,
    AddressClaim,
    ClaimPurpose,
    Endpoint,
    EndpointGroup,
    EndpointId,
    GroupId,
    GroupKey,
    GroupName,
    NetworkKey,
    NetworkName,
    NodeName,
    Record,
    Service,
    ServiceKey,
    ServiceName,
    TenantName,
    mac_of,
)
from isthmus.core.names import Scope, addresses_of_name, index_network, index_tenants, name_of_address
from isthmus.core.world import Change, World, evolve

TENANT = TenantName("default")
NEAR = NetworkKey(TENANT, NetworkName("near"))
FAR = NetworkKey(TENANT, NetworkName("far"))
BLUE = NetworkKey(TenantName("blue"), NetworkName("near"))
OCTETS = {NEAR: 1, FAR: 2, BLUE: 3}


def endpoint(key: NetworkKey, last: int, container: str, group: str = "") -> Endpoint:
    address = IPv4Address(f"10.1.{OCTETS[key]}.{last}")
    born = Endpoint(EndpointId(f"{key}-{last}"), key, NodeName("n"), mac_of(address), address)
    return replace(born, container=container, sandbox="/s", group=GroupName(group) if group else None)


def group(key: NetworkKey, name: str) -> EndpointGroup:
    return EndpointGroup(GroupKey(key.tenant, GroupName(name)), GroupId(1), key.name)


def service(key: NetworkKey, name: str, last: int) -> Service:
    vip = IPv4Address(f"10.1.{OCTETS[key]}.{last}")
    return Service(ServiceKey(key.tenant, ServiceName(name)), key.name, (), (), vip)


def world(*records: Record) -> World:
    leases = [
        AddressClaim(each.network, each.address, ClaimPurpose.LEASE, each.node, each.id)
        for each in records
        if isinstance(each, Endpoint)
    ]
    vips = [
        AddressClaim(each.network_key, each.vip, ClaimPurpose.SERVICE, service=each.key.name)
        for each in records
        if isinstance(each, Service)
    ]
    return evolve(World(), map(Change, (*records, *leases, *vips)), 1).world


def ask(known: World, name: str, *attached: NetworkKey) -> list[str] | None:
    """What a container in these networks is told."""
    tenants = {key.tenant for key in attached}
    networks = {key: index_network(each) for key, each in known.populations.items() if key.tenant in tenants}
    own = tuple(names for tenant, names in index_tenants(known).items() if tenant in tenants)
    found = addresses_of_name(name, Scope(own, networks, frozenset(attached)))
    return None if found is None else [str(address) for address in found]


CONTAINERS = world(endpoint(NEAR, 1, "Web"), endpoint(NEAR, 2, "db"), endpoint(FAR, 1, "web"), endpoint(FAR, 3, "log"))


def test_a_name_means_the_container_in_a_network_that_one_shares() -> None:
    assert ask(CONTAINERS, "web", NEAR) == ["10.1.1.1"]
    assert ask(CONTAINERS, "web", FAR) == ["10.1.2.1"]
    assert ask(CONTAINERS, "web", NEAR, FAR) == ["10.1.1.1", "10.1.2.1"]


def test_a_name_of_another_network_of_the_tenant_is_known() -> None:
    assert ask(CONTAINERS, "log", NEAR) == ["10.1.2.3"]


def test_case_does_not_matter_and_strangers_are_unknown() -> None:
    assert ask(CONTAINERS, "WEB", NEAR) == ["10.1.1.1"]
    assert ask(CONTAINERS, "nobody", NEAR) is None


def test_a_container_that_left_its_sandbox_has_no_name() -> None:
    gone = replace(endpoint(NEAR, 1, "web", "db"), sandbox="")
    assert ask(world(gone), "web", NEAR) is None
    assert ask(world(gone), "db", NEAR) is None


def test_a_groups_name_means_all_its_members_in_address_order() -> None:
    members = [endpoint(NEAR, last, f"db{last}", "DB") for last in (9, 3, 5)]
    both = replace(members[1], address_v6=IPv6Address("fd00::3"))
    known = world(group(NEAR, "DB"), members[0], both, members[2], endpoint(NEAR, 1, "web"))
    assert ask(known, "db", NEAR) == ["10.1.1.3", "fd00::3", "10.1.1.5", "10.1.1.9"]
    assert ask(known, "db", FAR) == ["10.1.1.3", "fd00::3", "10.1.1.5", "10.1.1.9"]


def test_a_services_name_means_its_virtual_address() -> None:
    assert ask(world(service(NEAR, "Shop", 200)), "shop", FAR) == ["10.1.1.200"]


def test_services_come_before_groups_and_groups_before_containers() -> None:
    container, member = endpoint(NEAR, 1, "x"), endpoint(FAR, 2, "other", "x")
    assert ask(world(container), "x", NEAR) == ["10.1.1.1"]
    assert ask(world(container, group(FAR, "x"), member), "x", NEAR) == ["10.1.2.2"]
    assert ask(world(container, group(FAR, "x"), member, service(FAR, "x", 9)), "x", NEAR) == ["10.1.2.9"]


def test_a_group_without_members_has_an_empty_answer_unless_a_container_has_its_name() -> None:
    assert ask(world(group(NEAR, "db")), "db", NEAR) == []
    assert ask(world(group(NEAR, "db"), endpoint(NEAR, 1, "db")), "db", NEAR) == ["10.1.1.1"]


def test_no_name_of_another_tenant_is_known() -> None:
    known = world(group(BLUE, "db"), endpoint(BLUE, 1, "web", "db"), service(BLUE, "shop", 9))
    assert [ask(known, name, NEAR) for name in ("db", "web", "shop")] == [None, None, None]
    assert [ask(known, name, BLUE) for name in ("db", "web", "shop")] == [["10.1.3.1"], ["10.1.3.1"], ["10.1.3.9"]]


def test_an_address_has_its_container_or_its_service_for_a_name() -> None:
    known = world(endpoint(FAR, 3, "log"), service(NEAR, "shop", 9))

    def name(address: Address) -> str | None:
        return name_of_address(address, known.populations.values())

    assert name(IPv4Address("10.1.2.3")) == "log"
    assert name(IPv4Address("10.1.1.9")) == "shop"
    assert name(IPv4Address("10.1.2.9")) is None
