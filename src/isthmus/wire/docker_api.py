"""Docker's own API: our networks to the JSON that creates them, and the engine's JSON to typed values.

Source: Docker Engine API v1.41, https://docs.docker.com/reference/api/engine/version/v1.41/
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Annotated, Any, TypeVar

from pydantic import AliasPath, BeforeValidator, Field, TypeAdapter, ValidationError

from isthmus.core.datapath import DockerNetwork
from isthmus.core.errors import InvalidError
from isthmus.core.model import ContainerId, Encap, EndpointId, GroupName, NetworkKey, NetworkName, Tag, TenantName
from isthmus.wire.docker import DRIVER, DockerNetworkId

_T = TypeVar("_T")


def render_network_create(network: DockerNetwork) -> dict[str, object]:
    """The body of POST /networks/create.

    `{"Name": str, "CheckDuplicate": true, "Driver": str, "Attachable": true, "EnableIPv6": bool,
    "IPAM": {"Driver": str, "Options": {str: str}, "Config": [{"Subnet": cidr, "Gateway": address}]},
    "Options": {"tenant": str, "encap": str, "pkt-tag": digits}}`
    """
    owner = {"tenant": network.key.tenant, "network": network.key.name}
    if network.group is not None:
        owner["group"] = network.group
    config = [_family(network.subnet, network.gateway)]
    if network.subnet_v6 is not None:
        config.append(_family(network.subnet_v6, network.gateway_v6))
    return {
        "Name": network.name,
        "CheckDuplicate": True,
        "Driver": DRIVER,
        "Attachable": True,
        "EnableIPv6": network.subnet_v6 is not None,
        "IPAM": {"Driver": DRIVER, "Options": owner, "Config": config},
        "Options": {"tenant": network.key.tenant, "encap": network.encap.value, "pkt-tag": str(network.tag)},
    }


def _family(subnet: IPv4Network | IPv6Network, gateway: IPv4Address | IPv6Address | None) -> dict[str, object]:
    config: dict[str, object] = {"Subnet": str(subnet)}
    return config | {"Gateway": str(gateway)} if gateway else config


_OrEmpty = BeforeValidator(lambda value: {} if value is None else value)
_OrNone = BeforeValidator(lambda value: (value or "").split("/")[0] or None)


@dataclass(frozen=True, slots=True)
class _Family:
    subnet: Annotated[IPv4Network | IPv6Network, Field(validation_alias="Subnet")]
    gateway: Annotated[IPv4Address | IPv6Address | None, _OrNone, Field(validation_alias="Gateway")] = None


@dataclass(frozen=True, slots=True)
class _OurNetwork:
    """What inspect says of a network that we created; a network that does not fit is not ours."""

    id: Annotated[DockerNetworkId, Field(validation_alias="Id")]
    name: Annotated[str, Field(validation_alias="Name")]
    driver: Annotated[str, Field(validation_alias="Driver", pattern=f"^{DRIVER}$")]
    tenant: Annotated[TenantName, Field(validation_alias=AliasPath("IPAM", "Options", "tenant"))]
    network: Annotated[NetworkName, Field(validation_alias=AliasPath("IPAM", "Options", "network"))]
    encap: Annotated[Encap, Field(validation_alias=AliasPath("Options", "encap"))]
    tag: Annotated[Tag, Field(validation_alias=AliasPath("Options", "pkt-tag"))]
    families: Annotated[tuple[_Family, ...], Field(validation_alias=AliasPath("IPAM", "Config"))]
    group: Annotated[GroupName | None, Field(validation_alias=AliasPath("IPAM", "Options", "group"))] = None


_OUR_NETWORK = TypeAdapter(_OurNetwork)
_ANY_LIST = TypeAdapter(list[Any])


def parse_networks(body: bytes) -> list[tuple[DockerNetworkId, DockerNetwork]]:
    """The networks of ours, with their ids, in an answer to GET /networks.

    Raises:
        InvalidError: it is not a list.
    """
    found = (_ours(_OUR_NETWORK.validate_python, each) for each in _parsed(_ANY_LIST, body, "list of networks"))
    return [network for network in found if network is not None]


def parse_network(body: bytes) -> DockerNetwork | None:
    """The network of ours in an answer to GET /networks/{id}.

    None where it is not one that `render_network_create` describes: another's, or made by hand and unlike ours.
    """
    found = _ours(_OUR_NETWORK.validate_json, body)
    return found[1] if found else None


def _ours(validate: Callable[[Any], _OurNetwork], inspected: object) -> tuple[DockerNetworkId, DockerNetwork] | None:
    try:
        found = validate(inspected)
    except ValidationError:
        return None
    v4 = [each for each in found.families if isinstance(each.subnet, IPv4Network)]
    v6 = [each for each in found.families if isinstance(each.subnet, IPv6Network)]
    if len(v4) != 1 or len(v6) > 1:
        return None
    return found.id, _assemble(found, v4[0], v6[0] if v6 else None)


def _assemble(found: _OurNetwork, v4: _Family, v6: _Family | None) -> DockerNetwork:
    assert isinstance(v4.subnet, IPv4Network)
    return DockerNetwork(
        name=found.name,
        key=NetworkKey(found.tenant, found.network),
        encap=found.encap,
        tag=found.tag,
        subnet=v4.subnet,
        gateway=v4.gateway if isinstance(v4.gateway, IPv4Address) else None,
        subnet_v6=v6.subnet if v6 and isinstance(v6.subnet, IPv6Network) else None,
        gateway_v6=v6.gateway if v6 and isinstance(v6.gateway, IPv6Address) else None,
        group=found.group,
    )


def _parsed(adapter: TypeAdapter[_T], body: bytes, what: str) -> _T:
    try:
        return adapter.validate_json(body)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        raise InvalidError(f"the engine's {what}: {fault['loc']}: {fault['msg']}") from error


_STRINGS = TypeAdapter(dict[str, str])


def parse_created(body: bytes) -> DockerNetworkId:
    """The id in the answer to POST /networks/create.

    Raises:
        InvalidError: there is none.
    """
    answer = _parsed(_STRINGS, body, "answer to a new network")
    if not answer.get("Id"):
        raise InvalidError("the engine's answer to a new network has no id")
    return DockerNetworkId(answer["Id"])


def parse_refusal(body: bytes) -> str:
    """The engine's own words in an answer that says no: `{"message": str}`."""
    try:
        return _STRINGS.validate_json(body).get("message", "no reason given")
    except ValidationError:
        return body.decode(errors="replace").strip() or "no reason given"


