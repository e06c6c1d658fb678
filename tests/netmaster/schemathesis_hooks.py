"""Lets schemathesis' requests mean something: random names become those of objects that are there.

What it generates names nothing that exists, and a key in the URL that is not the body's, so it would see no more than
refusals. Every fourth request stays as it was generated.
"""

from collections.abc import Iterator
from typing import Any
from zlib import crc32

import schemathesis

NAMES = {
    "tenantName": ("default", "default", "default", "blue"),
    "networkName": ("net", "lan"),
    "groupName": ("db", "db", "web"),
    "policyName": ("in", "in", "out"),
    "ruleId": ("0", "1"),
    "profileName": ("slow", "fast"),
    "serviceName": ("front", "back"),
    "appProfileName": ("shop", "desk"),
    "hostname": ("node1", "node2"),
    "node": ("node1", "node2"),
    "name": ("global",),
    "encap": ("vxlan", "vlan"),
    "direction": ("in", "out"),
    "netProfile": ("slow",),
    "fromEndpointGroup": ("db",),
    "toEndpointGroup": ("db",),
    "fromNetwork": ("net",),
    "toNetwork": ("net",),
    "policies": ("in",),
    "endpointGroups": ("db",),
    "subnet": ("10.2.0.0/16", "10.3.0.1-10.3.0.9/24"),
    "gateway": ("10.1.0.1", "10.2.0.1"),
    "ipAddress": ("10.1.7.1", "10.2.7.1"),
    "ports": ("80:8080:TCP", "443:8443:tcp", "53:53:udp"),
    "routerip": ("50.1.1.2/24",),
    "as": ("65000",),
    "neighbor-as": ("65001",),
    "neighbor": ("50.1.1.1",),
    "ipPool": ("10.1.8.1-10.1.8.9", "10.2.8.1-10.2.8.9"),
}
OPTIONAL = (  # what goes with little else, and so is mostly left out
    *("fromEndpointGroup", "fromNetwork", "fromIpAddress", "toEndpointGroup", "toNetwork", "toIpAddress"),
    *("port", "protocol", "gateway", "ipv6Gateway", "ipv6Subnet", "ipPool", "ipv6Pool", "ipAddress", "pktTag"),
    *("cfgdTag", "defaultNetwork", "extContractsGrps", "networkInfraType", "pvtSubnet", "vlans", "vxlans"),
    *("netProfile", "fwdMode", "nwType", "action", "priority", "burst", "bandwidth", "neighbor"),
)
ENDPOINTS = ("e" * 64, "eee", "web")
CLEAN_UPS = (("net", "net"), ("group", "db"), ("ep", "e" * 64), ("ep", "f"))
KEYS = {
    "tenants": ("tenantName",),
    "networks": ("tenantName", "networkName"),
    "endpointGroups": ("tenantName", "groupName"),
    "policys": ("tenantName", "policyName"),
    "rules": ("tenantName", "policyName", "ruleId"),
    "netprofiles": ("tenantName", "profileName"),
    "serviceLBs": ("tenantName", "serviceName"),
    "appProfiles": ("tenantName", "appProfileName"),
    "Bgps": ("hostname",),
    "globals": ("name",),
    "nodes": ("node",),
}


@schemathesis.hook
def before_call(_context: Any, case: Any, _kwargs: Any) -> None:
    """Give a request names and a key of what is there."""
    parameters, number = case.path_parameters, _number(case)
    if not parameters or number % 4 == 0:
        return
    collection = case.path.removeprefix("/api/v1/").removeprefix("inspect/").partition("/")[0]
    if collection == "endpoints":
        parameters["key"] = ENDPOINTS[number % len(ENDPOINTS)]
    elif collection not in KEYS:
        parameters["tenant"] = "default"
        parameters["kind"], parameters["key"] = CLEAN_UPS[number % len(CLEAN_UPS)]
    elif isinstance(case.body, dict):
        case.body = dict(_meaningful(case.body, number))
        _set_key(parameters, [case.body.get(name) or "global" for name in KEYS[collection]])
    else:
        _set_key(parameters, [_known(name, parameters["key"]) for name in KEYS[collection]])


def _meaningful(body: dict[str, Any], number: int) -> Iterator[tuple[str, Any]]:
    for name, value in body.items():
        if name not in OPTIONAL or (number ^ crc32(name.encode())) % 6 == 0:
            yield name, _known(name, value)


def _set_key(parameters: dict[str, Any], parts: list[Any]) -> None:
    if all(isinstance(part, str) and part for part in parts):
        parameters["key"] = ":".join(parts)


def _number(case: Any) -> int:
    return crc32(repr((case.path_parameters, case.body)).encode(errors="surrogatepass"))


def _known(name: str, value: Any) -> Any:
    """A name that is there in place of a random one; what is no name, or wrong on purpose, stays."""
    if name not in NAMES:
        return value
    if isinstance(value, list):
        return list(dict.fromkeys(_known(name, each) for each in value if isinstance(each, str) and each))
    return _choice(NAMES[name], value) if isinstance(value, str) else value


def _choice(names: tuple[str, ...], value: str) -> str:
    return names[crc32(value.encode(errors="surrogatepass")) % len(names)]
