"""Connections to the members of an etcd cluster: one each, of which one is in favour until it fails.

Failing over here, not in gRPC, lets host names and both address families stand in one list, checks each
member's certificate against its own name, and leaves a member that is frozen or cut off from the others although
its connection stands.
"""

import asyncio
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

import grpc
from grpc import aio

from isthmus.core.errors import EdgeError, InvalidError, StoreUnavailableError
from isthmus.edge.store._etcd import etcd_pb2 as pb
from isthmus.edge.store._etcd import etcd_pb2_grpc as rpc
from isthmus.wire.endpoints import Endpoint, Endpoints

NEED_LEADER: Final = (("hasleader", "true"),)  # a member without a leader then refuses, instead of keeping silent

_OPTIONS: Final = (
    ("grpc.initial_reconnect_backoff_ms", 100),
    (
        "grpc.min_reconnect_backoff_ms",
        3_000,
    ),  # in spite of its name, the time one attempt to connect may take
    ("grpc.max_reconnect_backoff_ms", 2_000),
    ("grpc.dns_min_time_between_resolutions_ms", 1_000),
    ("grpc.keepalive_time_ms", 10_000),  # with the next: a host that vanished is noticed by TCP_USER_TIMEOUT
    ("grpc.keepalive_timeout_ms", 3_000),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.max_receive_message_length", -1),  # a snapshot has any size
    ("grpc.enable_http_proxy", 0),  # the store is inside; http_proxy in the environment is for the outside
    ("grpc.service_config_disable_resolution", 1),
    ("grpc.use_local_subchannel_pool", 1),
)
_POLLS_S: Final = (0.01, 0.02, 0.05, 0.1, 0.2)
_PROBE_S: Final = 0.5
_LONG_S: Final = 2.0
_ANSWERS: Final = frozenset(
    {
        grpc.StatusCode.NOT_FOUND,  # always a lease: nothing else that we name must exist
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.OUT_OF_RANGE,
    }
)

_ROUTE = re.compile(
    r".*(?:last error: [A-Z_]+: \S+: |lookup failed for \S+: )(?:Failed to connect to remote host: )?(?:connect: )?"
)
_CODES = re.compile(r"(?: \(\d+\)|\])+$")

_Q = TypeVar("_Q")
_A = TypeVar("_A")


class LeaseLostError(EdgeError):
    """A write named a lease that has run out or was revoked; its owner makes another."""


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files: the authority that signed the members' certificates; ours and its key, for mutual TLS."""

    ca: Path
    certificate: Path | None = None
    key: Path | None = None


@dataclass(frozen=True, slots=True)
class Health:
    """Whether the last thing heard of etcd was an answer; `since_s` is the Unix time of the last change."""

    is_connected: bool
    reason: str
    since_s: float


class Link:
    """One member and the calls it takes."""

    def __init__(self, member: Endpoint, credentials: grpc.ChannelCredentials | None) -> None:
        self.name = str(member)
        self.channel = _channel(f"dns:///{member}", credentials)
        self.kv = rpc.KVStub(self.channel)
        self.watch = rpc.WatchStub(self.channel)
        self.lease = rpc.LeaseStub(self.channel)
        self.maintenance = rpc.MaintenanceStub(self.channel)

    async def fault(self) -> aio.AioRpcError | None:
        """What gRPC says of a member whose connection does not come to stand; None where it just did."""
        try:
            await self.maintenance.Status(pb.StatusRequest(), timeout=_PROBE_S)
        except aio.AioRpcError as error:
            return error
        return None

    @property
    def is_ready(self) -> bool:
        """Whether the connection stands; if not, asking starts to make it."""
        return self.channel.get_state(try_to_connect=True) is grpc.ChannelConnectivity.READY


