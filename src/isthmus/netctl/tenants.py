"""`netctl tenant`."""

from isthmus.netctl.command import JSON, QUIET, Call, Command
from isthmus.netctl.output import print_json, table

_MISSING = "Tenant name required"


def _create(call: Call) -> None:
    name = call.only_argument(_MISSING)
    call.client.create("tenants", name, {"tenantName": name})
    print(f"Creating tenant: {name}")


def _remove(call: Call) -> None:
    name = call.only_argument(_MISSING)
    call.client.delete("tenants", name)
    print(f"Deleting tenant {name}")


def _inspect(call: Call) -> None:
    print_json(call.client.inspect("tenants", call.only_argument(_MISSING)))


def _list(call: Call) -> None:
    call.no_arguments()
    tenants = call.client.objects("tenants")
    names = [tenant["tenantName"] for tenant in tenants]
    if call.parsed.is_on("json"):
        print_json(tenants)
    elif call.parsed.is_on("quiet"):
        print("".join(f"{name}\n" for name in names), end="")
    else:
        print(table((cell, "") for cell in ("Name", "------", *names)), end="")


COMMAND = Command(
    ("tenant",),
    "Tenants: spaces of names and addresses",
    subcommands=(
        Command(("create",), "Create a tenant", "[tenant]", run=_create),
        Command(("inspect",), "Show a tenant and its state as JSON", "[tenant]", run=_inspect),
        Command(("ls", "list"), "List the tenants", "", (QUIET, JSON), _list),
        Command(("rm", "delete"), "Delete a tenant without networks", "[tenant]", run=_remove),
    ),
)