@dataclass(frozen=True, slots=True)
class NamedNetwork:
    """Any network: enough to see whose a name is."""

    name: Annotated[str, Field(validation_alias="Name")]
    driver: Annotated[str, Field(validation_alias="Driver")]


_NAMED_NETWORKS = TypeAdapter(tuple[NamedNetwork, ...])


def parse_named_networks(body: bytes) -> tuple[NamedNetwork, ...]:
    """The elements of GET /networks.

    Raises:
        InvalidError: it is not such a list.
    """
    return _parsed(_NAMED_NETWORKS, body, "list of networks")


@dataclass(frozen=True, slots=True)
class _Attachment:
    endpoint: Annotated[EndpointId, Field(validation_alias="EndpointID")]
    name: Annotated[str, Field(validation_alias="Name")]


@dataclass(frozen=True, slots=True)
class _Population:
    attachments: Annotated[Mapping[str, _Attachment], _OrEmpty, Field(validation_alias="Containers")] = field(
        default_factory=dict
    )


_POPULATION = TypeAdapter(_Population)


@dataclass(frozen=True, slots=True)
class Occupant:
    """A container on a network: its name, and its id unless it is just joining."""

    name: str
    id: ContainerId | None = None


def parse_containers(body: bytes) -> dict[EndpointId, Occupant]:
    """The containers of an inspected network, by endpoint.

    The engine's keys are container ids, or `ep-` and an endpoint's id while the container joins; both have the
    endpoint's id inside.

    Raises:
        InvalidError: it is not an inspected network.
    """
    population = _parsed(_POPULATION, body, "network")
    return {
        each.endpoint: Occupant(each.name, None if key.startswith("ep-") else ContainerId(key))
        for key, each in population.attachments.items()
    }


_NO_ENDPOINT = EndpointId("")  # of a container that does not run


@dataclass(frozen=True, slots=True)
class _Leg:
    network: Annotated[str, Field(validation_alias="NetworkID")] = ""
    endpoint: Annotated[EndpointId, Field(validation_alias="EndpointID")] = _NO_ENDPOINT


_Legs = Annotated[Mapping[str, _Leg], _OrEmpty, Field(validation_alias=AliasPath("NetworkSettings", "Networks"))]


