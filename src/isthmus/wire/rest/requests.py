"""JSON bodies and keys of requests to core values.

In requests null is as good as absent, and unknown fields are ignored, as they were for Contiv; a text is not taken
for a number, nor a number for a text.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address
from typing import Any, TypeVar

from pydantic import ValidationError

from isthmus.core.admit.groups import GroupRequest
from isthmus.core.admit.networks import NetworkRequest
from isthmus.core.admit.services import ServiceRequest
from isthmus.core.admit.settings import SettingsRequest
from isthmus.core.errors import InvalidError
from isthmus.core.ipam import parse_pool, parse_pool_v6, parse_subnet, parse_subnet_v6
from isthmus.core.model import (
    Action,
    AppProfile,
    AppProfileKey,
    AppProfileName,
    ArpMode,
    Bgp,
    Direction,
    Encap,
    ForwardMode,
    GroupKey,
    GroupName,
    NetProfile,
    NetworkKey,
    NetworkName,
    NetworkType,
    NodeName,
    Policy,
    PolicyKey,
    PolicyName,
    ProfileKey,
    ProfileName,
    Range,
    Rule,
    RuleId,
    RuleKey,
    ScopedKey,
    ServiceKey,
    ServiceName,
    ServicePort,
    Span,
    Tenant,
    TenantName,
)
from isthmus.wire.rest.bodies import (
    AppProfileBody,
    BgpBody,
    Body,
    EndpointGroupBody,
    GlobalBody,
    NetprofileBody,
    NetworkBody,
    PolicyBody,
    RuleBody,
    ServiceLBBody,
    TenantBody,
    alias_of,
)
from isthmus.wire.rest.spans import parse_span

GLOBAL_KEY = "global"
GREATEST_VLAN = 4094  # 4095 is reserved; IEEE 802.1Q
GREATEST_VNI = 65535  # Contiv's
LONGEST_VNI_RANGE = 16000  # Contiv's
NO_ACI = "this system has no ACI fabric, so there are no ACI gateways and no external contracts"
_SHOWN_AT_MOST = 80  # characters of a wrong value in a refusal
_TOLD_AT_MOST = 10  # wrong fields and elements in a refusal
_PORT = re.compile(r"([0-9]{1,5}):([0-9]{1,5}):(tcp|udp)", re.ASCII | re.IGNORECASE)
_RANGE = re.compile(r"([0-9]{1,8})-([0-9]{1,8})", re.ASCII)

_B = TypeVar("_B", bound=Body)
_K = TypeVar("_K", bound=ScopedKey)


def parse_tenant(body: bytes, url_key: str) -> Tenant:
    """The tenant that a request asks for.

    Raises, as all here do:
        InvalidError: a malformed body or field, or another key than the URL's.
    """
    fields = _fields(TenantBody, body)
    _require(fields)
    _check_key(fields.tenantName, url_key)
    return Tenant(TenantName(fields.tenantName), fields.defaultNetwork)


def parse_network(body: bytes, url_key: str) -> NetworkRequest:
    """The network that a request asks for."""
    fields = _fields(NetworkBody, body)
    _require(fields)
    key = NetworkKey(TenantName(fields.tenantName), NetworkName(fields.networkName))
    _check_key(str(key), url_key)
    return NetworkRequest(
        key=key,
        encap=Encap(fields.encap),
        subnet=parse_subnet(fields.subnet),
        gateway=IPv4Address(fields.gateway) if fields.gateway else None,
        subnet_v6=parse_subnet_v6(fields.ipv6Subnet) if fields.ipv6Subnet else None,
        gateway_v6=IPv6Address(fields.ipv6Gateway) if fields.ipv6Gateway else None,
        configured_tag=fields.pktTag,
        nw_type=NetworkType(fields.nwType or NetworkType.DATA),
        label=fields.cfgdTag,
        is_flooding=fields.multicast != "drop",
    )


def parse_group(body: bytes, url_key: str) -> GroupRequest:
    """The endpoint group that a request asks for."""
    fields = _fields(EndpointGroupBody, body)
    _require(fields)
    key = GroupKey(TenantName(fields.tenantName), GroupName(fields.groupName))
    _check_key(str(key), url_key)
    if fields.extContractsGrps:
        raise InvalidError(f"extContractsGrps of endpoint group {key}: {NO_ACI}")
    return GroupRequest(
        key=key,
        network=NetworkName(fields.networkName),
        policies=tuple(map(PolicyName, fields.policies)),
        net_profile=ProfileName(fields.netProfile) if fields.netProfile else None,
        pool=parse_pool(fields.ipPool) if fields.ipPool else None,
        pool_v6=parse_pool_v6(fields.ipv6Pool) if fields.ipv6Pool else None,
        label=fields.cfgdTag,
    )


def parse_policy(body: bytes, url_key: str) -> Policy:
    """The policy that a request asks for."""
    fields = _fields(PolicyBody, body)
    _require(fields)
    key = PolicyKey(TenantName(fields.tenantName), PolicyName(fields.policyName))
    _check_key(str(key), url_key)
    return Policy(key)


def parse_rule(body: bytes, url_key: str) -> Rule:
    """The rule that a request asks for."""
    fields = _fields(RuleBody, body)
    _require(fields)
    key = RuleKey(PolicyKey(TenantName(fields.tenantName), PolicyName(fields.policyName)), RuleId(fields.ruleId))
    _check_key(str(key), url_key)
    direction = Direction(fields.direction)
    _check_sides(fields, key, direction)
    is_in = direction is Direction.IN
    group = fields.fromEndpointGroup if is_in else fields.toEndpointGroup
    network = fields.fromNetwork if is_in else fields.toNetwork
    return Rule(
        key=key,
        direction=direction,
        action=Action(fields.action or Action.ALLOW),
        priority=fields.priority or 1,
        peer_group=GroupName(group) if group else None,
        peer_network=NetworkName(network) if network else None,
        peer_addresses=_span(fields.fromIpAddress if is_in else fields.toIpAddress),
        own_addresses=_span(fields.toIpAddress) if is_in else None,
        protocol=fields.protocol,
        port=fields.port,
    )


def _check_sides(fields: RuleBody, key: RuleKey, direction: Direction) -> None:
    """An `in` rule says only whence, but for its own address; an `out` rule only whither. Source: spec 2.7."""
    wrong = (
        ("toEndpointGroup", "toNetwork")
        if direction is Direction.IN
        else ("fromEndpointGroup", "fromNetwork", "fromIpAddress")
    )
    given = [name for name in wrong if getattr(fields, name)]
    if given:
        word, kind = ("to", "incoming") if direction is Direction.IN else ("from", "outgoing")
        names = " and ".join(given)
        raise InvalidError(f"rule {key} cannot specify '{word}' parameters, as it is {kind}: {names}")


def parse_net_profile(body: bytes, url_key: str) -> NetProfile:
    """The net profile that a request asks for."""
    fields = _fields(NetprofileBody, body)
    _require(fields)
    key = ProfileKey(TenantName(fields.tenantName), ProfileName(fields.profileName))
    _check_key(str(key), url_key)
    return NetProfile(key, fields.bandwidth, fields.burst, fields.DSCP)


def parse_service(body: bytes, url_key: str) -> ServiceRequest:
    """The service that a request asks for."""
    fields = _fields(ServiceLBBody, body)
    _require(fields)
    key = ServiceKey(TenantName(fields.tenantName), ServiceName(fields.serviceName))
    _check_key(str(key), url_key)
    return ServiceRequest(
        key=key,
        network=NetworkName(fields.networkName),
        selectors=tuple(sorted({_selector(text, key) for text in fields.selectors})),
        ports=_ports(fields.ports, key),
        wished_vip=IPv4Address(fields.ipAddress) if fields.ipAddress else None,
    )


def _selector(text: str, key: ServiceKey) -> str:
    name, equals, value = text.partition("=")
    if not name or not equals or not value or "=" in value:
        raise InvalidError(f'service {key}: invalid selector "{text}", its form is KEY=VALUE')
    return text


def _ports(texts: Sequence[str], key: ServiceKey) -> tuple[ServicePort, ...]:
    ports = tuple(_port(text, key) for text in texts)
    doors = [(port.port, port.protocol) for port in ports]
    twice = next((door for door in doors if doors.count(door) > 1), None)
    if twice:
        raise InvalidError(f"service {key} has port {twice[0]} of {twice[1]} twice")
    return ports


def _port(text: str, key: ServiceKey) -> ServicePort:
    form = _PORT.fullmatch(text)
    if not form or not all(1 <= int(number) <= 65535 for number in form.groups()[:2]):
        raise InvalidError(
            f'service {key}: invalid port "{text}", its form is PORT:TARGETPORT:PROTOCOL, ports 1 to 65535, TCP or UDP'
        )
    return ServicePort(int(form[1]), int(form[2]), form[3].upper())


def parse_bgp(body: bytes, url_key: str) -> Bgp:
    """The router that a request asks for."""
    fields = _fields(BgpBody, body)
    _require(fields)
    _check_key(fields.hostname, url_key)
    return Bgp(
        node=NodeName(fields.hostname),
        router=IPv4Interface(fields.routerip),
        as_number=fields.as_number,
        neighbor_as=fields.neighbor_as,
        neighbor=IPv4Address(fields.neighbor) if fields.neighbor else None,
    )


def parse_app_profile(body: bytes, url_key: str) -> AppProfile:
    """The app profile that a request asks for."""
    fields = _fields(AppProfileBody, body)
    _require(fields)
    key = AppProfileKey(TenantName(fields.tenantName), AppProfileName(fields.appProfileName))
    _check_key(str(key), url_key)
    return AppProfile(key, tuple(map(GroupName, fields.endpointGroups)))


def parse_settings(body: bytes, url_key: str) -> SettingsRequest:
    """What of the cluster's settings a request wants changed; what it does not say stays."""
    fields = _fields(GlobalBody, body)
    _check_key(fields.name or GLOBAL_KEY, url_key)
    if fields.networkInfraType not in ("", "default"):
        raise InvalidError(f"networkInfraType {json.dumps(fields.networkInfraType)}: {NO_ACI}; it is default")
    return SettingsRequest(
        vlans=_range("vlans", fields.vlans, GREATEST_VLAN),
        vnis=_range("vxlans", fields.vxlans, GREATEST_VNI, LONGEST_VNI_RANGE),
        forward_mode=ForwardMode(fields.fwdMode) if fields.fwdMode else None,
        arp_mode=ArpMode(fields.arpMode) if fields.arpMode else None,
        private_subnet=_private_subnet(fields.pvtSubnet) if fields.pvtSubnet else None,
    )


