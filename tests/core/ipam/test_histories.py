"""The laws of addresses over any history of claims, wishes, releases, and pools that come and go."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, IPv4Network, IPv6Address
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isthmus.core.errors import ConflictError, ExhaustedError, InvalidError, IsthmusError
from isthmus.core.ipam import (
    allocated_text,
    available_text,
    check_pool,
    check_wish,
    group_allocated_text,
    group_available_text,
    next_free,
    share_of,
    size,
    usable,
)
from isthmus.core.model import Address, AllocationCursor, EndpointGroup, GroupKey, GroupName, Network, Span
from tests.core.ipam.subjects import KEY, TENANT, group, listed, network

NAMES = (None, GroupName("a"), GroupName("b"), GroupName("c"))


@st.composite
def networks(draw: st.DrawFn) -> Network:
    """Small ones: with host bits, with ranges, with gateways inside and outside a range."""
    length = draw(st.sampled_from([27, 27, 27, 28, 29, 31]))
    low = draw(st.integers(0, 31))
    high = draw(st.integers(low, 31))
    prefix = IPv4Network((f"10.1.1.{low}", length), strict=False)
    is_range = IPv4Address(f"10.1.1.{high}") in prefix and draw(st.booleans())
    hosts = list(prefix.hosts()) if length < 31 else []
    gateway = draw(st.sampled_from(["", *map(str, hosts)]))
    gateway_v6 = draw(st.sampled_from(["", "fd00::1", "fd00::5"]))
    return network(f"10.1.1.{low}{f'-10.1.1.{high}' if is_range else ''}/{length}", gateway, "fd00::9/124", gateway_v6)


@dataclass
class History:
    """A network, its groups, who holds what, and the last given of each share; and what a plain set would say."""

    network: Network
    groups: dict[GroupName, EndpointGroup] = field(default_factory=dict)
    held: set[Address] = field(default_factory=set)
    cursors: dict[GroupName | None, AllocationCursor] = field(default_factory=dict)

    def whole(self, *, is_v6: bool) -> set[Address]:
        return {
            _address(number, is_v6)
            for first, last in usable(self.network, is_v6=is_v6)
            for number in range(first, last + 1)
        }

    def theirs(self, name: GroupName | None, *, is_v6: bool) -> set[Address]:
        """What members of a group may get, free or not."""
        own = self._pool(name, is_v6)
        if own:
            return own
        pools = (self._pool(other, is_v6) for other in self.groups)
        return self.whole(is_v6=is_v6).difference(*pools)

    def _pool(self, name: GroupName | None, is_v6: bool) -> set[Address]:
        spans = [self.groups[name].pool_v6 if is_v6 else self.groups[name].pool] if name in self.groups else []
        return {each for span in spans if span for each in self.whole(is_v6=is_v6) if each in span}

    def claim(self, name: GroupName | None, choice: int, *, is_v6: bool) -> None:
        share = share_of(self.network, self.groups.values(), name)
        free = self.theirs(name, is_v6=is_v6) - self.held
        cursor = self.cursors.get(name, AllocationCursor(KEY))
        if not free:
            with pytest.raises(ExhaustedError):
                next_free(share, self.held, cursor, is_v6=is_v6)
            return
        given_address = next_free(share, self.held, cursor, is_v6=is_v6)
        last = cursor.last_v6 if is_v6 else cursor.last
        assert given_address == min(free, key=lambda each: (last is not None and int(each) <= int(last), int(each)))
        self.held.add(given_address)
        key = {"last_v6": given_address} if is_v6 else {"last": given_address}
        self.cursors[name] = replace(cursor, **key)  # type: ignore[arg-type]

    def wish(self, name: GroupName | None, choice: int, *, is_v6: bool) -> None:
        wished = _address(
            int(IPv6Address("fd00::")) + choice if is_v6 else int(IPv4Address("10.1.1.0")) + choice, is_v6
        )
        share = share_of(self.network, self.groups.values(), name)
        if _refusal(lambda: check_wish(share, wished, self.held)) is None:
            assert wished in self.theirs(name, is_v6=is_v6) - self.held
            self.held.add(wished)
        else:
            assert wished not in self.theirs(name, is_v6=is_v6) - self.held

    def release(self, _name: GroupName | None, choice: int, *, is_v6: bool) -> None:
        if self.held:
            self.held.remove(sorted(self.held, key=lambda each: (each.version, int(each)))[choice % len(self.held)])

    def divide(self, name: GroupName | None, choice: int, *, is_v6: bool) -> None:
        """A group comes, with a pool of one family."""
        if name is None or name in self.groups:
            return
        base = int(IPv6Address("fd00::")) if is_v6 else int(IPv4Address("10.1.1.0"))
        first, last = (_address(base + choice + more, is_v6) for more in (0, choice % 5))
        key, span = GroupKey(TENANT, name), Span(f"{first}-{last}", first, last)
        wanted = {_address(number, is_v6) for number in range(int(first), int(last) + 1)}
        refusal = _refusal(lambda: check_pool(key, span, self.network, self.groups.values(), self.held))
        if wanted <= self.theirs(None, is_v6=is_v6) - self.held:
            assert refusal is None
            self.groups[name] = replace(group(name), **{"pool_v6" if is_v6 else "pool": span})  # type: ignore[arg-type]
        else:
            assert isinstance(refusal, InvalidError | ConflictError)

    def remove(self, name: GroupName | None, choice: int, *, is_v6: bool) -> None:
        """A group goes, once nobody holds any of its pool."""
        if name in self.groups and not any(each in pool for each in self.held for pool in self.groups[name].pools):
            del self.groups[name]
            self.cursors.pop(name, None)

    def check_texts(self, *, is_v6: bool) -> None:
        whole, groups = self.whole(is_v6=is_v6), self.groups.values()
        gateway = {
            each for each in (self.network.gateway, self.network.gateway_v6) if each and (each.version == 6) is is_v6
        }
        allocated = listed(allocated_text(self.network, self.held, groups, is_v6=is_v6))
        available = listed(available_text(self.network, self.held, groups, is_v6=is_v6))
        assert len(allocated) + len(available) == len(whole | gateway)
        assert {*allocated, *available} == whole | gateway
        assert set(available) == self.theirs(None, is_v6=is_v6) - self.held
        for each in groups:
            free = listed(group_available_text(each, self.network, self.held, groups, is_v6=is_v6))
            assert set(free) == self.theirs(each.key.name, is_v6=is_v6) - self.held
            pool = self._pool(each.key.name, is_v6)
            if pool:
                used = listed(group_allocated_text(each, self.held, [], is_v6=is_v6))
                assert sorted(map(int, [*used, *free])) == sorted(map(int, pool))


ACTS = (History.claim, History.claim, History.wish, History.release, History.divide, History.divide, History.remove)


@settings(max_examples=60)
@given(networks(), st.integers(0, 2**32))
def test_no_history_gives_an_address_twice_or_loses_one(net: Network, seed: int) -> None:
    so_far, rng = History(net), Random(seed)
    for _ in range(40):
        act: Callable[..., None] = rng.choice(ACTS)
        act(so_far, rng.choice(NAMES), rng.randrange(32), is_v6=rng.random() < 0.5)
    for is_v6 in (False, True):
        so_far.check_texts(is_v6=is_v6)


@given(st.integers(1, 254), st.integers(1, 254))
def test_ranged_networks_side_by_side_share_no_address(one: int, other: int) -> None:
    low, high = sorted((one, other))
    below = network(f"10.1.1.0-10.1.1.{low}/24")
    between = network(f"10.1.1.{low + 1}-10.1.1.{high}/24") if low < high else None
    above = network(f"10.1.1.{high + 1}-10.1.1.255/24")
    parts = [usable(each) for each in (below, between, above) if each]
    assert sum(map(size, parts)) == size(usable(network("10.1.1.0/24")))


def _address(number: int, is_v6: bool) -> Address:
    return IPv6Address(number) if is_v6 else IPv4Address(number)


def _refusal(check: Callable[[], None]) -> IsthmusError | None:
    try:
        check()
    except IsthmusError as refusal:
        return refusal
    return None
