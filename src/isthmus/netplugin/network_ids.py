"""Which network or group an engine's network id stands for: a file, for neither the engine nor we could say alone.

An engine that starts with containers to restart calls before it answers, and its calls name a network by nothing but
its id. So an agent that came up with the host could not ask.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from structlog.typing import FilteringBoundLogger

from isthmus.core.datapath import Owner
from isthmus.core.model import GroupName, NetworkKey, NetworkName, TenantName
from isthmus.wire.docker import DockerNetworkId


class NetworkIds:
    """{Docker's network id: network or group}, kept on disk. Ids are random: one that is gone does no harm.

    The file's values are `[tenant, network]`, or `[tenant, network, group]`.
    """

    def __init__(self, path: Path, log: FilteringBoundLogger) -> None:
        self._path = path
        self._log = log
        self._is_failing = False
        self._owners = self._load()

    def get(self, network_id: DockerNetworkId) -> Owner | None:
        """What an id stands for; None where it has to be asked for."""
        return self._owners.get(network_id)

    def learn(self, network_id: DockerNetworkId, owner: Owner) -> None:
        """Remember one."""
        self.replace({**self._owners, network_id: owner})

    def forget(self, network_id: DockerNetworkId) -> None:
        """Drop one; dropping what is not known succeeds."""
        self.replace({known: owner for known, owner in self._owners.items() if known != network_id})

    def replace(self, owners: Mapping[DockerNetworkId, Owner]) -> None:
        """Remember exactly these."""
        if owners == self._owners:
            return
        self._owners = dict(owners)
        try:
            self._save()
        except OSError as error:
            if not self._is_failing:
                self._log.warning("could not keep the engine's network ids", path=str(self._path), reason=str(error))
            self._is_failing = True
        else:
            self._is_failing = False

    def _save(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        draft = self._path.with_suffix(".new")
        draft.write_text(json.dumps({known: _render(owner) for known, owner in self._owners.items()}))
        draft.replace(self._path)  # whole or not at all

    def _load(self) -> dict[DockerNetworkId, Owner]:
        try:
            kept = json.loads(self._path.read_text())
            return {DockerNetworkId(known): _parse(*names) for known, names in kept.items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, AttributeError, TypeError) as error:
            self._log.warning("the engine's network ids cannot be read", path=str(self._path), reason=str(error))
            return {}


def _render(owner: Owner) -> list[str]:
    names = [owner.network.tenant, owner.network.name]
    return [*names, owner.group] if owner.group else [*names]


def _parse(tenant: str, name: str, group: str | None = None) -> Owner:
    return Owner(NetworkKey(TenantName(tenant), NetworkName(name)), GroupName(group) if group else None)
