"""`netctl tenant`."""

from isthmus.netctl.collection import Collection
from isthmus.netctl.listing import LAST, Column, Listing

_TENANTS = Collection(
    "tenants",
    "tenant",
    "tenantName",
    "Tenant name required",
    created="Creating tenant: {name}",
    deleted="Deleting tenant {name}",
    has_tenant=False,
)
_LISTING = Listing("tenantName", (Column("Name", "------", "tenantName"), LAST))

COMMANDS = (
    _TENANTS.create_command("Create a tenant"),
    _TENANTS.inspect_command(),
    _TENANTS.list_command("List the tenants", _LISTING),
    _TENANTS.remove_command("Delete a tenant that is empty"),
)
