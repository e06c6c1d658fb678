"""Bytes and JSON to core values and back, one file a protocol. Pure."""
