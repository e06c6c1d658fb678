"""The maps' rows as bytes: round trips, and the bytes themselves where C reads them."""

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.core.datapath import DatapathId
from isthmus.core.model import Encap, EndpointId, Mac
from isthmus.wire import maps
from isthmus.wire.maps import Identity, Place, PlaceKey, Settings, Traffic

networks = st.integers(0, 2**25 - 1).map(DatapathId)
macs = st.binary(min_size=6, max_size=6).map(lambda raw: Mac(raw.hex(":")))
v4 = st.integers(0, 2**32 - 1).map(IPv4Address)
# Neither unspecified nor IPv4-mapped: an endpoint has no such address.
v6 = st.integers(1 << 64, 2**128 - 1).map(IPv6Address)
names = st.text("0123456789abcdef", min_size=1, max_size=64).map(EndpointId)
holdings = st.one_of(v4.map(lambda a: (a,)), v6.map(lambda a: (a,)), st.tuples(v4, v6), st.just(()))


@given(st.builds(Identity, names, networks, macs, holdings))
def test_an_identity_comes_back(identity: Identity) -> None:
    raw = maps.pack_identity(identity)
    assert len(raw) == maps.SIZES["endpoint"]
    assert maps.parse_identity(raw) == identity


@given(st.builds(PlaceKey, networks, v4 | v6))
def test_a_place_key_comes_back(key: PlaceKey) -> None:
    assert maps.parse_place_key(maps.pack_place_key(key)) == key


@given(st.builds(Place, st.integers(0, 2**31 - 1), v4, macs))
def test_a_place_comes_back(place: Place) -> None:
    assert maps.parse_place(maps.pack_place(place)) == place


@given(st.sampled_from(Encap), v4, st.integers(0, 2**31 - 1), st.integers(0, 99))
def test_numbers_come_back(encap: Encap, vtep: IPv4Address, ifindex: int, reason: int) -> None:
    assert maps.parse_encap(maps.pack_encap(encap)) is encap
    assert maps.parse_vtep_key(maps.pack_vtep_key(vtep)) == vtep
    assert maps.parse_number(maps.pack_number(ifindex)) == ifindex
    assert maps.parse_drop_key(maps.pack_drop_key(ifindex, reason)) == (ifindex, reason)


def test_settings_as_the_programs_read_them() -> None:
    settings = Settings(0x0102, IPv4Address("192.168.2.10"), 8472, fast_receive=True)
    assert maps.pack_settings(settings) == bytes.fromhex("02010000 c0a8020a 2118 01 00")


def test_an_address_of_version_four_is_mapped() -> None:
    key = maps.pack_place_key(PlaceKey(DatapathId(7), IPv4Address("10.1.0.1")))
    assert key == bytes.fromhex("07000000 00000000000000000000ffff 0a010001")


def test_counters_of_all_cpus_are_one() -> None:
    row = b"".join(number.to_bytes(8, "little") for number in (1, 2, 3, 4, 10, 20, 30, 40))
    assert maps.sum_traffic(row) == Traffic(11, 22, 33, 44)
    assert maps.sum_drops(row[:24]) == 6


def test_a_name_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="64 characters"):
        maps.pack_identity(Identity(EndpointId("x" * 65), DatapathId(1), Mac("02:00:00:00:00:01"), ()))
