"""Docker's plugin protocol: bodies as real engines send them, and answers as they read them."""

import json
import string
from collections.abc import Callable
from contextlib import suppress
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.core.datapath import Owner
from isthmus.core.errors import InvalidError
from isthmus.core.model import EndpointId, GroupName, Mac, NetworkKey, NetworkName, TenantName
from isthmus.wire import docker

NETWORK_ID = docker.DockerNetworkId("76e56922166e")
ENDPOINT_ID = EndpointId("8b6ad14a")
KEY = NetworkKey(TenantName("default"), NetworkName("contiv-net"))
PREFIX = IPv4Network("10.1.2.0/24")
OWNER = Owner(KEY)
POOL = docker.Pool(OWNER, PREFIX)
POOL_TEXT = "default/contiv-net|10.1.2.0/24"

Parser = Callable[[bytes], object]

CALLS: list[tuple[Parser, dict[str, object], object]] = [
    (
        docker.parse_create_network,
        {
            "NetworkID": NETWORK_ID,
            "Options": {
                "com.docker.network.enable_ipv6": False,
                "com.docker.network.generic": {"tenant": "blue", "encap": "vxlan", "pkt-tag": "2"},
            },
            "IPv4Data": [{"AddressSpace": docker.LOCAL_SPACE, "Pool": "10.1.2.0/24", "Gateway": "10.1.2.254/24"}],
            "IPv6Data": [],
        },
        docker.CreateNetwork(
            NETWORK_ID,
            {"tenant": "blue", "encap": "vxlan", "pkt-tag": "2"},
            (docker.IpamData(docker.LOCAL_SPACE, PREFIX, IPv4Address("10.1.2.254")),),
        ),
    ),
    (
        docker.parse_create_network,
        {
            "NetworkID": NETWORK_ID,
            "Options": None,
            "IPv4Data": [{"AddressSpace": "LocalDefault", "Pool": "10.1.2.0/24", "Gateway": "10.1.2.0/24"}],
            "IPv6Data": None,
        },
        docker.CreateNetwork(NETWORK_ID, {}, (docker.IpamData("LocalDefault", PREFIX),)),
    ),
    (docker.parse_delete_network, {"NetworkID": NETWORK_ID}, docker.DeleteNetwork(NETWORK_ID)),
    (
        docker.parse_allocate_network,
        {"NetworkID": NETWORK_ID, "Options": {"contiv-tag": "t"}, "IPv4Data": []},
        docker.AllocateNetwork(NETWORK_ID, {"contiv-tag": "t"}),
    ),
    (docker.parse_free_network, {"NetworkID": NETWORK_ID}, docker.FreeNetwork(NETWORK_ID)),
    (
        docker.parse_create_endpoint,
        {
            "NetworkID": NETWORK_ID,
            "EndpointID": ENDPOINT_ID,
            "Interface": {"Address": "10.1.2.1/24", "AddressIPv6": "", "MacAddress": ""},
            "Options": {
                "com.docker.network.endpoint.exposedports": [{"Proto": 6, "Port": 9099}],
                "com.docker.network.portmap": [{"Proto": 6, "Port": 9099, "HostPort": 9099}],
            },
        },
        docker.CreateEndpoint(NETWORK_ID, ENDPOINT_ID, IPv4Address("10.1.2.1")),
    ),
    (
        docker.parse_create_endpoint,
        {
            "NetworkID": NETWORK_ID,
            "EndpointID": ENDPOINT_ID,
            "Interface": {
                "Address": "10.1.2.1/24",
                "AddressIPv6": "fd00::1/64",
                "MacAddress": "02:42:AC:11:00:02",
            },
            "Options": None,
        },
        docker.CreateEndpoint(
            NETWORK_ID,
            ENDPOINT_ID,
            IPv4Address("10.1.2.1"),
            IPv6Address("fd00::1"),
            Mac("02:42:ac:11:00:02"),
        ),
    ),
    (
        docker.parse_create_endpoint,
        {"NetworkID": NETWORK_ID, "EndpointID": ENDPOINT_ID, "Interface": None},
        docker.CreateEndpoint(NETWORK_ID, ENDPOINT_ID),
    ),
    (
        docker.parse_endpoint_info,
        {"NetworkID": NETWORK_ID, "EndpointID": ENDPOINT_ID},
        docker.EndpointInfo(NETWORK_ID, ENDPOINT_ID),
    ),
    (
        docker.parse_join,
        {
            "NetworkID": NETWORK_ID,
            "EndpointID": ENDPOINT_ID,
            "SandboxKey": "/var/run/docker/netns/336e969f990e",
            "Options": {},
        },
        docker.Join(NETWORK_ID, ENDPOINT_ID, "/var/run/docker/netns/336e969f990e"),
    ),
    (
        docker.parse_leave,
        {"NetworkID": NETWORK_ID, "EndpointID": ENDPOINT_ID},
        docker.Leave(NETWORK_ID, ENDPOINT_ID),
    ),
    (
        docker.parse_delete_endpoint,
        {"NetworkID": NETWORK_ID, "EndpointID": ENDPOINT_ID},
        docker.DeleteEndpoint(NETWORK_ID, ENDPOINT_ID),
    ),
    (
        docker.parse_program_external_connectivity,
        {
            "NetworkID": NETWORK_ID,
            "EndpointID": ENDPOINT_ID,
            "Options": {
                "com.docker.network.portmap": [
                    {"Proto": 6, "IP": "", "Port": 80, "HostIP": "192.168.2.10", "HostPort": 8080},
                    {"Proto": 17, "IP": "", "Port": 53, "HostIP": "", "HostPort": 0},
                ]
            },
        },
        docker.ProgramExternalConnectivity(
            NETWORK_ID,
            ENDPOINT_ID,
            (
                docker.PortBinding(6, 80, IPv4Address("192.168.2.10"), 8080),
                docker.PortBinding(17, 53),
            ),
        ),
    ),
    (
        docker.parse_revoke_external_connectivity,
        {"NetworkID": NETWORK_ID, "EndpointID": ENDPOINT_ID},
        docker.RevokeExternalConnectivity(NETWORK_ID, ENDPOINT_ID),
    ),
    (
        docker.parse_request_pool,
        {
            "AddressSpace": docker.LOCAL_SPACE,
            "Pool": "10.1.2.0/24",
            "SubPool": "",
            "Options": {"tenant": "blue", "network": "contiv-net"},
            "V6": False,
        },
        docker.RequestPool(NetworkName("contiv-net"), TenantName("blue"), pool=PREFIX),
    ),
    (
        docker.parse_request_pool,
        {"Pool": "", "SubPool": "", "Options": {"network": "n", "group": "db"}, "V6": True},
        docker.RequestPool(NetworkName("n"), TenantName("default"), GroupName("db"), is_v6=True),
    ),
    (docker.parse_release_pool, {"PoolID": POOL_TEXT}, docker.ReleasePool(POOL)),
    (
        docker.parse_request_address,
        {"PoolID": POOL_TEXT, "Address": "", "Options": None},
        docker.RequestAddress(POOL),
    ),
    (
        docker.parse_request_address,
        {"PoolID": POOL_TEXT, "Address": "10.1.2.50", "Options": {}},
        docker.RequestAddress(POOL, IPv4Address("10.1.2.50")),
    ),
    (
        docker.parse_request_address,
        {
            "PoolID": POOL_TEXT,
            "Address": "",
            "Options": {"RequestAddressType": "com.docker.network.gateway"},
        },
        docker.RequestAddress(POOL, is_gateway=True),
    ),
    (
        docker.parse_release_address,
        {"PoolID": POOL_TEXT, "Address": "10.1.2.50"},
        docker.ReleaseAddress(POOL, IPv4Address("10.1.2.50")),
    ),
]
PARSERS = list(dict.fromkeys(parse for parse, _, _ in CALLS))


