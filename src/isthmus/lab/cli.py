"""The command line of `isthmus lab`: words to calls, errors to one line and an exit code."""

import argparse
import os
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import NoReturn, TypeAlias

from isthmus.core.errors import ConflictError, EdgeError, InvalidError, IsthmusError, NotFoundError
from isthmus.lab import cluster, fabric, holder, power, programs, state
from isthmus.lab.progress import shown
from isthmus.lab.topology import (
    DEFAULT_NAME,
    MAX_NODES,
    Lab,
    Machine,
    Role,
    check_name,
    checked,
    link,
    machine,
    machines,
    nodes,
)

Verb = Callable[[argparse.Namespace], int]

_SHOW_CURSOR = "\x1b[?25h"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit code: 0 done, 1 refused or failed, 2 not understood."""
    wish = _parser().parse_args(arguments)
    if os.geteuid() != 0:
        print("isthmus: a lab is made of namespaces, mounts and links, which only root may make", file=sys.stderr)
        return 1
    signal.signal(signal.SIGINT, _leave)
    try:
        check_name(wish.name)
        verb: Verb = wish.verb
        return verb(wish)
    except (IsthmusError, EdgeError) as refusal:
        print(f"isthmus: {refusal}", file=sys.stderr)
        return 1


def _leave(_number: int, _frame: FrameType | None) -> None:
    # At once, without waiting for threads: a lab may be left at any moment, and `down` finds what there is.
    if sys.stderr.isatty():
        sys.stderr.write(_SHOW_CURSOR)
        sys.stderr.flush()
    os._exit(128 + signal.SIGINT)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="isthmus", description="Container networking for plain Docker, across hosts.")
    areas = parser.add_subparsers(required=True, metavar="lab")
    lab = areas.add_parser("lab", help="a whole cluster with real engines on this machine")
    verbs = lab.add_subparsers(required=True, metavar="VERB", title="verbs")
    _add_whole_verbs(verbs)
    _add_command_verbs(verbs)
    _add_power_verbs(verbs)
    _add_cable_verbs(verbs)
    return parser


Verbs: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001 - the only name that type has


def _add_whole_verbs(verbs: Verbs) -> None:
    up = _add(verbs, "up", _up, "bring the lab up, or what of it is not up")
    up.add_argument(
        "--nodes", type=int, metavar="N", help=f"how many nodes, 1 to {MAX_NODES} (default 2, or one for each master)"
    )
    up.add_argument("--masters", type=int, metavar="N", help="netmaster runs on the first N nodes (default 1)")
    up.add_argument("--dockerd", metavar="PATH", help="the engine to run (default: the dockerd in PATH)")
    up.add_argument("--mtu", type=int, metavar="BYTES", help="of every link (default 1500)")
    up.add_argument("--only", metavar="A,B", help="for debugging: start these programs only")
    _add(verbs, "down", _down, "remove the lab and all that is left of it")
    _add(verbs, "status", _status, "show every node and its programs; exit code 0 if all are ready")


def _add_command_verbs(verbs: Verbs) -> None:
    _add_node(_add(verbs, "ssh", _ssh, "open a shell on a node"))
    execute = _add_node(_add(verbs, "exec", _exec, "run a command on a node; its exit code is ours"))
    execute.add_argument("command", nargs=argparse.REMAINDER, metavar="-- CMD ...")
    logs = _add_node(_add(verbs, "logs", _logs, "show what a node's programs wrote"))
    logs.add_argument("program", nargs="?", metavar="PROGRAM")
    logs.add_argument("-f", "--follow", action="store_true", help="go on showing")
    logs.add_argument("-n", "--lines", type=int, metavar="N", help="the last N lines only")


def _add_power_verbs(verbs: Verbs) -> None:
    table: tuple[tuple[str, Verb, str], ...] = (
        ("start", _start, "start a program, or turn a node on with all of its programs"),
        ("stop", _stop, "stop a program, or shut a node down"),
        ("restart", _restart, "stop and start"),
        ("kill", _kill, "kill -9 a program, or pull a node's power; it stays dead until started"),
    )
    for name, verb, text in table:
        _add_node(_add(verbs, name, verb, text)).add_argument("program", nargs="?", metavar="PROGRAM")


def _add_cable_verbs(verbs: Verbs) -> None:
    for name, verb, text in (("cut", _cut, "pull a cable out"), ("heal", _heal, "put it back")):
        _add_node(_add(verbs, name, verb, text)).add_argument("interface", metavar="IFACE")
    capture = _add_node(_add(verbs, "capture", _capture, "show or save the packets of an interface"))
    capture.add_argument("interface", metavar="IFACE")
    capture.add_argument("tcpdump", nargs=argparse.REMAINDER, metavar="...", help="for tcpdump: -w FILE, a filter")


def _add(verbs: Verbs, name: str, verb: Verb, text: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = verbs.add_parser(name, help=text, description=text)
    parser.add_argument("--name", default=DEFAULT_NAME, metavar="X", help=f"of the lab (default {DEFAULT_NAME})")
    parser.set_defaults(verb=verb)
    return parser


def _add_node(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser.add_argument("node", metavar="NODE", help="node1, node2, ... or outside")
    return parser


def _up(wish: argparse.Namespace) -> int:
    with state.locked(wish.name):
        lab = _wanted(wish)
        running = state.find(wish.name) is not None and all(each.is_ready for each in cluster.status(lab))
        if running:
            print(f"lab '{lab.name}' is up already")
            return 0
        with shown() as say:
            cluster.up(lab, say)
        first = nodes(lab)[0]
        option = "" if lab.name == DEFAULT_NAME else f"--name {lab.name} "
        print(f"lab '{lab.name}' is up; try: isthmus lab ssh {option}{first.name}")
    return 0


def _wanted(wish: argparse.Namespace) -> Lab:
    """Give the lab that the options ask for; of one that exists already, none may differ."""
    wishes = {
        "nodes": wish.nodes,
        "masters": wish.masters,
        "dockerd": wish.dockerd and _absolute(wish.dockerd),
        "mtu": wish.mtu,
        "only": _programs(wish.only),
    }
    known = state.find(wish.name)
    given = {field: value for field, value in wishes.items() if value is not None}
    lab = checked(replace(known or _roomy(Lab(wish.name), wish.masters), **given))
    if known is not None and lab != known:
        field = next(field for field in given if getattr(lab, field) != getattr(known, field))
        raise ConflictError(
            f"lab '{lab.name}' exists with --{field} {_shown(getattr(known, field))}; "
            f"'isthmus lab down --name {lab.name}' first to have another"
        )
    return lab


def _roomy(lab: Lab, masters: int | None) -> Lab:
    """Give a lab with a node for every master."""
    return replace(lab, nodes=min(MAX_NODES, max(lab.nodes, masters or 0)))


def _shown(value: object) -> str:
    return ",".join(value) if isinstance(value, tuple) else str(value)


def _absolute(path: str) -> str:
    return str(Path(path).absolute()) if "/" in path else path


def _programs(text: str | None) -> tuple[str, ...] | None:
    if text is None:
        return None
    known = [program.name for program in programs.TABLE]
    chosen = tuple(text.split(","))
    for name in chosen:
        if name not in known:
            raise InvalidError(f"--only {text}: there is no program '{name}'; there is: {', '.join(known)}")
    return chosen


def _down(wish: argparse.Namespace) -> int:
    with state.locked(wish.name):
        was_there = cluster.down(wish.name)
    print(f"lab '{wish.name}' is gone" if was_there else f"there is no lab '{wish.name}'; nothing to do")
    return 0


def _status(wish: argparse.Namespace) -> int:
    found = cluster.status(state.existing(wish.name))
    rows = [("NODE", "ETH0", "ETH1", "STATE", "PROGRAMS"), *(_row(each) for each in found)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    return 0 if all(each.is_ready for each in found) else 1


def _row(found: cluster.MachineState) -> tuple[str, str, str, str, str]:
    addresses = {cable.interface: str(cable.address.ip) for cable in found.machine.links if cable.address}
    running = ", ".join(f"{program.name} {_word(program)}" for program in found.programs)
    is_on = "on" if found.is_on else "off"
    return found.machine.hostname, addresses.get("eth0", "-"), addresses.get("eth1", "-"), is_on, running


def _word(program: cluster.ProgramState) -> str:
    if program.is_ready:
        return "ready"
    return "not ready" if program.is_running else "stopped"


def _ssh(wish: argparse.Namespace) -> int:
    return _become(wish, ["bash", "-i"])


def _exec(wish: argparse.Namespace) -> int:
    command = wish.command[1:] if wish.command[:1] == ["--"] else wish.command
    if not command:
        raise InvalidError("what should run on the node? isthmus lab exec NODE -- CMD ...")
    return _become(wish, command)


def _become(wish: argparse.Namespace, command: list[str]) -> NoReturn:
    lab, of = _machine(wish)
    line = holder.enter(cluster.host(lab, of), power.inside(lab, of, command))
    _turn_into(line)


def _logs(wish: argparse.Namespace) -> int:
    lab, of = _machine(wish)
    chosen = [programs.named(lab, of, wish.program)] if wish.program else programs.on(lab, of)
    files = [str(path) for each in chosen if (path := state.log_file(lab, of, each.name)).exists()]
    if not files:
        raise NotFoundError(f"no program of {of.hostname} has written anything")
    lines = "+1" if wish.lines is None else str(wish.lines)
    _turn_into(["tail", *(["-F"] if wish.follow else []), "-n", lines, *files])


def _start(wish: argparse.Namespace) -> int:
    lab, of = _node(wish)
    with state.locked(lab.name), shown() as say:
        if wish.program is None:
            cluster.start_machine(lab, of, say)
        else:
            cluster.start_program(lab, of, wish.program, say)
    return 0


def _stop(wish: argparse.Namespace) -> int:
    lab, of = _node(wish)
    with state.locked(lab.name), shown() as say:
        if wish.program is None:
            cluster.stop_machine(lab, of, say)
        else:
            power.stop(cluster.host(lab, of), programs.named(lab, of, wish.program))
    return 0


def _restart(wish: argparse.Namespace) -> int:
    return _stop(wish) or _start(wish)


def _kill(wish: argparse.Namespace) -> int:
    lab, of = _node(wish)
    with state.locked(lab.name):
        if wish.program is None:
            cluster.kill_machine(lab, of)
        else:
            power.kill(cluster.host(lab, of), programs.named(lab, of, wish.program))
    return 0


def _cut(wish: argparse.Namespace) -> int:
    lab, of = _node(wish)
    with state.locked(lab.name):
        fabric.cut(lab, cluster.switches(lab), link(of, wish.interface))
    return 0


def _heal(wish: argparse.Namespace) -> int:
    lab, of = _node(wish)
    with state.locked(lab.name):
        fabric.heal(lab, cluster.switches(lab), link(of, wish.interface))
    return 0


def _capture(wish: argparse.Namespace) -> int:
    """Become a tcpdump in the node's network, but among our own files, so that `-w FILE` is written here."""
    lab, of = _machine(wish)
    running = cluster.host(lab, of)
    present = sorted(path.name for path in (running.root / "sys/class/net").iterdir())
    if wish.interface not in present:
        raise NotFoundError(f"{of.hostname} has no interface '{wish.interface}'; it has: {', '.join(present)}")
    # Line by line, numbers for names, every packet written at once, and no dropping of rights that -w needs.
    tcpdump = ["tcpdump", "-l", "-n", "-U", "-Z", "root", "-i", wish.interface, *wish.tcpdump]
    line = holder.enter(running, tcpdump, spaces="np")
    _turn_into(line)


def _turn_into(command: list[str]) -> NoReturn:
    """Become the command: our input, output, terminal and exit code are then its own."""
    sys.stdout.flush()
    os.execvp(command[0], command)  # noqa: S606 - a list of words, no shell


def _machine(wish: argparse.Namespace) -> tuple[Lab, Machine]:
    lab = state.existing(wish.name)
    return lab, machine(lab, wish.node)


def _node(wish: argparse.Namespace) -> tuple[Lab, Machine]:
    """Give the machine named, of those that have power and cables of their own: all but the fabric."""
    lab, of = _machine(wish)
    if of.role is Role.FABRIC:
        choices = ", ".join(each.name for each in machines(lab) if each.role is not Role.FABRIC)
        raise InvalidError(f"'{wish.node}' is the lab's switches, which stay up; choose one of: {choices}")
    return lab, of
