"""Which network an engine's network id stands for: a file beside the engine's own, for neither knows without the other.

An engine that starts with containers to restart calls before it answers, and its calls name a network by nothing but
its id. So an agent that came up with the host could not ask.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from structlog.typing import FilteringBoundLogger

from isthmus.core.model import NetworkKey, NetworkName, TenantName
from isthmus.wire.docker import DockerNetworkId


class NetworkIds:
    """{Docker's network id: network}, kept on disk. Ids are random: one that is gone does no harm."""

    def __init__(self, path: Path, log: FilteringBoundLogger) -> None:
        self._path = path
        self._log = log
        self._keys = self._load()

    def get(self, network_id: DockerNetworkId) -> NetworkKey | None:
        """The network behind an id; None where it has to be asked for."""
        return self._keys.get(network_id)

    def learn(self, network_id: DockerNetworkId, key: NetworkKey) -> None:
        """Remember one."""
        self.replace({**self._keys, network_id: key})

    def forget(self, network_id: DockerNetworkId) -> None:
        """Drop one; dropping what is not known succeeds."""
        self.replace({known: key for known, key in self._keys.items() if known != network_id})

    def replace(self, keys: Mapping[DockerNetworkId, NetworkKey]) -> None:
        """Remember exactly these."""
        if keys == self._keys:
            return
        self._keys = dict(keys)
        try:
            self._save()
        except OSError as error:
            self._log.warning("could not keep the engine's network ids", path=str(self._path), reason=str(error))

    def _save(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        draft = self._path.with_suffix(".new")
        draft.write_text(json.dumps({known: [key.tenant, key.name] for known, key in self._keys.items()}))
        draft.replace(self._path)  # whole or not at all

    def _load(self) -> dict[DockerNetworkId, NetworkKey]:
        try:
            kept = json.loads(self._path.read_text())
            return {
                DockerNetworkId(known): NetworkKey(TenantName(tenant), NetworkName(name))
                for known, (tenant, name) in kept.items()
            }
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, AttributeError, TypeError) as error:
            self._log.warning("the engine's network ids cannot be read", path=str(self._path), reason=str(error))
            return {}
