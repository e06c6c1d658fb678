"""The switches of a lab and the cables in them; all of it in namespaces, nothing in the computer's own."""

import json
from contextlib import suppress

from isthmus.core.errors import EdgeError
from isthmus.lab import holder, state
from isthmus.lab.process import Process
from isthmus.lab.topology import GATEWAY, INTERNET, NAT_ADDRESS, WEBSITE_ADDRESS, Lab, Link, Machine, Role, switches

_QUIET = """
for each in iptables ip6tables arptables; do
    f=/proc/sys/net/bridge/bridge-nf-call-$each; if [ -e $f ]; then echo 0 >$f; fi
done
for each in all default; do f=/proc/sys/net/ipv6/conf/$each/disable_ipv6; if [ -e $f ]; then echo 1 >$f; fi; done
"""

_NAT = f"""
add table ip lab
add chain ip lab nat {{ type nat hook input priority 100; }}
flush chain ip lab nat
add rule ip lab nat ip daddr {WEBSITE_ADDRESS} snat to {NAT_ADDRESS}
"""


def build(lab: Lab, fabric: Process) -> None:
    """Make the switches that are not there yet; they pass every frame, tagged or not, and have no address."""
    holder.run(fabric, ["sh", "-c", _QUIET])
    present = _links(fabric)
    lines = []
    for switch in switches(lab):
        if switch not in present:
            lines.append(f"link add {switch} type bridge stp_state 0 forward_delay 0 mcast_snooping 0")
        lines.append(f"link set {switch} mtu {lab.mtu} up")
    _ip(fabric, lines)


def plug(lab: Lab, fabric: Process, machine: Machine, host: Process) -> None:
    """Put the machine's cables into its interfaces, and give these their addresses; what is done already stays."""
    own, lines = _links(host), []
    for cable in machine.links:
        if cable.interface not in own:
            with suppress(EdgeError):  # of the machine's last life, if its namespace is still being taken apart
                _ip(fabric, [f"link del {cable.port}"])
            lines.append(_veth(lab, cable, host))
        up = "down" if state.cut_file(lab, cable.port).exists() else "up"
        lines.append(f"link set {cable.port} master {cable.switch} {up}")
    _ip(fabric, lines)
    _ip(host, [line for cable in machine.links for line in _address(cable)])
    if machine.role is Role.NODE:
        _ip(host, [f"route replace default via {GATEWAY} dev eth0"])
    elif machine.role is Role.OUTSIDE:
        _build_internet(host)


def cut(lab: Lab, fabric: Process, cable: Link) -> None:
    """Pull the cable out at the switch: the machine sees its carrier go."""
    state.cut_file(lab, cable.port).touch()
    _set(fabric, cable, "down")


def heal(lab: Lab, fabric: Process, cable: Link) -> None:
    """Put the cable back."""
    state.cut_file(lab, cable.port).unlink(missing_ok=True)
    _set(fabric, cable, "up")


def _build_internet(outside: Process) -> None:
    """Give the outside the lab's internet: its addresses, and the address behind which the nodes appear to it."""
    addresses = [f"addr replace {address}/32 dev lo" for address in (WEBSITE_ADDRESS, NAT_ADDRESS)]
    # Every other address of the documentation range, and of the world, is refused at once: no route.
    _ip(outside, [*addresses, f"route replace unreachable {INTERNET}"])
    holder.run(outside, ["sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward"])
    holder.run(outside, ["nft", "-f", "-"], text=_NAT)


def _veth(lab: Lab, cable: Link, host: Process) -> str:
    peer = f"peer name {cable.interface} address {cable.mac} mtu {lab.mtu} netns {host.pid}"
    return f"link add {cable.port} mtu {lab.mtu} type veth {peer}"


def _address(cable: Link) -> list[str]:
    up = f"link set {cable.interface} up"
    if cable.address is None:
        return [f"link set {cable.interface} addrgenmode none", up]
    return [f"addr replace {cable.address} broadcast + dev {cable.interface}", up]


def _set(fabric: Process, cable: Link, to: str) -> None:
    if cable.port in _links(fabric):  # else the machine is off, and will find the cable so when it starts
        _ip(fabric, [f"link set {cable.port} {to}"])


def _links(host: Process) -> set[str]:
    return {each["ifname"] for each in json.loads(holder.run(host, ["ip", "-j", "link"], spaces=holder.NETWORK))}


def _ip(host: Process, lines: list[str]) -> None:
    holder.run(host, ["ip", "-batch", "-"], spaces=holder.NETWORK, text="\n".join([*lines, ""]))