@pytest.mark.parametrize(("parse", "body", "meant"), CALLS, ids=lambda each: type(each).__name__)
def test_a_call_is_read_as_meant(parse: Parser, body: dict[str, object], meant: object) -> None:
    assert parse(json.dumps(body).encode()) == meant


@pytest.mark.parametrize("parse", PARSERS)
@pytest.mark.parametrize("body", [b"", b"\n"])
def test_an_empty_body_is_refused_with_its_cause(parse: Parser, body: bytes) -> None:
    with pytest.raises(InvalidError, match=r"Driver\.\w+: empty request; the engine retried a call"):
        parse(body)


@pytest.mark.parametrize(
    ("parse", "body", "text"),
    [
        (docker.parse_join, b'{"NetworkID": "n", "EndpointID": "e"}', r"NetworkDriver\.Join: SandboxKey: "),
        (docker.parse_join, b'{"NetworkID": ""}', r"NetworkDriver\.Join: NetworkID: "),
        (docker.parse_join, b'{"NetworkID"', r"NetworkDriver\.Join: Invalid JSON"),
        (docker.parse_leave, b"[]", r"NetworkDriver\.Leave: "),
        (
            docker.parse_request_pool,
            b'{"Options": {"network": "n"}, "Pool": "10.1/99"}',
            r"IpamDriver\.RequestPool: Pool: .*10\.1/99",
        ),
        (docker.parse_request_address, b'{"PoolID": "LocalDefault"}', r"RequestAddress: pool id 'LocalDefault'"),
        (docker.parse_release_address, b'{"PoolID": "a/b|10.0.0.0/8", "Address": "x"}', r"Address: .*'x'"),
        (docker.parse_release_address, b'{"PoolID": "a/b|10.0.0.0/8", "Address": ""}', r"Address: "),
        (
            docker.parse_create_endpoint,
            b'{"NetworkID": "n", "EndpointID": "e", "Interface": {"MacAddress": "02:42"}}',
            r"NetworkDriver\.CreateEndpoint: Interface\.MacAddress: ",
        ),
        (
            docker.parse_create_endpoint,
            b'{"NetworkID": "n", "EndpointID": "e", "Interface": {"Address": "fd00::1/64"}}',
            r"NetworkDriver\.CreateEndpoint: Interface\.Address: ",
        ),
    ],
)
def test_a_malformed_call_is_refused_by_call_and_field(parse: Parser, body: bytes, text: str) -> None:
    with pytest.raises(InvalidError, match=text):
        parse(body)


