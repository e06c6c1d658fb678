"""The whole cluster at a glance: which masters serve, what there is, how the nodes are, and what to look at."""

import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from isthmus.netctl.client import Client, Object, RefusedError, UnreachableError
from isthmus.netctl.command import Call, FailedError
from isthmus.netctl.listing import Column, columns
from isthmus.netctl.nodes import IN_SYNC, NOT_IN_SYNC, STATUS_COLUMNS, UNREACHABLE, contact, reason, status, with_counts
from isthmus.netctl.output import print_json

PATIENCE_S = 15.0  # for a master; one whose etcd is frozen says so within ten seconds
_NO_NODE = "nodes: there is none; no netplugin has reached etcd since it was empty"

_SERVES = {True: "serves; what follows is from it", False: "serves"}
_MASTER_COLUMNS = (
    Column("Master", "------", "url"),
    Column("Version", "-------", "version"),
    Column("Says", "----", lambda master: master["problem"] or _SERVES[master["asked"]]),
)


class Master(NamedTuple):
    """What came of asking a master: its version where it answers at all, and why it does not serve, if so."""

    client: Client
    version: str = ""
    problem: str = ""


class Cluster(NamedTuple):
    """All that is told of it; the nodes have their numbers of endpoints."""

    masters: Sequence[Master]
    asked: Master
    nodes: Sequence[Object]
    counts: Object  # {collection: how many objects}

    @property
    def shown_masters(self) -> list[Object]:
        """The masters as JSON; `asked` is the one that told of all the rest."""
        return [
            {
                "url": each.client.url,
                "version": each.version,
                "serves": not each.problem,
                "asked": each is self.asked,
                "problem": each.problem,
            }
            for each in self.masters
        ]

    @property
    def states(self) -> Counter[str]:
        """How many nodes have which status."""
        return Counter(map(status, self.nodes))


def show_status(call: Call) -> None:
    """Print what there is to know.

    Raises:
        FailedError: something is to be looked at, or no master serves.
    """
    call.no_arguments()
    masters = ask_all(call.client.each(), PATIENCE_S)
    serving = next((master for master in masters if not master.problem), None)
    if serving is None:
        raise FailedError(_nobody(masters))
    cluster = _cluster(masters, serving)
    if call.parsed.is_on("json"):
        print_json(_shown(cluster))
    else:
        print(_text(cluster), end="", flush=True)
    summary = "; ".join(_wrong(cluster))
    if summary:
        raise FailedError(summary)


def ask_all(clients: Sequence[Client], patience_s: float) -> list[Master]:
    """What the masters say, asked side by side: one that hangs must not keep the others from being seen."""
    found: dict[int, Master] = {}

    def ask(place: int) -> None:
        found[place] = _asked(clients[place])

    asking = [threading.Thread(target=ask, args=(place,), daemon=True) for place in range(len(clients))]
    for thread in asking:
        thread.start()
    end_s = time.monotonic() + patience_s
    for thread in asking:
        thread.join(max(0.0, end_s - time.monotonic()))
    silent = f"no answer within {patience_s:.0f} seconds"
    return [found.get(place, Master(client, problem=silent)) for place, client in enumerate(clients)]


def _asked(client: Client) -> Master:
    """A master without etcd tells its version all the same; its settings it reads from etcd."""
    version = ""
    try:
        version = str(client.version().get("Version", ""))
        client.objects("globals")
    except UnreachableError as error:
        return Master(client, version, error.reason)
    except RefusedError as error:
        return Master(client, version, str(error))
    return Master(client, version)


def _cluster(masters: Sequence[Master], asked: Master) -> Cluster:
    client = asked.client
    nodes, endpoints = client.objects("nodes"), client.objects("endpoints")
    networks, groups = client.objects("networks"), client.objects("endpointGroups")
    counts = {"networks": len(networks), "groups": len(groups), "endpoints": len(endpoints)}
    return Cluster(masters, asked, with_counts(nodes, endpoints), counts)


def _shown(cluster: Cluster) -> Object:
    states = cluster.states
    return {
        "masters": cluster.shown_masters,
        "nodes": list(cluster.nodes),
        "inSync": states[IN_SYNC],
        "notInSync": states[NOT_IN_SYNC],
        "unreachable": states[UNREACHABLE],
        **cluster.counts,
        "lookAt": list(_advice(cluster)),
    }


def _text(cluster: Cluster) -> str:
    states, counts = cluster.states, cluster.counts
    of_nodes = ", ".join(f"{states[each]} {each}" for each in (IN_SYNC, NOT_IN_SYNC, UNREACHABLE))
    parts = [
        columns(_MASTER_COLUMNS, cluster.shown_masters),
        f"Nodes: {len(cluster.nodes)} ({of_nodes})\n"
        f"Networks: {counts['networks']}, groups: {counts['groups']}, endpoints: {counts['endpoints']}\n",
    ]
    if cluster.nodes:
        parts.append(columns(STATUS_COLUMNS, cluster.nodes))
    advice = "".join(f"- {line}\n" for line in _advice(cluster))
    return "\n".join([*parts, *([f"Look at:\n{advice}"] if advice else [])])


def _advice(cluster: Cluster) -> Iterator[str]:
    """What to look at, a line each."""
    for master in cluster.masters:
        if master.problem:
            yield f"master {master.client.url}: {master.problem}: {_way_to_master(master)}"
    if not cluster.nodes:
        yield _NO_NODE
    for node in cluster.nodes:
        if status(node) != IN_SYNC:
            yield f"node {node['name']}: {_way_to_node(node)}"


def _way_to_master(master: Master) -> str:
    if master.version:
        return "look at etcd from its host"
    return "is its host on, and does netmaster run there? journalctl -u isthmus-netmaster"


def _way_to_node(node: Object) -> str:
    if status(node) == UNREACHABLE:
        where = "is its host on, does netplugin run there and reach etcd? journalctl -u isthmus-netplugin"
        return f"unreachable, last contact {contact(node)}: {where}"
    if node.get("engine") == "absent":
        return f"{reason(node)}: does Docker run there? journalctl -u docker"
    return f"{reason(node)}; all reasons: netctl node inspect {node['name']}"


def _wrong(cluster: Cluster) -> Iterator[str]:
    """What is not as it should be, counted."""
    bad = sum(1 for master in cluster.masters if master.problem)
    if bad:
        yield f"{bad} of {len(cluster.masters)} masters {'does' if bad == 1 else 'do'} not serve"
    if not cluster.nodes:
        yield "there is no node"
    states = cluster.states
    for each in (NOT_IN_SYNC, UNREACHABLE):
        if states[each]:
            yield f"{states[each]} of {len(cluster.nodes)} nodes {each}"


def _nobody(masters: Sequence[Master]) -> str:
    """In the words of every other command; a master that answers without serving is told from one that does not."""
    said = "; ".join(f"{each.client.url}: {_excuse(each)}" for each in masters)
    none = f", none of {len(masters)} serves:" if len(masters) > 1 else ""
    return f"Error connecting to netmaster{none} {said}"


def _excuse(master: Master) -> str:
    return f"it answers (version {master.version}), and says: {master.problem}" if master.version else master.problem
