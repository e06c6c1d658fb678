"""Docker's plugin protocol (`NetworkDriver.*`, `IpamDriver.*`): JSON to typed calls, answers to JSON.

A call is a frozen value whose fields say under which JSON name they arrive. Docker writes what it does not
know as an empty string; here that is None. `Plugin.Activate` and the capability calls carry nothing and are
answered by the constants below; the Discover calls name hosts, which we know better from etcd.

Source: moby libnetwork docs/remote.md and docs/ipam.md.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_interface, ip_network
from typing import Annotated, NewType, TypeVar

from pydantic import AliasPath, BeforeValidator, Field, TypeAdapter, ValidationError

from isthmus.core.datapath import Owner
from isthmus.core.errors import InvalidError
from isthmus.core.model import (
    DEFAULT_TENANT,
    Address,
    EndpointId,
    GroupName,
    Mac,
    NetworkKey,
    NetworkName,
    TenantName,
)

DRIVER = "netplugin"  # the name that users and engines know us by
CONTENT_TYPE = "application/vnd.docker.plugins.v1.1+json"
LOCAL_SPACE = "isthmus-local"
GLOBAL_SPACE = "isthmus-global"

DockerNetworkId = NewType("DockerNetworkId", str)  # differs from engine to engine
Prefix = IPv4Network | IPv6Network

_T = TypeVar("_T")


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


# One error to any of these and the engine gives the driver up until it restarts: so no code runs for them.
ACTIVATION = _json({"Implements": ["NetworkDriver", "IpamDriver"]})
NETWORK_CAPABILITIES = _json({"Scope": "local"})
IPAM_CAPABILITIES = _json({"RequiresMACAddress": False, "RequiresRequestReplay": False})
ADDRESS_SPACES = _json({"LocalDefaultAddressSpace": LOCAL_SPACE, "GlobalDefaultAddressSpace": GLOBAL_SPACE})
OK = b"{}"


# --- Pool ids: the only place where an engine repeats to us whose pool it asks about ---


@dataclass(frozen=True, slots=True)
class Pool:
    """One address family of a network, or of a group of it, as an engine knows it."""

    owner: Owner
    prefix: Prefix


def pool_id(owner: Owner, prefix: Prefix) -> str:
    """The id we give a pool: `tenant/network|10.1.2.0/24`, or `tenant/network/group|...`."""
    names = (owner.network.tenant, owner.network.name, *([owner.group] if owner.group else []))
    return f"{'/'.join(names)}|{prefix}"


def parse_pool_id(text: str) -> Pool:
    """The pool behind an id that `pool_id` made.

    Raises:
        InvalidError: the id is not of that form.
    """
    owner, bar, prefix = text.partition("|")
    names = owner.split("/")
    if not bar or len(names) not in {2, 3} or not all(names):
        raise InvalidError(f"pool id {text!r}: not of the form tenant/network|prefix")
    group = GroupName(names[2]) if len(names) == 3 else None
    key = NetworkKey(TenantName(names[0]), NetworkName(names[1]))
    try:
        return Pool(Owner(key, group), ip_network(prefix))
    except ValueError as error:
        raise InvalidError(f"pool id {text!r}: {error}") from error


# --- How single fields arrive ---


def _bare(value: object) -> object:
    """An address without the prefix length that some calls append; the bare subnet stands for no address."""
    if not isinstance(value, str) or not value:
        return value or None
    interface = ip_interface(value)
    is_subnet = interface.network.num_addresses > 1 and interface.ip == interface.network.network_address
    return None if is_subnet else interface.ip


def _lax_prefix(value: object) -> object:
    return ip_network(value, strict=False) if isinstance(value, str) and value else value or None


def _pool(value: object) -> object:
    return parse_pool_id(value) if isinstance(value, str) else value


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) and value else None


_NetworkId = Annotated[DockerNetworkId, Field(validation_alias="NetworkID", min_length=1)]
_EndpointId = Annotated[EndpointId, Field(validation_alias="EndpointID", min_length=1)]
_PoolId = Annotated[Pool, Field(validation_alias="PoolID"), BeforeValidator(_pool)]
_Mac = Annotated[Mac, Field(pattern=r"^[0-9a-f]{2}(:[0-9a-f]{2}){5}$")]
_MaybeMac = Annotated[_Mac | None, BeforeValidator(_lower)]
_MaybeV4 = Annotated[IPv4Address | None, BeforeValidator(_bare)]
_MaybeV6 = Annotated[IPv6Address | None, BeforeValidator(_bare)]
_MaybeAddress = Annotated[Address | None, BeforeValidator(_bare)]
_MaybePrefix = Annotated[Prefix | None, BeforeValidator(_lax_prefix)]
_EmptyIsNone = BeforeValidator(lambda value: value or None)
_NoneIsEmpty = BeforeValidator(lambda value: () if value is None else value)
_Options = Annotated[Mapping[str, str], BeforeValidator(lambda value: {} if value is None else value)]


@dataclass(frozen=True, slots=True)
class IpamData:
    """One subnet of a network to be created; another's `address_space` means that another IPAM serves it."""

    address_space: Annotated[str, Field(validation_alias="AddressSpace")] = ""
    pool: Annotated[_MaybePrefix, Field(validation_alias="Pool")] = None
    gateway: Annotated[_MaybeAddress, Field(validation_alias="Gateway")] = None


