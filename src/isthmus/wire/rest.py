"""Contiv's REST bodies to core values, and core values to answers.

Zero values are left out of answers. In requests null is as good as absent, and unknown fields are ignored, as
they were for Contiv; a text is not taken for a number, nor a number for a text.
"""

import json
from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address, IPv6Address
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from isthmus.core.admit import NetworkRequest
from isthmus.core.errors import InvalidError
from isthmus.core.ipam import parse_subnet, parse_subnet_v6
from isthmus.core.model import (
    Encap,
    Network,
    NetworkKey,
    NetworkName,
    NetworkType,
    Settings,
    Tenant,
    TenantName,
)
from isthmus.wire.rest_bodies import Body, GlobalBody, Link, NetworkBody, TenantBody

Json = Mapping[str, Any]  # an object of JSON's: texts, numbers, booleans, arrays and objects

GLOBAL_KEY = "global"
_SHOWN_AT_MOST = 80  # characters of a wrong value in a refusal
_LINK_FIELDS = ("link-sets", "links")

_B = TypeVar("_B", bound=Body)


def parse_tenant(body: bytes, url_key: str) -> Tenant:
    """The tenant that a request asks for.

    Raises:
        InvalidError: a malformed body or field, or another key than the URL's.
    """
    fields = _fields(TenantBody, body)
    _require(fields, "tenantName")
    _check_key(fields.tenantName, url_key)
    return Tenant(TenantName(fields.tenantName), fields.defaultNetwork)


def parse_network(body: bytes, url_key: str) -> NetworkRequest:
    """The network that a request asks for.

    Raises:
        InvalidError: a malformed body or field, or another key than the URL's.
    """
    fields = _fields(NetworkBody, body)
    _require(fields, "tenantName", "networkName", "encap", "subnet")
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
    )


def parse_network_key(url_key: str) -> NetworkKey:
    """`tenant:network`.

    Raises:
        InvalidError: another form.
    """
    tenant, colon, name = url_key.partition(":")
    if not (tenant and colon and name) or ":" in name:
        raise InvalidError(f'network key "{url_key}" has not the form TENANT:NETWORK')
    return NetworkKey(TenantName(tenant), NetworkName(name))


def tenant_body(tenant: Tenant, networks: Iterable[Network] = ()) -> TenantBody:
    """A tenant as an answer shows it; `networks` are its own."""
    keys = sorted(str(network.key) for network in networks)
    sets = {"Networks": {key: Link(type="network", key=key) for key in keys}} if keys else {}
    return TenantBody(key=tenant.name, tenantName=tenant.name, defaultNetwork=tenant.default_network, link_sets=sets)


def network_body(network: Network) -> NetworkBody:
    """A network as an answer shows it: with the tag that was asked for, not the one in force."""
    return NetworkBody(
        key=str(network.key),
        tenantName=network.key.tenant,
        networkName=network.key.name,
        nwType=network.nw_type,
        encap=network.encap,
        pktTag=network.configured_tag,
        subnet=network.subnet.text,
        gateway=_text(network.gateway),
        ipv6Subnet=network.subnet_v6.text if network.subnet_v6 else "",
        ipv6Gateway=_text(network.gateway_v6),
        cfgdTag=network.label,
        links={"Tenant": Link(type="tenant", key=network.key.tenant)},
    )


def global_body(settings: Settings) -> GlobalBody:
    """The cluster's settings as an answer shows them."""
    return GlobalBody(
        key=GLOBAL_KEY,
        arpMode="proxy",
        fwdMode="bridge",
        networkInfraType="default",
        vlans=str(settings.vlans),
        vxlans=str(settings.vnis),
    )


def render(shown: BaseModel) -> Json:
    """A model's JSON: zero values left out at every depth, `key` first, links last and always there."""
    return _pruned(shown.model_dump(mode="json", by_alias=True))


def _pruned(value: Mapping[str, Any]) -> dict[str, Any]:
    body = {name: _pruned_value(each) for name, each in value.items() if each or isinstance(each, bool)}
    if "link-sets" in value:
        for name in _LINK_FIELDS:
            body[name] = body.pop(name, {})
    return body


def _pruned_value(value: object) -> object:
    if isinstance(value, Mapping):
        return _pruned(value)
    return [_pruned_value(each) for each in value] if isinstance(value, list) else value


def _text(address: IPv4Address | IPv6Address | None) -> str:
    return "" if address is None else str(address)


def _fields(kind: type[_B], body: bytes) -> _B:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:  # not JSON, not UTF-8, nested without end
        raise InvalidError(f"the request's body is not JSON: {error}") from None
    if not isinstance(document, dict):
        raise InvalidError("the request's body is not a JSON object")
    own = kind.model_fields.keys() - Body.model_fields.keys()
    try:
        return kind.model_validate({name: document[name] for name in own if document.get(name) is not None})
    except ValidationError as error:
        raise InvalidError("; ".join(_complaint(each) for each in error.errors())) from None


_WANTED = {"string_type": "is not a text", "int_type": "is not a whole number"}


def _complaint(error: Mapping[str, Any]) -> str:
    is_ours = error["type"] == "value_error"
    rule = error["ctx"]["error"] if is_ours else _WANTED.get(error["type"], error["msg"])
    value = json.dumps(error["input"], ensure_ascii=False)
    shown = value if len(value) <= _SHOWN_AT_MOST else value[:_SHOWN_AT_MOST] + "..."
    return f"{error['loc'][0]} {shown} {rule}"


def _require(fields: Body, *names: str) -> None:
    missing = [name for name in names if not getattr(fields, name)]
    if missing:
        raise InvalidError(f"{' and '.join(missing)} must be given")


def _check_key(body_key: str, url_key: str) -> None:
    if body_key != url_key:
        raise InvalidError(f'invalid key: the URL says "{url_key}", the body "{body_key}"')
