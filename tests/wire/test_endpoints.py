"""The text of --cluster-store."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.core.errors import InvalidError
from isthmus.wire.endpoints import Endpoint, Endpoints, parse_endpoints


@pytest.mark.parametrize(
    ("text", "members", "is_tls"),
    [
        ("etcd://localhost:2379", [("localhost", 2379)], False),
        ("etcd://a:1,b:2,c", [("a", 1), ("b", 2), ("c", 2379)], False),
        ("etcd://a:1,etcd://b:2", [("a", 1), ("b", 2)], False),
        ("etcds://etcd-1.example.com", [("etcd-1.example.com", 2379)], True),
        ("10.0.0.1", [("10.0.0.1", 2379)], False),
        (" a , b:65535/ ", [("a", 2379), ("b", 65535)], False),
        ("etcd://[::1],[2001:DB8:0::1]:4001", [("::1", 2379), ("2001:db8::1", 4001)], False),
        ("my_host-2.lan.", [("my_host-2.lan.", 2379)], False),
    ],
)
def test_members_ports_and_scheme_are_read(text: str, members: list[tuple[str, int]], is_tls: bool) -> None:
    wanted = Endpoints(tuple(Endpoint(host, port) for host, port in members), is_tls)
    assert parse_endpoints(text) == wanted


@pytest.mark.parametrize(
    "text",
    [
        "",
        "etcd://",
        "etcd://a,,b",
        "http://a:2379",
        "etcd://a,etcds://b",
        "a:",
        "a:0",
        "a:65536",
        "a:-1",
        "a:23x",
        "a:1:2",
        "::1",
        "[::1",
        "[]:2379",
        "[10.0.0.1]",
        "[fe80::1%eth0]",
        "[::1]x",
        "300.1.1.1",
        "1.2.3",
        "a b",
        "-a",
        "a..b",
        "a/path",
        "a" * 64,
        ".".join(["abc"] * 70),
        "a:²",
    ],
)
def test_nonsense_is_refused_by_name(text: str) -> None:
    with pytest.raises(InvalidError, match="cluster store"):
        parse_endpoints(text)


_HOSTS = (
    st.from_regex(r"[a-z]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True)
    | st.ip_addresses(v=4).map(str)
    | st.ip_addresses(v=6).map(str)
)
_MEMBERS = st.builds(Endpoint, _HOSTS, st.integers(1, 65535))


@given(st.builds(Endpoints, st.lists(_MEMBERS, min_size=1, max_size=5).map(tuple), st.booleans()))
def test_the_text_of_endpoints_parses_to_the_same(endpoints: Endpoints) -> None:
    assert parse_endpoints(str(endpoints)) == endpoints