_IpamList = Annotated[tuple[IpamData, ...], _NoneIsEmpty]


@dataclass(frozen=True, slots=True)
class CreateNetwork:
    """A network comes into being on this engine. Neither its name nor its IPAM options are told."""

    network_id: _NetworkId
    options: Annotated[_Options, Field(validation_alias=AliasPath("Options", "com.docker.network.generic"))] = field(
        default_factory=dict
    )
    v4: Annotated[_IpamList, Field(validation_alias="IPv4Data")] = ()
    v6: Annotated[_IpamList, Field(validation_alias="IPv6Data")] = ()

    @property
    def has_foreign_ipam(self) -> bool:
        """Whether somebody else would give its addresses, on every host the same ones."""
        return any(each.address_space not in {LOCAL_SPACE, GLOBAL_SPACE} for each in (*self.v4, *self.v6))


@dataclass(frozen=True, slots=True)
class DeleteNetwork:
    """A network has been removed from this engine."""

    network_id: _NetworkId


@dataclass(frozen=True, slots=True)
class AllocateNetwork:
    """Swarm mode: a manager asks for cluster-wide options of a network."""

    network_id: _NetworkId
    options: Annotated[_Options, Field(validation_alias="Options")] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FreeNetwork:
    """Swarm mode: the reverse of `AllocateNetwork`."""

    network_id: _NetworkId


@dataclass(frozen=True, slots=True)
class PortBinding:
    """A published port; `protocol` is IP's number, 6 TCP, 17 UDP."""

    protocol: Annotated[int, Field(validation_alias="Proto")]
    port: Annotated[int, Field(validation_alias="Port")]
    host_address: Annotated[_MaybeAddress, Field(validation_alias="HostIP")] = None
    host_port: Annotated[int, Field(validation_alias="HostPort")] = 0


_Ports = Annotated[
    tuple[PortBinding, ...],
    _NoneIsEmpty,
    Field(validation_alias=AliasPath("Options", "com.docker.network.portmap")),
]


@dataclass(frozen=True, slots=True)
class CreateEndpoint:
    """A container gets a leg; `mac` is None unless the user chose one, and then must not be answered."""

    network_id: _NetworkId
    endpoint_id: _EndpointId
    address: Annotated[_MaybeV4, Field(validation_alias=AliasPath("Interface", "Address"))] = None
    address_v6: Annotated[_MaybeV6, Field(validation_alias=AliasPath("Interface", "AddressIPv6"))] = None
    mac: Annotated[_MaybeMac, Field(validation_alias=AliasPath("Interface", "MacAddress"))] = None


@dataclass(frozen=True, slots=True)
class _EndpointCall:
    network_id: _NetworkId
    endpoint_id: _EndpointId


class EndpointInfo(_EndpointCall):
    """What is there to know of an endpoint? (EndpointOperInfo)"""

    __slots__ = ()


class Leave(_EndpointCall):
    """An endpoint leaves its sandbox."""

    __slots__ = ()


class DeleteEndpoint(_EndpointCall):
    """An endpoint ends; its addresses are released by calls of their own."""

    __slots__ = ()


class RevokeExternalConnectivity(_EndpointCall):
    """An endpoint is no longer its sandbox's way out."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Join:
    """An endpoint enters a sandbox; the file `sandbox` may become a network namespace only later."""

    network_id: _NetworkId
    endpoint_id: _EndpointId
    sandbox: Annotated[str, Field(validation_alias="SandboxKey", min_length=1)]


@dataclass(frozen=True, slots=True)
class ProgramExternalConnectivity:
    """Published ports of an endpoint that is its sandbox's way out."""

    network_id: _NetworkId
    endpoint_id: _EndpointId
    ports: _Ports = ()


_IPAM_TENANT = AliasPath("Options", "tenant")
_IPAM_NETWORK = AliasPath("Options", "network")
_IPAM_GROUP = AliasPath("Options", "group")


_NO_NAME = NetworkName("")


@dataclass(frozen=True, slots=True)
class RequestPool:
    """A network's address family is asked for; tenant, network and group are its IPAM options.

    `name` is empty where a user made a network without these options.
    """

    name: Annotated[NetworkName, Field(validation_alias=_IPAM_NETWORK)] = _NO_NAME
    tenant: Annotated[TenantName, Field(validation_alias=_IPAM_TENANT, min_length=1)] = DEFAULT_TENANT
    group: Annotated[GroupName | None, _EmptyIsNone, Field(validation_alias=_IPAM_GROUP)] = None
    pool: Annotated[_MaybePrefix, Field(validation_alias="Pool")] = None
    sub_pool: Annotated[_MaybePrefix, Field(validation_alias="SubPool")] = None
    is_v6: Annotated[bool, Field(validation_alias="V6")] = False

    @property
    def owner(self) -> Owner:
        """Whose pool is asked for."""
        return Owner(NetworkKey(self.tenant, self.name), self.group)


