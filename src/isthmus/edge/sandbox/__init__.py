"""Inside a container's network namespace: the names of its tenant, answered before Docker's resolver is asked."""

from isthmus.edge.sandbox.netns import in_netns
from isthmus.edge.sandbox.service import NameService

__all__ = ["NameService", "in_netns"]
