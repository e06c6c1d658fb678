"""netmaster's REST API, object by object, at the first of several masters that serves.

Masters keep no state, so any is as good as another, and a request that one of them may have carried out may be asked
again of the next: what is there already is created as if it were new.
"""

import json
import socket
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import SplitResult, quote, urlsplit

from isthmus.netctl.exchange import PORTS, Answer, BadAnswerError, Server, exchange, reason_of, servers

DEFAULT_MASTER = "http://netmaster:9999"
_MASTER_HERE = "http://127.0.0.1:9999"
_OK, _NOT_FOUND, _UNAVAILABLE = 200, 404, 503

Object = dict[str, Any]  # a JSON object of the API: {"key": str, field: str | int | [...]}


class UnreachableError(Exception):
    """No answer from the master; `reason` is why, without the name of the master where there is only one."""

    def __init__(self, text: str, reason: str = "") -> None:
        super().__init__(text)
        self.reason = reason or text


class RefusedError(Exception):
    """The master answered with an error; the text is its own."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class BadMasterError(Exception):
    """The master's URL is none."""


class Done(NamedTuple):
    """A good answer: its JSON, and the nodes that have not followed a change yet."""

    content: Any
    pending: str = ""


class _Failure(NamedTuple):
    """Why one address of one master did not serve."""

    master: str
    error: Exception

    @property
    def progress(self) -> int:
        """How far the request came: 0 not out of the door; else it may have been carried out."""
        return 2 if isinstance(self.error, RefusedError) else int(isinstance(self.error, BadAnswerError))

    @property
    def reason(self) -> str:
        return reason_of(self.error)


class Client:
    """The masters of some URLs, separated by commas: asked in order, and from then on the one that answered first.

    Without any it is the host named netmaster, or this one where no host has that name.

    Raises:
        BadMasterError: one of the URLs is none.
    """

    def __init__(self, masters: str = "", *, is_insecure: bool = False) -> None:
        self._urls = _urls(masters or DEFAULT_MASTER)
        self._may_be_here = not masters
        self._is_insecure = is_insecure
        self._serving: Server | None = None

    @property
    def url(self) -> str:
        """Of the master that answered last, or of the first one where none has been asked."""
        return (self._serving.url if self._serving else self._urls[0]).geturl()

    def each(self) -> tuple["Client", ...]:
        """The masters one by one, each with no other to go on to."""
        if len(self._urls) == 1:
            return (self,)
        urls = dict.fromkeys(url.geturl() for url in self._urls)
        return tuple(Client(url, is_insecure=self._is_insecure) for url in urls)

    def objects(self, collection: str) -> list[Object]:
        """All objects of a collection."""
        return list(self._api("GET", f"{collection}/").content)

    def object(self, collection: str, key: str) -> Object:
        """One object."""
        return dict(self._api("GET", f"{collection}/{_segment(key)}/").content)

    def inspect(self, collection: str, key: str) -> Object:
        """One object and its state."""
        return dict(self._api("GET", f"inspect/{collection}/{_segment(key)}/").content)

    def create(self, collection: str, key: str, fields: Mapping[str, Any]) -> Done:
        """Create an object."""
        return self._api("POST", f"{collection}/{_segment(key)}/", json.dumps(fields).encode())

    def delete(self, collection: str, key: str) -> Done:
        """Delete an object."""
        return self._api("DELETE", f"{collection}/{_segment(key)}/")

    def delete_endpoint(self, words: str, *, is_forced: bool) -> Done:
        """Delete the endpoint that `words` single out, even if its node is alive where `is_forced`."""
        return self._api("DELETE", f"endpoints/{_segment(words)}/{'?force=true' if is_forced else ''}")

    def clean_up(self, tenant: str, kind: str, name: str) -> Done:
        """Delete all endpoints of a network (`kind` is net) or of a group (`kind` is group)."""
        return self._ask("DELETE", f"/debug/epcleanup/tenant/{_segment(tenant)}/{kind}/{_segment(name)}")

    def version(self) -> Object:
        """What the master was built from."""
        return dict(self._ask("GET", "/version").content)

    def check(self, objects: Sequence[Object]) -> list[Object]:
        """What is wrong with the form of objects that are to be created: `{"index": its number, "text": str}`."""
        return list(self._api("POST", "check/", json.dumps({"objects": objects}).encode()).content)

    def backup(self) -> dict[str, str]:
        """All records of the cluster: values by key."""
        return dict(self._api("GET", "backup/").content["records"])

    def restore(self, records: Mapping[str, str], *, is_dry_run: bool) -> Object:
        """Write records that are not there, or only count them: `{"written": int, "unchanged": int}`."""
        path = f"restore/{'?dry-run=true' if is_dry_run else ''}"
        return dict(self._api("POST", path, json.dumps({"records": records}).encode()).content)

    def _api(self, method: str, path: str, body: bytes = b"") -> Done:
        return self._ask(method, f"/api/v1/{path}", body)

    def _ask(self, method: str, path: str, body: bytes = b"") -> Done:
        failures: list[_Failure] = []
        for server in self._servers(failures):
            try:
                outcome = _outcome(exchange(server, method, path, body, is_insecure=self._is_insecure))
            except (OSError, BadAnswerError, ValueError, RefusedError) as error:
                failures.append(_Failure(server.url.geturl(), error))
            else:
                self._serving = server
                return _told(outcome, is_gone_fine=method == "DELETE" and any(each.progress for each in failures))
        raise _all_failed(failures)

    def _servers(self, failures: list[_Failure]) -> Iterator[Server]:
        """Every address of every master, the one that has served first; a name without any is a failure."""
        first = self._serving
        if first:
            yield first
        for url in self._urls:
            try:
                found = self._found(url)
            except (OSError, ValueError) as error:
                failures.append(_Failure(url.geturl(), error))
                continue
            yield from (each for each in found if each != first)

    def _found(self, url: SplitResult) -> list[Server]:
        try:
            return servers(url)
        except socket.gaierror:
            if not self._may_be_here:
                raise
            return servers(urlsplit(_MASTER_HERE))