@dataclass(frozen=True, slots=True)
class Container:
    """A container and its legs; `sandbox` is empty unless it was inspected, and is alive."""

    id: Annotated[ContainerId, Field(validation_alias="Id")]
    name: Annotated[str, BeforeValidator(lambda name: name.lstrip("/")), Field(validation_alias="Name")] = ""
    sandbox: Annotated[str, Field(validation_alias=AliasPath("NetworkSettings", "SandboxKey"))] = ""
    legs: _Legs = field(default_factory=dict)

    def endpoints_on(self, networks: frozenset[DockerNetworkId]) -> tuple[EndpointId, ...]:
        """Its live endpoints on these networks."""
        found = (leg for leg in self.legs.values() if leg.network in networks and leg.endpoint)
        return tuple(leg.endpoint for leg in found)


_CONTAINER = TypeAdapter(Container)
_CONTAINERS = TypeAdapter(tuple[Container, ...])


def parse_container(body: bytes) -> Container:
    """The answer to GET /containers/{id}/json.

    Raises:
        InvalidError: it is not such an answer.
    """
    return _parsed(_CONTAINER, body, "container")


def parse_container_list(body: bytes) -> tuple[Container, ...]:
    """The elements of GET /containers/json: without name and sandbox.

    Raises:
        InvalidError: it is not such a list.
    """
    return _parsed(_CONTAINERS, body, "list of containers")


@dataclass(frozen=True, slots=True)
class NetworkCreated:
    """A network came into being, whoever made it."""

    network_id: DockerNetworkId
    name: str


@dataclass(frozen=True, slots=True)
class NetworkDestroyed:
    """A network has gone, whoever removed it."""

    network_id: DockerNetworkId
    name: str


@dataclass(frozen=True, slots=True)
class ContainerConnected:
    """A container is on a network: said just after Join."""

    network_id: DockerNetworkId
    container: ContainerId


@dataclass(frozen=True, slots=True)
class ContainerDisconnected:
    """A container has left a network; may be said twice."""

    network_id: DockerNetworkId
    container: ContainerId


@dataclass(frozen=True, slots=True)
class ContainerStarted:
    """A container runs."""

    container: ContainerId
    name: str


@dataclass(frozen=True, slots=True)
class ContainerDied:
    """A container has ended."""

    container: ContainerId
    name: str


@dataclass(frozen=True, slots=True)
class ContainerRenamed:
    """A container has another name."""

    container: ContainerId
    name: str
    old_name: str


Event = (
    NetworkCreated
    | NetworkDestroyed
    | ContainerConnected
    | ContainerDisconnected
    | ContainerStarted
    | ContainerDied
    | ContainerRenamed
)

EVENT_FILTERS = {
    "type": ["network", "container"],
    "event": ["create", "destroy", "connect", "disconnect", "start", "die", "rename"],
}


@dataclass(frozen=True, slots=True)
class _Message:
    kind: Annotated[str, Field(validation_alias="Type")]
    action: Annotated[str, Field(validation_alias="Action")]
    id: Annotated[str, Field(validation_alias=AliasPath("Actor", "ID"))]
    attributes: Annotated[Mapping[str, str], _OrEmpty, Field(validation_alias=AliasPath("Actor", "Attributes"))] = (
        field(default_factory=dict)
    )


_MESSAGE = TypeAdapter(_Message)


def parse_event(line: bytes) -> Event | None:
    """One line of GET /events; None where nothing of it concerns us.

    Raises:
        InvalidError: it is not an event.
    """
    message = _parsed(_MESSAGE, line, "event")
    build = _EVENTS.get((message.kind, message.action))
    return build(message) if build else None


def _name(said: _Message) -> str:
    return said.attributes.get("name", "")


def _leg(said: _Message) -> tuple[DockerNetworkId, ContainerId]:
    return DockerNetworkId(said.id), ContainerId(said.attributes.get("container", ""))


def _renamed(said: _Message) -> ContainerRenamed:
    old_name = said.attributes.get("oldName", "").lstrip("/")
    return ContainerRenamed(ContainerId(said.id), _name(said), old_name)


_EVENTS: dict[tuple[str, str], Callable[[_Message], Event]] = {
    ("network", "create"): lambda said: NetworkCreated(DockerNetworkId(said.id), _name(said)),
    ("network", "destroy"): lambda said: NetworkDestroyed(DockerNetworkId(said.id), _name(said)),
    ("network", "connect"): lambda said: ContainerConnected(*_leg(said)),
    ("network", "disconnect"): lambda said: ContainerDisconnected(*_leg(said)),
    ("container", "start"): lambda said: ContainerStarted(ContainerId(said.id), _name(said)),
    ("container", "die"): lambda said: ContainerDied(ContainerId(said.id), _name(said)),
    ("container", "rename"): _renamed,
}
