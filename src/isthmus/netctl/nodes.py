"""`netctl node`."""

import time
from collections import Counter
from collections.abc import Iterable

from isthmus.netctl.ages import ago
from isthmus.netctl.client import Client, Object, RefusedError
from isthmus.netctl.collection import Collection
from isthmus.netctl.command import Call
from isthmus.netctl.listing import Column, Listing, number

IN_SYNC, NOT_IN_SYNC, UNREACHABLE = "in sync", "not in sync", "unreachable"
_NOT_FOUND = 404

_NODES = Collection("nodes", "node", "name", "Node name required", deleted="Deleting node {name}", has_tenant=False)


def status(node: Object) -> str:
    """How it is with a node, in a word or three."""
    if not node.get("isAlive"):
        return UNREACHABLE
    return IN_SYNC if node.get("inSync") else NOT_IN_SYNC


def contact(node: Object) -> str:
    """When a node's agent was last heard of."""
    return "now" if node.get("isAlive") else ago(node.get("lastContact", ""), time.time())


def reason(node: Object) -> str:
    """The first reason why a node is not in sync, without the word that its status says already."""
    return str(node.get("problem", "")).removeprefix(f"{UNREACHABLE}: ")


def with_counts(nodes: Iterable[Object], endpoints: Iterable[Object]) -> list[Object]:
    """The nodes, and how many endpoints each has."""
    counts = Counter(endpoint["homingHost"] for endpoint in endpoints)
    return [{**node, "numEndpoints": counts[node["name"]]} for node in nodes]


def _engine(node: Object) -> str:
    return f"{node.get('engine', '')} {node.get('engineVersion', '')}".strip()


def _problems(node: Object) -> str:
    return "; ".join(node.get("problems", ())) or reason(node)


_NAME = Column("Name", "----", "name")
_ADDRESS = Column("Address", "-------", "address")
_STATE = (
    Column("Engine", "------", _engine),
    Column("Version", "-------", "version"),
    Column("Endpoints", "---------", number("numEndpoints")),
    Column("Revision", "--------", number("appliedRevision")),
    Column("Contact", "-------", contact),
    Column("Status", "------", status),
)
_REASON = Column("Reason", "------", reason)
COLUMNS = (_NAME, _ADDRESS, *_STATE, _REASON)
WIDE_COLUMNS = (_NAME, _ADDRESS, *_STATE, Column("Problems", "--------", _problems))
STATUS_COLUMNS = (_NAME, *_STATE, _REASON)


def _nodes(call: Call) -> list[Object]:
    """The nodes, and for a table what it says besides: two requests, and one for each with problems to be told."""
    nodes = call.client.objects(_NODES.path)
    if call.parsed.is_on("json") or call.parsed.is_on("quiet"):
        return nodes
    counted = with_counts(nodes, call.client.objects("endpoints"))
    if not call.parsed.is_on("wide"):
        return counted
    return [_explained(call.client, node) if status(node) == NOT_IN_SYNC else node for node in counted]


def _explained(client: Client, node: Object) -> Object:
    return {**node, "problems": _problems_of(client, node["name"])}


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
