"""Whether a node's agent is a live member of the cluster, with its engine in its care: asked of the node's etcd."""

import base64
import http.client
import json
import time

from isthmus.core.errors import EdgeError
from isthmus.core.model import EngineState, Node, NodeName
from isthmus.lab import power, programs
from isthmus.lab.process import Process
from isthmus.lab.topology import Lab, Machine
from isthmus.wire import keys

ETCD_PORT = 2379


def await_member(lab: Lab, machine: Machine, host: Process) -> None:
    """Return when netmaster would wait for this node. To be called from within the machine's network namespace.

    netplugin answers its engine before that; a network created in between reaches the engine only later.

    Raises:
        EdgeError: netplugin has ended, or does not come so far in time; the text has the end of its log.
    """
    agent = programs.named(lab, machine, "netplugin")
    deadline_s = time.monotonic() + power.READY_DEADLINE_S
    while not _is_member(NodeName(machine.hostname)):
        if power.find(host, agent.name) is None:
            why = "has ended"
        elif time.monotonic() > deadline_s:
            why = f"is not in the cluster after {power.READY_DEADLINE_S:.0f} seconds"
        else:
            time.sleep(power.POLL_S)
            continue
        raise EdgeError(f"{agent.name} on {machine.hostname} {why}.\n{power.log_tail(lab, machine, agent)}")


def _is_member(name: NodeName) -> bool:
    report = _value(keys.node_key(name))
    node = keys.parse(keys.node_key(name), report) if report else None
    is_alive = _value(keys.lease_key(name)) is not None
    return is_alive and isinstance(node, Node) and node.engine is EngineState.READY


def _value(key: str) -> bytes | None:
    question = json.dumps({"key": base64.b64encode(key.encode()).decode()})
    connection = http.client.HTTPConnection("127.0.0.1", ETCD_PORT, timeout=programs.PROBE_DEADLINE_S)
    try:
        connection.request("POST", "/v3/kv/range", question)
        answer = connection.getresponse()
        found = json.loads(answer.read()).get("kvs", []) if answer.status == 200 else []
    except (OSError, http.client.HTTPException, ValueError):
        return None  # no quorum yet
    finally:
        connection.close()
    return base64.b64decode(found[0]["value"]) if found else None
