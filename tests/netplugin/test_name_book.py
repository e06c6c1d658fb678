"""A sandbox's names follow the world, whatever changes in it."""

from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from isthmus.core.model import (
    Endpoint,
    EndpointGroup,
    EndpointId,
    GroupId,
    GroupKey,
    GroupName,
    NetworkKey,
    NodeName,
    Record,
    Service,
    ServiceKey,
    ServiceName,
    TenantName,
    mac_of,
)
from isthmus.core.world import Change, World, evolve
from isthmus.netplugin.name_turns import NameBook
from tests.netplugin.conftest import KEY

BLUE = replace(KEY, tenant=TenantName("blue"))
HERE, THERE = NodeName("here"), NodeName("there")
ASKER, ELSEWHERE = "/sandbox/asker", "/sandbox/blue"


def endpoint(key: NetworkKey, node: NodeName, last: int, container: str, sandbox: str) -> Endpoint:
    address = IPv4Address(f"10.1.2.{last}")
    born = Endpoint(EndpointId(f"{key}-{last}"), key, node, mac_of(address), address, group=GroupName("db"))
    return replace(born, container=container, sandbox=sandbox)


GROUP = EndpointGroup(GroupKey(KEY.tenant, GroupName("db")), GroupId(1), KEY.name)
SERVICE = Service(ServiceKey(KEY.tenant, ServiceName("shop")), KEY.name, (), (), IPv4Address("10.1.2.9"))
MEMBER = endpoint(KEY, THERE, 2, "db2", "/sandbox/there")


class Book:
    """A name book and its world; two sandboxes are here, each of another tenant."""

    def __init__(self) -> None:
        self.book = NameBook(HERE)
        self.world = World()
        self.change(endpoint(KEY, HERE, 1, "asker", ASKER), endpoint(BLUE, HERE, 1, "blue", ELSEWHERE))

    def change(self, *records: Record, gone: bool = False) -> None:
        changes = [Change(record, is_removal=gone) for record in records]
        evolution = evolve(self.world, changes, self.world.revision + 1)
        self.world = evolution.world
        self.book.learn(evolution)

    def ask(self, name: str, sandbox: str = ASKER) -> list[str] | None:
        found = self.book.addresses(sandbox, name)
        return None if found is None else [str(each) for each in found]


@pytest.fixture
def book() -> Book:
    return Book()


def test_groups_and_services_are_known_from_when_they_come_until_they_go(book: Book) -> None:
    assert (book.ask("db2"), book.ask("shop")) == (None, None)
    for _ in range(2):
        book.change(GROUP, SERVICE, MEMBER)
        assert book.ask("db") == ["10.1.2.1", "10.1.2.2"]
        assert (book.ask("db2"), book.ask("shop")) == (["10.1.2.2"], ["10.1.2.9"])
        book.change(MEMBER, gone=True)
        assert (book.ask("db"), book.ask("db2")) == (["10.1.2.1"], None)
        book.change(GROUP, SERVICE, gone=True)
        assert book.ask("shop") is None


def test_a_tenants_names_are_for_its_sandboxes_only(book: Book) -> None:
    book.change(GROUP, SERVICE, MEMBER)
    assert [book.ask(name, ELSEWHERE) for name in ("shop", "db2", "asker")] == [None, None, None]
    assert book.ask("blue", ELSEWHERE) == ["10.1.2.1"]
    assert book.ask("db", "/no/such/sandbox") is None


def test_a_sandbox_that_is_left_asks_for_nothing(book: Book) -> None:
    assert book.book.sandboxes == {ASKER, ELSEWHERE}
    book.change(endpoint(BLUE, HERE, 1, "blue", ELSEWHERE), gone=True)
    assert book.book.sandboxes == {ASKER}
    assert book.ask("blue", ELSEWHERE) is None
