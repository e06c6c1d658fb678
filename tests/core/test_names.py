"""Names belong to a tenant; the nearest of several containers of one name is meant."""

from dataclasses import replace
from ipaddress import IPv4Address

from isthmus.core.model import (
    Address,
    AddressClaim,
    ClaimPurpose,
    Endpoint,
    EndpointId,
    NetworkKey,
    NetworkName,
    NodeName,
    TenantName,
    mac_of,
)
from isthmus.core.names import addresses_of_name, index_names, name_of_address
from isthmus.core.world import Population

NEAR = NetworkKey(TenantName("default"), NetworkName("near"))
FAR = NetworkKey(TenantName("default"), NetworkName("far"))


def endpoint(key: NetworkKey, last: int, container: str) -> Endpoint:
    address = IPv4Address(f"10.1.{1 if key == NEAR else 2}.{last}")
    identity = EndpointId(f"{key.name}-{last}")
    return Endpoint(identity, key, NodeName("n"), mac_of(address), address, container=container, sandbox="/s")


def population(*endpoints: Endpoint) -> Population:
    claims: dict[Address, AddressClaim] = {
        each.address: AddressClaim(each.network, each.address, ClaimPurpose.LEASE, each.node, each.id)
        for each in endpoints
    }
    return Population({each.id: each for each in endpoints}, claims)


POPULATIONS = {
    NEAR: population(endpoint(NEAR, 1, "Web"), endpoint(NEAR, 2, "db")),
    FAR: population(endpoint(FAR, 1, "web"), endpoint(FAR, 3, "log")),
}
INDEXES = {key: index_names(each) for key, each in POPULATIONS.items()}


def ask(name: str, *attached: NetworkKey) -> list[str] | None:
    found = addresses_of_name(name, INDEXES, frozenset(attached))
    return None if found is None else [str(address) for address in found]


def test_a_name_means_the_container_in_a_network_that_one_shares() -> None:
    assert ask("web", NEAR) == ["10.1.1.1"]
    assert ask("web", FAR) == ["10.1.2.1"]
    assert ask("web", NEAR, FAR) == ["10.1.1.1", "10.1.2.1"]


def test_a_name_of_another_network_of_the_tenant_is_known() -> None:
    assert ask("log", NEAR) == ["10.1.2.3"]


def test_case_does_not_matter_and_strangers_are_unknown() -> None:
    assert ask("WEB", NEAR) == ["10.1.1.1"]
    assert ask("nobody", NEAR) is None


def test_a_container_that_left_its_sandbox_has_no_name() -> None:
    gone = replace(endpoint(NEAR, 1, "web"), sandbox="")
    assert index_names(population(gone)) == {}


def test_an_address_has_its_container_for_a_name() -> None:
    assert name_of_address(IPv4Address("10.1.2.3"), POPULATIONS.values()) == "log"
    assert name_of_address(IPv4Address("10.1.2.9"), POPULATIONS.values()) is None
