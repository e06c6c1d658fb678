"""Asks from within containers: which addresses answer, and what names mean; all of a node in one process."""

import json
from collections.abc import Sequence
from functools import partial

from isthmus.lab.running import RunningLab, RunningNode
from tests.lab.probes import at_once
from tests.lab.storm.agreement import addresses_of, reachable
from tests.lab.storm.looking import Life

_WAIT_S = 1.5  # for an answer that should come
_LINGER_S = 0.2  # for an answer that should not
_ASK = """
import ctypes, json, os, select, socket, struct, sys, time

libc = ctypes.CDLL(None, use_errno=True)
QUESTION = struct.Struct(">6H")

def echo_request():
    message = bytearray(b"\\x08\\0\\0\\0\\0\\1\\0\\1")
    message[2:4] = (~sum(int.from_bytes(message[i:i + 2], "big") for i in range(0, 8, 2)) & 0xFFFF).to_bytes(2, "big")
    return bytes(message)

def question(number, name):
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
    return QUESTION.pack(number, 0x100, 1, 0, 0, 0) + labels + b"\\0\\0\\1\\0\\1"

def answers(message):
    number, _, _, count, _, _ = QUESTION.unpack(message[:12])
    place = message.index(0, 12) + 5
    found = []
    for _ in range(count):
        place = place + 2 if message[place] >= 0xC0 else message.index(0, place) + 1
        kind, _, _, length = struct.unpack(">HHIH", message[place:place + 10])
        if kind == 1:
            found.append(socket.inet_ntoa(message[place + 10:place + 14]))
        place += 10 + length
    return number, sorted(found)

class Asker:
    def __init__(self, pid, expected):
        with open(f"/proc/{pid}/ns/net") as namespace:
            if libc.setns(namespace.fileno(), 0):
                raise OSError(ctypes.get_errno(), "setns")
        self.icmp = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
        self.dns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.dns.connect(("127.0.0.11", 53))
        self.expected, self.echoed, self.told = set(expected), set(), {}

    def is_done(self):
        return self.expected <= self.echoed and len(self.told) == len(names)

    def ask(self):
        for target in set(targets) - self.echoed:
            try:
                self.icmp.sendto(echo_request(), (target, 0))
            except OSError:
                pass
        for number, name in enumerate(names):
            if name not in self.told:
                try:
                    self.dns.send(question(number, name))
                except OSError:
                    pass

    def hear(self, sock):
        try:
            packet, (sender, _) = sock.recvfrom(4096)
        except OSError:
            return
        if sock is self.dns:
            number, found = answers(packet)
            self.told[names[number]] = found
        elif packet[20] == 0:
            self.echoed.add(sender)

askers, targets, names, wait_s, linger_s = json.load(sys.stdin)
asking = {name: Asker(pid, expected) for name, (pid, expected) in askers.items()}
sockets = {each: asker for asker in asking.values() for each in (asker.icmp, asker.dns)}

def hear_for(seconds, is_over):
    until_s = time.monotonic() + seconds
    while not is_over() and (left_s := until_s - time.monotonic()) > 0:
        for each in select.select(list(sockets), [], [], left_s)[0]:
            sockets[each].hear(each)

end_s = time.monotonic() + wait_s
is_done = lambda: all(each.is_done() for each in asking.values())
while asking and not is_done() and time.monotonic() < end_s:
    for each in asking.values():
        each.ask()
    hear_for(0.5, is_done)
hear_for(linger_s, lambda: not asking)
print(json.dumps({name: [sorted(each.echoed), each.told] for name, each in asking.items()}))
"""


def misunderstandings(lab: RunningLab, lives: Sequence[Life], names: Sequence[str]) -> list[str]:
    """Who reaches whom and should not, or the other way round, and which names mean what they should not."""
    return [text for found in at_once([partial(_on, node, lives, names) for node in lab.nodes]) for text in found]


def _on(node: RunningNode, lives: Sequence[Life], names: Sequence[str]) -> list[str]:
    askers: dict[str, list[Life]] = {}
    for life in lives:
        if life.node == node.name:
            askers.setdefault(life.container, []).append(life)
    targets = sorted({str(each.address) for each in lives})
    places = {name: (own[0].pid, reachable(own, lives)) for name, own in askers.items()}
    asked = json.dumps([places, targets, names, _WAIT_S, _LINGER_S])
    heard = json.loads(node.output(["python3", "-c", _ASK], text=asked))
    found = []
    for name, (echoed, told) in heard.items():
        expected = {each: addresses_of(each, askers[name], lives) for each in names}
        found += [f"{node.name}: {name} {text}" for text in _reach(places[name][1], echoed)]
        found += [f"{node.name}: {name} {text}" for text in _meaning(expected, told)]
    return found


def _reach(expected: Sequence[str], echoed: Sequence[str]) -> list[str]:
    missing = [f"does not reach {each}" for each in expected if each not in echoed]
    return missing + [f"reaches {each}, which is in none of its networks" for each in echoed if each not in expected]


def _meaning(expected: dict[str, list[str]], told: dict[str, list[str]]) -> list[str]:
    return [
        f"is told {told.get(name, 'nothing at all')} of the name {name}; it should be {addresses}"
        for name, addresses in expected.items()
        if told.get(name) != addresses
    ]
