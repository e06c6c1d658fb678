"""`netctl service`."""

from isthmus.netctl.client import Object
from isthmus.netctl.collection import Collection
from isthmus.netctl.listing import LAST, Column, Listing
from isthmus.wire.goflags import Flag, Kind

_SERVICES = Collection(
    "serviceLBs",
    "service",
    "serviceName",
    "Service name required",
    created="Creating ServiceLB {key}",
    deleted="Deleting Service  {name},{tenant}",
    replaced="serviceLBs",
)
_OPTIONS = {
    "networkName": Flag(("network", "s"), "Network of its address", completes="networks"),
    "selectors": Flag(("selector", "l"), "KEY=VALUE: a label of its containers; may be repeated", Kind.LIST),
    "ports": Flag(("port", "p"), "PORT:TARGETPORT:PROTOCOL, TCP or UDP; may be repeated", Kind.LIST),
    "ipAddress": Flag(("preferred-ip", "ip"), "Its address; any if it is not given"),
}


def _selectors(service: Object) -> str:
    return f"[{' '.join(service.get('selectors', ()))}]"


COLUMNS = (
    Column("ServiceName", "---------", "serviceName"),
    Column("Tenant", "--------", "tenantName"),
    Column("Network", "-------", "networkName"),
    Column("Selectors", "-------", _selectors),
    LAST,
)

COMMANDS = (
    _SERVICES.create_command("Create a service, or replace one", _OPTIONS),
    _SERVICES.inspect_command("Service group name required"),
    _SERVICES.list_command("List the services", Listing("serviceName", COLUMNS)),
    _SERVICES.remove_command("Delete a service"),
)
