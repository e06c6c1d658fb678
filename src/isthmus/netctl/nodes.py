"""`netctl node`."""

from collections import Counter

from isthmus.netctl.client import Client, Object, RefusedError
from isthmus.netctl.collection import Collection
from isthmus.netctl.command import Call
from isthmus.netctl.listing import Column, Listing, number

_NOT_FOUND = 404
_NOT_IN_SYNC = "not in sync"

_NODES = Collection("nodes", "node", "name", "Node name required", deleted="Deleting node {name}", has_tenant=False)


def _engine(node: Object) -> str:
    return f"{node.get('engine', '')} {node.get('engineVersion', '')}".strip()


def _status(node: Object) -> str:
    if not node.get("isAlive"):
        return "unreachable"
    return "in sync" if node.get("inSync") else _NOT_IN_SYNC


def _problems(node: Object) -> str:
    return "; ".join(node.get("problems", ()))


COLUMNS = (
    Column("Name", "----", "name"),
    Column("Address", "-------", "address"),
    Column("Engine", "------", _engine),
    Column("Version", "-------", "version"),
    Column("Endpoints", "---------", number("numEndpoints")),
    Column("Status", "------", _status),
)
WIDE_COLUMNS = (*COLUMNS, Column("Problems", "--------", _problems))


def _nodes(call: Call) -> list[Object]:
    """The nodes, and for a table what it says besides: two requests, and one for each that is not in sync."""
    nodes = call.client.objects(_NODES.path)
    if call.parsed.is_on("json") or call.parsed.is_on("quiet"):
        return nodes
    counts = Counter(endpoint["homingHost"] for endpoint in call.client.objects("endpoints"))
    troubled = [node["name"] for node in nodes if call.parsed.is_on("wide") and _status(node) == _NOT_IN_SYNC]
    problems = {name: _problems_of(call.client, name) for name in troubled}
    return [
        {**node, "numEndpoints": counts[node["name"]], "problems": problems.get(node["name"], [])} for node in nodes
    ]


def _problems_of(client: Client, name: str) -> list[str]:
    try:
        return list(client.inspect(_NODES.path, name)["Oper"].get("problems", ()))
    except RefusedError as error:
        if error.status == _NOT_FOUND:  # it was removed in between
            return []
        raise


COMMANDS = (
    _NODES.inspect_command(),
    _NODES.list_command("List the nodes", Listing("name", COLUMNS, WIDE_COLUMNS), _nodes),
    _NODES.remove_command("Forget a node that is gone for good, and its containers; refused while it is alive"),
)
