"""Docker's API over its unix socket: the networks of ours on this host's engine, its containers, its events."""

from isthmus.edge.engine.client import Engine, EngineInfo, EventsBegin, Sandbox, Unreadable

__all__ = ["Engine", "EngineInfo", "EventsBegin", "Sandbox", "Unreadable"]
