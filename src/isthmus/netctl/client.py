"""netmaster's REST API, object by object."""

import json
import socket
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import SplitResult, quote, urlsplit

from isthmus.netctl.exchange import PORTS, Answer, BadAnswerError, exchange

DEFAULT_MASTER = "http://netmaster:9999"
_MASTER_HERE = "http://127.0.0.1:9999"
_OK = 200

Object = dict[str, Any]  # a JSON object of the API: {"key": str, field: str | int | [...]}


class UnreachableError(Exception):
    """No answer from the master."""


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


class Client:
    """One master. Without `url` it is the host named netmaster, or this one where no host has that name."""

    def __init__(self, url: str = "", *, is_insecure: bool = False) -> None:
        self._url = urlsplit(url or DEFAULT_MASTER)
        self._may_be_here = not url
        self._is_insecure = is_insecure
        if not _is_master(self._url):
            raise BadMasterError(
                f'Error connecting to netmaster: "{url}" is not a URL beginning with http:// or https://'
            )

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

    def version(self) -> Object:
        """What the master was built from."""
        return dict(self._ask("GET", "/version").content)

    def _api(self, method: str, path: str, body: bytes = b"") -> Done:
        return self._ask(method, f"/api/v1/{path}", body)

    def _ask(self, method: str, path: str, body: bytes = b"") -> Done:
        try:
            return _done(self._exchange(method, self._url.path.rstrip("/") + path, body))
        except (OSError, BadAnswerError, ValueError) as error:
            master = self._url.geturl()
            raise UnreachableError(f"Error connecting to netmaster {master}: {_reason(error)}") from error

    def _exchange(self, method: str, path: str, body: bytes) -> Answer:
        try:
            return exchange(self._url, method, path, body, is_insecure=self._is_insecure)
        except socket.gaierror:
            if not self._may_be_here:
                raise
            self._url = urlsplit(_MASTER_HERE)
            return exchange(self._url, method, path, body)


def _done(answer: Answer) -> Done:
    if answer.status == _OK:
        return Done(json.loads(answer.body), answer.headers.get("isthmus-pending", ""))
    text = answer.body.decode(errors="replace").strip()
    raise RefusedError(answer.status, text or f"{answer.status} {answer.reason}")


def _segment(key: str) -> str:
    """A key as one part of a path; the server decides whether such a name may be."""
    return quote(key, safe=":", errors="surrogateescape")


def _reason(error: Exception) -> str:
    text = error.strerror if isinstance(error, OSError) else str(error)
    return text or str(error) or type(error).__name__


def _is_master(url: SplitResult) -> bool:
    try:
        return url.scheme in PORTS and bool(url.hostname) and url.port != 0
    except ValueError:  # what stands for the port is no port
        return False