class Links:
    """All members, and what was last heard of them. Made inside a running event loop."""

    def __init__(self, endpoints: Endpoints, tls: TlsFiles | None) -> None:
        credentials = _credentials(endpoints, tls)
        self._links = [Link(member, credentials) for member in endpoints.members]
        self.name = ",".join(map(str, endpoints.members))
        self._is_closed = False
        self._failing_since_s: float | None = None
        self.health = Health(is_connected=False, reason="not connected yet", since_s=time.time())

    @property
    def is_long_down(self) -> bool:
        """Whether etcd was asked, and has not answered for long enough that a caller need not wait for it."""
        return self._failing_since_s is not None and time.monotonic() - self._failing_since_s > _LONG_S

    async def ready(self) -> Link:
        """A member whose connection stands, the one in favour first; waits for it without end.

        Raises:
            RuntimeError: the store is closed.
        """
        pauses_s = iter(_POLLS_S)
        while True:
            if self._is_closed:
                raise RuntimeError("the store is closed")
            for link in self._links:
                if link.is_ready:
                    return link
            await asyncio.sleep(next(pauses_s, _POLLS_S[-1]))

    async def call(
        self, pick: Callable[[Link], aio.UnaryUnaryMultiCallable[_Q, _A]], question: _Q, timeout_s: float
    ) -> _A:
        """Ask the member in favour, once.

        Raises:
            StoreUnavailableError: no answer; whether a write was done is not known.
            LeaseLostError: the lease is gone.
        """
        link: Link | None = None
        try:
            async with asyncio.timeout(timeout_s):
                link = await self.ready()
                answer = await pick(link)(question, metadata=NEED_LEADER, timeout=timeout_s)
        except TimeoutError as error:
            fault = await self._links[0].fault() if link is None else None
            raise self._silence(link, timeout_s, fault) from fault or error
        except aio.AioRpcError as error:
            raise self._refusal(link, error) from error
        self.answered()
        return answer

    def answered(self) -> None:
        """Note that etcd answered."""
        self._failing_since_s = None
        self._note(is_connected=True, reason="")

    def failed(self, link: Link | None, reason: str) -> None:
        """Note why etcd did not answer; the member at fault becomes the last to be asked."""
        if self._links[0] is link:
            self._links.append(self._links.pop(0))
        if self._failing_since_s is None:
            self._failing_since_s = time.monotonic()
        self._note(is_connected=False, reason=reason)

    async def close(self) -> None:
        """Drop every connection; calls under way are cancelled."""
        self._is_closed = True
        for link in self._links:
            await link.channel.close()

    def _silence(self, link: Link | None, timeout_s: float, fault: aio.AioRpcError | None) -> StoreUnavailableError:
        why = plain_text(fault) if fault else f"no answer within {timeout_s:.2g} s"
        reason = f"etcd at {link.name if link else self.name}: {why}"
        self.failed(link, reason)
        return StoreUnavailableError(reason)

    def _refusal(self, link: Link | None, error: aio.AioRpcError) -> Exception:
        """By its code: what the caller asked wrongly stays a bug; the rest is trouble outside."""
        reason = f"etcd at {link.name if link else self.name}: {plain_text(error)}"
        if error.code() in _ANSWERS:
            self.answered()
            return LeaseLostError(reason) if error.code() is grpc.StatusCode.NOT_FOUND else error
        if error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED:  # its quota: the whole cluster's, and reads go on
            self.answered()
            return StoreUnavailableError(reason)
        self.failed(link, reason)
        return StoreUnavailableError(reason)

    def _note(self, *, is_connected: bool, reason: str) -> None:
        is_flip = is_connected != self.health.is_connected
        since_s = time.time() if is_flip else self.health.since_s
        self.health = Health(is_connected, reason, since_s)


def plain_text(error: aio.AioRpcError) -> str:
    """What went wrong, without gRPC's account of how it came to know."""
    said = (error.details() or error.code().name).splitlines()[0]
    cause = _CODES.sub("", _ROUTE.sub("", said))
    return cause[:1].lower() + cause[1:]


def _credentials(endpoints: Endpoints, tls: TlsFiles | None) -> grpc.ChannelCredentials | None:
    if not endpoints.is_tls:
        if tls is not None:
            raise InvalidError(f"{endpoints}: certificates are given, so the scheme must be etcds://")
        return None
    if tls is None:
        return grpc.ssl_channel_credentials()
    ca, key, certificate = map(_read, (tls.ca, tls.key, tls.certificate))
    return grpc.ssl_channel_credentials(ca, key, certificate)


def _read(path: Path | None) -> bytes | None:
    try:
        return path.read_bytes() if path else None
    except OSError as error:
        raise InvalidError(f"cannot read {path}: {error.strerror}") from error


def _channel(target: str, credentials: grpc.ChannelCredentials | None) -> aio.Channel:
    if credentials is None:
        return aio.insecure_channel(target, options=_OPTIONS)
    return aio.secure_channel(target, credentials, options=_OPTIONS)
