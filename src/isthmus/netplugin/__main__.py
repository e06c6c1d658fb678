"""The agent's program: options, one instance a host, signals, exit codes."""

import asyncio
import fcntl
import os
import resource
import signal
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

import structlog

from isthmus import __version__
from isthmus.core.errors import ConflictError, EdgeError, InvalidError, IsthmusError
from isthmus.edge.engine import Engine
from isthmus.edge.kernel import Kernel
from isthmus.edge.log import set_up_log
from isthmus.edge.sandbox import NameService
from isthmus.edge.server import listen_unix
from isthmus.edge.store import Store
from isthmus.netplugin.agent import Agent, Edges
from isthmus.netplugin.memory import Memory
from isthmus.netplugin.network_ids import NetworkIds
from isthmus.netplugin.options import FLAGS, IGNORED, Options, parse_words, read_options
from isthmus.wire.goflags import usage

EXIT_CONFIGURATION = 22  # Contiv's
LOCK = Path("/run/isthmus/netplugin.lock")
NETWORK_IDS = Path("/var/lib/isthmus/docker-networks.json")
MEMORY = Path("/var/lib/isthmus/cluster.json")


def main(words: Sequence[str] | None = None) -> int:
    """Run the agent; returns its exit code: 0 ended by a signal, 22 told nonsense, 1 could not go on."""
    try:
        parsed = parse_words(sys.argv[1:] if words is None else words)
        if parsed.is_on("help"):
            print(f"netplugin: the agent of one host\n\nusage: netplugin [options]\n\n{usage(FLAGS)}", end="")
            return 0
        if parsed.is_on("version"):
            print(f"netplugin {__version__}")
            return 0
        options = read_options(parsed, socket.gethostname())
    except InvalidError as error:
        print(f"netplugin: {error}", file=sys.stderr)
        return EXIT_CONFIGURATION
    set_up_log(options.log_level, is_json=options.is_json_log)
    return _run(options, [flag.name for flag in IGNORED if flag.name in parsed.given])


def _run(options: Options, ignored: Sequence[str]) -> int:
    log = structlog.get_logger()
    if ignored:
        log.warning("options of Contiv without a meaning here are ignored", options=" ".join(ignored))
    if os.geteuid() != 0:
        log.error("netplugin needs root: it makes links and loads BPF programs")
        return 1
    code = 0
    try:
        _allow_files()
        with _only_instance():
            asyncio.run(_serve(options))
    except* (IsthmusError, EdgeError, OSError) as group:
        log.error("netplugin cannot go on", reason="; ".join(_reasons(group)))  # noqa: TRY400  # no trace: not a bug
        code = 1
    return code


def _reasons(error: BaseException) -> Iterator[str]:
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from _reasons(each)
    else:
        yield str(error)


def _allow_files() -> None:
    """Each sandbox takes four descriptors, so the usual soft limit would end at some 250 containers."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


@contextmanager
def _only_instance() -> Iterator[None]:
    """Two agents on a host would undo each other's work, and engines keep talking to an old one's socket."""
    LOCK.parent.mkdir(parents=True, exist_ok=True)
    with LOCK.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConflictError(f"another netplugin runs on this host: it holds {LOCK}") from error
        yield


async def _serve(options: Options) -> None:
    log = structlog.get_logger()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    options.plugin_socket.parent.mkdir(parents=True, exist_ok=True)
    listening = listen_unix(options.plugin_socket)
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(Store(options.endpoints, options.tls))
        engine = await stack.enter_async_context(Engine(options.docker_socket))
        kernel, names = Kernel(), NameService()
        await kernel.open()
        stack.push_async_callback(kernel.close)
        stack.push_async_callback(names.close)
        log.info("netplugin started", version=__version__, node=options.node, store=str(options.endpoints))
        network_ids = NetworkIds(NETWORK_IDS, log)
        edges = Edges(store, engine, kernel, names, network_ids, Memory(MEMORY, log))
        await Agent(edges, options, log).run(listening, stop)


if __name__ == "__main__":
    sys.exit(main())
