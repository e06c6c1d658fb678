"""A packet's way through the datapath, in Python: `trace(tables, arrival)` says how it ends, and why."""

from isthmus.core.trace.drops import DropReason
from isthmus.core.trace.tables import Tables, tables_of
from isthmus.core.trace.walk import Trace, trace
from isthmus.core.trace.ways import (
    Answer,
    Arrival,
    Copy,
    Deliver,
    Drop,
    Encapsulate,
    FromContainer,
    FromOverlay,
    FromUnderlay,
    FromUplink,
    PassToKernel,
    Tag,
    ToUnderlay,
    Verdict,
)

__all__ = [
    "Answer",
    "Arrival",
    "Copy",
    "Deliver",
    "Drop",
    "DropReason",
    "Encapsulate",
    "FromContainer",
    "FromOverlay",
    "FromUnderlay",
    "FromUplink",
    "PassToKernel",
    "Tables",
    "Tag",
    "ToUnderlay",
    "Trace",
    "Verdict",
    "tables_of",
    "trace",
]
