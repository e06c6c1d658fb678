"""Which VNI or VLAN id a network gets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.core.errors import ConflictError, ExhaustedError, InvalidError
from isthmus.core.model import Encap, NetworkKey, NetworkName, Range, Settings, Tag, TenantName
from isthmus.core.tags import allocate_tag

SETTINGS = Settings(vlans=Range(10, 12), vnis=Range(1, 5))
OWNER = NetworkKey(TenantName("blue"), NetworkName("net"))


def test_the_lowest_free_tag_is_given() -> None:
    assert allocate_tag(SETTINGS, Encap.VLAN, {}) == 10
    assert allocate_tag(SETTINGS, Encap.VXLAN, {Tag(1): OWNER, Tag(3): OWNER}) == 2


def test_a_wish_is_granted_within_the_range() -> None:
    assert allocate_tag(SETTINGS, Encap.VLAN, {Tag(10): OWNER}, wish=12) == 12


def test_a_tag_that_is_held_is_refused_with_its_holder() -> None:
    with pytest.raises(ConflictError, match="vlan 11 is not available: network blue:net holds it"):
        allocate_tag(SETTINGS, Encap.VLAN, {Tag(11): OWNER}, wish=11)


@pytest.mark.parametrize(
    ("encap", "wish", "text"),
    [
        (Encap.VLAN, 9, "vlan 9 is out of range 10-12"),
        (Encap.VLAN, 13, "vlan 13 is out of range 10-12"),
        (Encap.VXLAN, 6, "vxlan 6 is out of range 1-5"),
    ],
)
def test_a_wish_outside_the_range_is_refused_with_the_range(encap: Encap, wish: int, text: str) -> None:
    with pytest.raises(InvalidError, match=text):
        allocate_tag(SETTINGS, encap, {}, wish=wish)


def test_a_range_that_is_used_up_is_named() -> None:
    with pytest.raises(ExhaustedError, match="no vlans available: every one of 10-12 is in use"):
        allocate_tag(SETTINGS, Encap.VLAN, dict.fromkeys(map(Tag, (10, 11, 12)), OWNER))


@given(st.sets(st.integers(1, 5)))
def test_a_tag_is_never_given_twice(taken: set[int]) -> None:
    owners = dict.fromkeys(map(Tag, taken), OWNER)
    if len(taken) < 5:
        assert allocate_tag(SETTINGS, Encap.VXLAN, owners) == min({1, 2, 3, 4, 5} - taken)
    else:
        with pytest.raises(ExhaustedError):
            allocate_tag(SETTINGS, Encap.VXLAN, owners)