def _outcome(answer: Answer) -> Done | RefusedError:
    """What a master decided.

    Raises:
        RefusedError: it cannot decide, since its etcd is away.
        BadAnswerError: it is no master.
    """
    if answer.status == _OK:
        try:
            return Done(json.loads(answer.body), answer.headers.get("isthmus-pending", ""))
        except ValueError as error:
            raise BadAnswerError(str(error)) from error
    text = answer.body.decode(errors="replace").strip()
    refusal = RefusedError(answer.status, text or f"{answer.status} {answer.reason}")
    if answer.status == _UNAVAILABLE:
        raise refusal
    return refusal


def _told(outcome: Done | RefusedError, *, is_gone_fine: bool) -> Done:
    """What was done; where `is_gone_fine`, a master that did not live to tell may have deleted what is not found."""
    if isinstance(outcome, Done):
        return outcome
    if is_gone_fine and outcome.status == _NOT_FOUND:
        return Done(None)
    raise outcome


def _all_failed(failures: list[_Failure]) -> Exception:
    """One error for all masters; of the addresses of each it has the one where the request came furthest."""
    furthest: dict[str, _Failure] = {}
    for each in failures:
        if each.master not in furthest or each.progress >= furthest[each.master].progress:
            furthest[each.master] = each
    first, *others = furthest.values()
    if others:
        reasons = "; ".join(f"{each.master}: {each.reason}" for each in (first, *others))
        return UnreachableError(f"Error connecting to netmaster, none of {len(furthest)} serves: {reasons}")
    if isinstance(first.error, RefusedError):
        return first.error
    error = UnreachableError(f"Error connecting to netmaster {first.master}: {first.reason}", first.reason)
    error.__cause__ = first.error
    return error


def _segment(key: str) -> str:
    """A key as one part of a path; the server decides whether such a name may be."""
    return quote(key, safe=":", errors="surrogateescape")


def _urls(masters: str) -> tuple[SplitResult, ...]:
    texts = [text.strip() for text in masters.split(",")]
    urls = tuple(_url(text) for text in texts if text)
    return urls or (_url(masters),)


def _url(text: str) -> SplitResult:
    try:
        url = urlsplit(text)
        if url.scheme in PORTS and url.hostname and url.port != 0:
            return url
    except ValueError:  # its address in brackets is none, or its port
        pass
    raise BadMasterError(f'Error connecting to netmaster: "{text}" is not a URL beginning with http:// or https://')