def _range(name: str, text: str, greatest: int, longest: int | None = None) -> Range | None:
    if not text:
        return None
    form = _RANGE.fullmatch(text)
    if not form:
        raise InvalidError(f'{name} "{text}" has not the form FIRST-LAST')
    first, last = int(form[1]), int(form[2])
    if not 1 <= first <= last <= greatest:
        raise InvalidError(f'{name} "{text}" does not ascend within 1 to {greatest}')
    if longest and last - first > longest:
        raise InvalidError(f'{name} "{text}" is too long: it spans {last - first}, at most {longest} are allowed')
    return Range(first, last)


def _private_subnet(text: str) -> IPv4Network:
    try:
        subnet = IPv4Network(text)
    except ValueError:
        subnet = None
    if subnet is None or not text.endswith("/16"):
        raise InvalidError(f'pvtSubnet "{text}" has not the form A.B.0.0/16')
    return subnet


def _span(text: str) -> Span | None:
    return parse_span(text) if text else None


def scoped_key(kind: Callable[[TenantName, Any], _K], noun: str) -> Callable[[str], _K]:
    """The function that reads `TENANT:NAME` in a URL as a key of this kind."""

    def parse(url_key: str) -> _K:
        tenant, colon, name = url_key.partition(":")
        if not (tenant and colon and name) or ":" in name:
            raise InvalidError(f'{noun} key "{url_key}" has not the form TENANT:NAME')
        return kind(TenantName(tenant), name)

    return parse