@dataclass(frozen=True, slots=True)
class ReleasePool:
    """A Docker network gives its pool up; others may still use the same one."""

    pool: _PoolId


_ADDRESS_TYPE = AliasPath("Options", "RequestAddressType")
_GATEWAY_TYPE = "com.docker.network.gateway"


@dataclass(frozen=True, slots=True)
class RequestAddress:
    """An address is asked for: the one wished, or any; nothing says for whom."""

    pool: _PoolId
    address: Annotated[_MaybeAddress, Field(validation_alias="Address")] = None
    is_gateway: Annotated[
        bool,
        BeforeValidator(lambda kind: kind == _GATEWAY_TYPE),
        Field(validation_alias=_ADDRESS_TYPE),
    ] = False


@dataclass(frozen=True, slots=True)
class ReleaseAddress:
    """An address is given back."""

    pool: _PoolId
    address: Annotated[Address, Field(validation_alias="Address"), BeforeValidator(_bare)]


def _parser(call: str, kind: type[_T]) -> Callable[[bytes], _T]:
    adapter = TypeAdapter(kind)

    def parse(body: bytes) -> _T:
        if not body.strip():
            raise InvalidError(f"{call}: empty request; the engine retried a call that was cut")
        try:
            return adapter.validate_json(body)
        except ValidationError as error:
            raise InvalidError(f"{call}: {_first(error)}") from error
        except InvalidError as error:
            raise InvalidError(f"{call}: {error}") from error

    return parse


def _first(error: ValidationError) -> str:
    fault = error.errors(include_url=False, include_context=False)[0]
    where = ".".join(str(part) for part in fault["loc"] if "[" not in str(part))  # "[": a union's member
    return f"{where}: {fault['msg']}" if where else fault["msg"]


# Each takes a request's body and raises InvalidError, which names the call and the field.
parse_create_network = _parser("NetworkDriver.CreateNetwork", CreateNetwork)
parse_delete_network = _parser("NetworkDriver.DeleteNetwork", DeleteNetwork)
parse_allocate_network = _parser("NetworkDriver.AllocateNetwork", AllocateNetwork)
parse_free_network = _parser("NetworkDriver.FreeNetwork", FreeNetwork)
parse_create_endpoint = _parser("NetworkDriver.CreateEndpoint", CreateEndpoint)
parse_endpoint_info = _parser("NetworkDriver.EndpointOperInfo", EndpointInfo)
parse_join = _parser("NetworkDriver.Join", Join)
parse_leave = _parser("NetworkDriver.Leave", Leave)
parse_delete_endpoint = _parser("NetworkDriver.DeleteEndpoint", DeleteEndpoint)
parse_program_external_connectivity = _parser("NetworkDriver.ProgramExternalConnectivity", ProgramExternalConnectivity)
parse_revoke_external_connectivity = _parser("NetworkDriver.RevokeExternalConnectivity", RevokeExternalConnectivity)
parse_request_pool = _parser("IpamDriver.RequestPool", RequestPool)
parse_release_pool = _parser("IpamDriver.ReleasePool", ReleasePool)
parse_request_address = _parser("IpamDriver.RequestAddress", RequestAddress)
parse_release_address = _parser("IpamDriver.ReleaseAddress", ReleaseAddress)


# --- Answers; a call that has nothing to say is answered `OK` ---


def render_error(text: str) -> bytes:
    """A refusal. Network calls are read for `Err`, IPAM calls for `Error`; so both are there."""
    return _json({"Err": text, "Error": text})


def render_pool(identity: str, prefix: Prefix) -> bytes:
    """The answer to RequestPool; `identity` is what `pool_id` gave."""
    return _json({"PoolID": identity, "Pool": str(prefix)})


def render_address(address: Address, prefix: Prefix) -> bytes:
    """The answer to RequestAddress: the address and its subnet's length.

    Asked for a gateway where there is none, answer the prefix's own address: nobody will see or use it.
    """
    return _json({"Address": f"{address}/{prefix.prefixlen}"})


def render_endpoint(mac: Mac | None) -> bytes:
    """The answer to CreateEndpoint; None where the request had a MAC, which must not be said again."""
    return _json({"Interface": {} if mac is None else {"MacAddress": mac}})


def render_endpoint_info(values: Mapping[str, str]) -> bytes:
    """The answer to EndpointOperInfo."""
    return _json({"Value": dict(values)})


def render_allocated(options: Mapping[str, str]) -> bytes:
    """The answer to AllocateNetwork: the options that every node will be told."""
    return _json({"Options": dict(options)})


def render_join(link: str, gateway: IPv4Address | None = None, gateway_v6: IPv6Address | None = None) -> bytes:
    """The answer to Join: the link that the engine moves in and names ethN.

    Without a gateway the engine adds its own way out, docker_gwbridge, with NAT and published ports.
    """
    answer: dict[str, object] = {"InterfaceName": {"SrcName": link, "DstPrefix": "eth"}}
    if gateway:
        answer["Gateway"] = str(gateway)
    if gateway_v6:
        answer["GatewayIPv6"] = str(gateway_v6)
    return _json(answer)
