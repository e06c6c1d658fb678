"""netmaster's start: the command line, the store, the server, and the end by a signal."""

import asyncio
import contextlib
import signal
import socket
import sys

import structlog

from isthmus import __version__
from isthmus.core.errors import ConflictError, InvalidError, IsthmusError, StoreUnavailableError
from isthmus.edge.etcd_child import EtcdChild, EtcdSettings
from isthmus.edge.log import set_up_log
from isthmus.edge.server import listen_tcp, serve
from isthmus.edge.store import Store, TlsFiles
from isthmus.netmaster import plans
from isthmus.netmaster.app import make_app
from isthmus.netmaster.options import Listen, Options, help_text, parse_options
from isthmus.netmaster.routes import Surroundings

BAD_CONFIGURATION = 22
_RETRY_S = 1.0
_CHECK_S = 1.0

log = structlog.get_logger()


def main() -> None:
    """Run until SIGTERM or SIGINT; exit with 22 where the configuration cannot be served."""
    try:
        options = parse_options(sys.argv[1:])
        if options.wants_help or options.wants_version:
            print(help_text() if options.wants_help else f"netmaster version {__version__}")
            return
        set_up_log(options.log_level, is_json=options.is_json_log)
        for name in options.ignored:
            log.warning("option ignored", option=name)
        asyncio.run(_run(options, _listen(options.listen)))
    except IsthmusError as error:
        print(f"netmaster: {error}", file=sys.stderr)
        sys.exit(BAD_CONFIGURATION)


def _listen(listen: Listen) -> socket.socket:
    try:
        return listen_tcp(listen.host, listen.port)
    except OSError as error:
        raise ConflictError(f"cannot listen on {listen}: {error.strerror}") from error


async def _run(options: Options, listener: socket.socket) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    child = None if options.store else EtcdSettings(options.data_dir, options.etcd_port)
    endpoints = child.endpoints if child else options.store
    assert endpoints is not None
    async with Store(endpoints, _tls(options)) as store:
        app = make_app(Surroundings(store, options.rollout_s))
        serving = asyncio.create_task(serve(app, [listener], stop))
        supplying = asyncio.create_task(_supply(store, child))
        log.info("netmaster serves", address=str(options.listen), etcd=str(endpoints), version=__version__)
        await asyncio.wait({serving, supplying}, return_when=asyncio.FIRST_COMPLETED)
        stop.set()
        await serving  # what is under way still has its etcd
        supplying.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await supplying


async def _supply(store: Store, child: EtcdSettings | None) -> None:
    """See that etcd is there, and the first records in it; a private etcd lives until this is cancelled."""
    while True:
        try:
            async with _child(child):
                await _keep_first_records(store)
        except StoreUnavailableError as error:
            log.warning("etcd does not answer, trying again", reason=str(error))
            await asyncio.sleep(_RETRY_S)


async def _keep_first_records(store: Store) -> None:
    """Write the first records, and again whenever etcd has lost them, to a wipe or an old backup."""
    while True:
        try:
            if (await plans.done(store, plans.first_records())).is_written:
                log.info("first records written")
        except StoreUnavailableError as error:
            log.warning("etcd does not answer, trying again", reason=str(error))
            await asyncio.sleep(_RETRY_S)
        else:
            await asyncio.sleep(_CHECK_S)


def _child(settings: EtcdSettings | None) -> contextlib.AbstractAsyncContextManager[object]:
    return EtcdChild(settings, _tell_end) if settings else contextlib.nullcontext()


def _tell_end(reason: str) -> None:
    log.warning("the private etcd has ended; starting it again until it stays", reason=reason)


def _tls(options: Options) -> TlsFiles | None:
    ca, certificate, key = options.tls_files
    if options.store and options.store.is_tls and not ca:
        raise InvalidError("etcds:// needs etcd-ca")
    return TlsFiles(ca, certificate, key) if ca else None


if __name__ == "__main__":
    main()