parse_network_key = scoped_key(NetworkKey, "network")


def parse_rule_key(url_key: str) -> RuleKey:
    """`TENANT:POLICY:RULE`."""
    parts = url_key.split(":")
    if len(parts) != 3 or not all(parts):
        raise InvalidError(f'rule key "{url_key}" has not the form TENANT:POLICY:RULE')
    return RuleKey(PolicyKey(TenantName(parts[0]), PolicyName(parts[1])), RuleId(parts[2]))


def json_object(body: bytes) -> dict[str, Any]:
    """A body's JSON object.

    Raises:
        InvalidError: it is none.
    """
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:  # not JSON, not UTF-8, nested without end
        raise InvalidError(f"the request's body is not JSON: {error}") from None
    if not isinstance(document, dict):
        raise InvalidError("the request's body is not a JSON object")
    return document


def _fields(kind: type[_B], body: bytes) -> _B:
    document = json_object(body)
    own = {alias_of(kind, name) for name in kind.model_fields if name not in Body.model_fields}
    try:
        return kind.model_validate({name: document[name] for name in own if document.get(name) is not None})
    except ValidationError as error:
        raise refusal(error) from None


def refusal(error: ValidationError) -> InvalidError:
    """All that is wrong with the fields of a body, as one line."""
    return InvalidError(_complaints(error))


_WANTED = {"string_type": "is not a text", "int_type": "is not a whole number", "list_type": "is not a list"}


def _complaints(error: ValidationError) -> str:
    told = [_complaint(each) for each in error.errors()[:_TOLD_AT_MOST]]
    more = error.error_count() - len(told)
    return "; ".join(told) + (f"; and {more} more" if more else "")


def _complaint(error: Mapping[str, Any]) -> str:
    is_ours = error["type"] == "value_error"
    rule = error["ctx"]["error"] if is_ours else _WANTED.get(error["type"], error["msg"])
    value = json.dumps(error["input"], ensure_ascii=False)
    shown = value if len(value) <= _SHOWN_AT_MOST else value[:_SHOWN_AT_MOST] + "..."
    where = ".".join(map(str, error["loc"]))
    return f"{where} {shown} {rule}"


def _require(fields: Body) -> None:
    kind = type(fields)
    missing = [alias_of(kind, name) for name in kind.REQUIRED if not getattr(fields, name)]
    if missing:
        raise InvalidError(f"{' and '.join(missing)} must be given")


def _check_key(body_key: str, url_key: str) -> None:
    if body_key != url_key:
        raise InvalidError(f'invalid key: the URL says "{url_key}", the body "{body_key}"')
