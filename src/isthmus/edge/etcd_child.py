"""A private etcd on loopback: one member, started, supervised and ended with this program.

It dies with its parent (by the kernel, should the parent be killed), is started again when it dies alone, and
keeps its data in a directory of its own.
"""

import asyncio
import json
import os
import shutil
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from isthmus.core.errors import ConflictError, InvalidError, NotFoundError, StoreUnavailableError
from isthmus.edge.store import Store
from isthmus.wire.endpoints import DEFAULT_PORT, Endpoint, Endpoints

LOOPBACK: Final = "127.0.0.1"
_START_S: Final = 30.0
_STOP_S: Final = 5.0
_PAUSE_S: Final = 0.5  # before it is started again
_FREE_TRIES: Final = 20
_FREE_PAUSE_S: Final = 0.1
_QUOTA_BYTES: Final = 2 << 30
_LAST_WORDS_BYTES: Final = 2000


@dataclass(frozen=True, slots=True)
class EtcdSettings:
    """Where the child keeps its data and listens. Peer port 0 is any: a single member has no peers."""

    data_dir: Path
    client_port: int = DEFAULT_PORT
    peer_port: int = 0
    extra: tuple[str, ...] = ()

    @property
    def endpoints(self) -> Endpoints:
        """Where clients find it."""
        return Endpoints((Endpoint(LOOPBACK, self.client_port),))


def command(settings: EtcdSettings) -> list[str]:
    """The child's command line.

    `setpriv` sets the parent-death signal and then becomes etcd, which spares us code between fork and exec.

    Raises:
        NotFoundError: etcd or setpriv is not installed.
    """
    client = f"http://{LOOPBACK}:{settings.client_port}"
    peer = f"http://{LOOPBACK}:{settings.peer_port}"
    options = {
        "name": "isthmus",
        "data-dir": settings.data_dir,
        "listen-client-urls": client,
        "advertise-client-urls": client,
        "listen-peer-urls": peer,
        "initial-advertise-peer-urls": peer,
        "initial-cluster": f"isthmus={peer}",
        "auto-compaction-mode": "periodic",
        "auto-compaction-retention": "1h",
        "quota-backend-bytes": _QUOTA_BYTES,
        "logger": "zap",
        "log-outputs": "stderr",
        "log-level": "warn",
    }
    prefix = [_program("setpriv", "util-linux"), "--pdeathsig", "KILL", "--", _program("etcd", "etcd-server")]
    return prefix + [f"--{name}={value}" for name, value in options.items()] + list(settings.extra)


class EtcdChild:
    """The child, for the length of an `async with`: it answers when the block is entered."""

    def __init__(self, settings: EtcdSettings, tell_end: Callable[[str], None] = lambda _: None) -> None:
        """`tell_end` is told why it ended alone, before it is started again; the same reason once in a row."""
        self.settings = settings
        self._tell_end = tell_end
        self.restarts = 0
        self._process: asyncio.subprocess.Process | None = None
        self._life: asyncio.Task[None] | None = None
        self._last_words = b""
        self._supervision: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int:
        """The running etcd's process; 0 between two."""
        return self._process.pid if self._process and self._process.returncode is None else 0

    @property
    def last_words(self) -> str:
        """The end of what etcd has logged; it logs warnings only."""
        return self._last_words.decode(errors="replace").strip()

    async def __aenter__(self) -> Self:
        """Start etcd, and wait until it answers.

        Raises:
            InvalidError: the data directory cannot be made.
            ConflictError: a port is taken.
            NotFoundError: etcd is not installed.
            StoreUnavailableError: it ended, or did not answer in time; with its last words.
        """
        _make(self.settings.data_dir)
        for port in (self.settings.client_port, self.settings.peer_port):
            await _free(port)
        life = await self._start()
        try:
            await self._answering(life)
        except BaseException:
            await self._end()
            raise
        self._supervision = asyncio.create_task(self._supervise(life))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._supervision is not None:
            self._supervision.cancel()
            await asyncio.wait((self._supervision,))
        await self._end()

    async def _start(self) -> asyncio.Task[None]:
        self._last_words = b""
        self._process = await asyncio.create_subprocess_exec(
            *command(self.settings),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,  # a terminal's Ctrl-C is for us; we end it when we are done with it
        )
        self._life = asyncio.create_task(self._live(self._process))
        return self._life

    async def _live(self, process: asyncio.subprocess.Process) -> None:
        assert process.stderr is not None
        while chunk := await process.stderr.read(4096):
            self._last_words = (self._last_words + chunk)[-_LAST_WORDS_BYTES:]
        await process.wait()

    async def _answering(self, life: asyncio.Task[None]) -> None:
        async with Store(self.settings.endpoints, timeout_s=_START_S) as store:
            answer = asyncio.create_task(store.read(keys=("/",)))
            try:
                await asyncio.wait((answer, life), return_when=asyncio.FIRST_COMPLETED)
                if life.done():
                    raise StoreUnavailableError(f"etcd ended at its start: {self.last_words}")
                await answer
            finally:
                answer.cancel()

    async def _supervise(self, life: asyncio.Task[None]) -> None:
        told = ""
        while True:
            await asyncio.wait((life,))
            reason = _cause(self.last_words)
            if reason != told:
                self._tell_end(reason)
            told = reason
            await asyncio.sleep(_PAUSE_S)
            with suppress(OSError, NotFoundError):  # no memory, an etcd being upgraded: the next turn tries again
                life = await self._start()
                self.restarts += 1

    async def _end(self) -> None:
        if self._process is None or self._life is None:
            return
        for signal_etcd in (self._process.terminate, self._process.kill):
            with suppress(ProcessLookupError):
                signal_etcd()
            await asyncio.wait((self._life,), timeout=_STOP_S)


def _cause(last_words: str) -> str:
    """Of what etcd said at its end, what it died of; its last line where it does not say."""
    *_, last = ["killed without a word", *last_words.splitlines()]
    for line in last_words.splitlines():
        with suppress(ValueError, TypeError, AttributeError):
            said = json.loads(line)
            if said.get("level") in {"fatal", "panic"}:
                return ": ".join(filter(None, (said.get("msg"), said.get("error"))))
    return last


def _program(name: str, package: str) -> str:
    path = shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/bin")
    if path is None:
        raise NotFoundError(f"the program {name!r} is not installed: it is in the Debian package {package}")
    return path


def _make(data_dir: Path) -> None:
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidError(f"cannot keep etcd's data in {data_dir}: {error.strerror}") from error


async def _free(port: int) -> None:
    """Wait a moment for a port: a child of ours that has just been killed may still be going."""
    for _ in range(_FREE_TRIES):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with suppress(OSError):
                probe.bind((LOOPBACK, port))
                return
        await asyncio.sleep(_FREE_PAUSE_S)
    raise ConflictError(
        f"port {port} on {LOOPBACK} is in use, perhaps by an etcd service of this machine: "
        f"use it by --cluster-store etcd://{LOOPBACK}:{port}, or stop it"
    )
