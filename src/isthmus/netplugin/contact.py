"""When this node was last heard of, in etcd: for whoever looks at one that is silent."""

import time
from asyncio import sleep
from collections.abc import Callable
from contextlib import suppress

from isthmus.core.errors import EdgeError
from isthmus.core.model import NodeContact, NodeName
from isthmus.edge.store import Put, Store
from isthmus.wire import keys

_PERIOD_S = 20.0  # a thousand nodes are fifty writes a second, which etcd does not notice


async def keep_contact(
    store: Store, node: NodeName, *, period_s: float = _PERIOD_S, now_s: Callable[[], float] = time.time
) -> None:
    """Write the time again and again, for ever.

    Silent where etcd is away or the node's lease is not ours: others say so, and there is nothing to mend here.
    """
    while True:
        with suppress(EdgeError):
            await store.ready()
            contact = NodeContact(node, int(now_s()))
            await store.commit([], [Put(keys.key_of(contact), keys.render(contact))])
        await sleep(period_s)