@given(st.binary(max_size=60) | st.from_regex(r"\{.*\}").map(str.encode), st.sampled_from(PARSERS))
def test_any_bytes_are_a_call_or_are_refused(body: bytes, parse: Parser) -> None:
    with suppress(InvalidError):
        parse(body)


def test_dockers_own_ipam_is_seen() -> None:
    ours = docker.IpamData(docker.LOCAL_SPACE, PREFIX)
    theirs = docker.IpamData("LocalDefault", PREFIX)
    assert not docker.CreateNetwork(NETWORK_ID, {}, (ours,)).has_foreign_ipam
    assert docker.CreateNetwork(NETWORK_ID, {}, (ours,), (theirs,)).has_foreign_ipam


_NAMES = st.text(string.ascii_letters + string.digits + "_.-:", min_size=1, max_size=64)
_PREFIXES = st.one_of(
    st.tuples(st.ip_addresses(v=4), st.integers(0, 32)), st.tuples(st.ip_addresses(v=6), st.integers(0, 128))
).map(lambda pair: ip_network(pair, strict=False))


@given(_NAMES, _NAMES, st.none() | _NAMES, _PREFIXES)
def test_a_pool_id_says_whose_pool_it_is(tenant: str, network: str, group: str | None, prefix: docker.Prefix) -> None:
    key = NetworkKey(TenantName(tenant), NetworkName(network))
    member = None if group is None else GroupName(group)
    owner = Owner(key, member)
    assert docker.parse_pool_id(docker.pool_id(owner, prefix)) == docker.Pool(owner, prefix)


def test_pool_ids_of_real_networks() -> None:
    assert docker.pool_id(OWNER, PREFIX) == POOL_TEXT
    assert docker.pool_id(OWNER, IPv6Network("fd00::/64")) == "default/contiv-net|fd00::/64"
    assert docker.pool_id(Owner(KEY, GroupName("db")), PREFIX) == "default/contiv-net/db|10.1.2.0/24"


@pytest.mark.parametrize("text", ["", "|", "a|10.0.0.0/8", "a/b", "a/|10.0.0.0/8", "a/b/c/d|10.0.0.0/8", "a/b|x"])
def test_other_pool_ids_are_refused(text: str) -> None:
    with pytest.raises(InvalidError, match="pool id"):
        docker.parse_pool_id(text)


@pytest.mark.parametrize(
    ("rendered", "said"),
    [
        (docker.ACTIVATION, {"Implements": ["NetworkDriver", "IpamDriver"]}),
        (docker.NETWORK_CAPABILITIES, {"Scope": "local"}),
        (docker.IPAM_CAPABILITIES, {"RequiresMACAddress": False, "RequiresRequestReplay": False}),
        (
            docker.ADDRESS_SPACES,
            {"LocalDefaultAddressSpace": "isthmus-local", "GlobalDefaultAddressSpace": "isthmus-global"},
        ),
        (docker.OK, {}),
        (docker.render_error("no"), {"Err": "no", "Error": "no"}),
        (docker.render_pool(POOL_TEXT, PREFIX), {"PoolID": POOL_TEXT, "Pool": "10.1.2.0/24"}),
        (docker.render_address(IPv4Address("10.1.2.3"), PREFIX), {"Address": "10.1.2.3/24"}),
        (docker.render_address(PREFIX.network_address, PREFIX), {"Address": "10.1.2.0/24"}),
        (
            docker.render_endpoint(Mac("02:02:0a:01:02:01")),
            {"Interface": {"MacAddress": "02:02:0a:01:02:01"}},
        ),
        (docker.render_endpoint(None), {"Interface": {}}),
        (docker.render_endpoint_info({"tenant": "blue"}), {"Value": {"tenant": "blue"}}),
        (docker.render_allocated({"a": "b"}), {"Options": {"a": "b"}}),
        (docker.render_join("isc1"), {"InterfaceName": {"SrcName": "isc1", "DstPrefix": "eth"}}),
        (
            docker.render_join("isc1", IPv4Address("10.1.2.254"), IPv6Address("fd00::fe")),
            {
                "InterfaceName": {"SrcName": "isc1", "DstPrefix": "eth"},
                "Gateway": "10.1.2.254",
                "GatewayIPv6": "fd00::fe",
            },
        ),
    ],
)
def test_an_answer_is_the_json_that_engines_read(rendered: bytes, said: dict[str, object]) -> None:
    assert json.loads(rendered) == said
