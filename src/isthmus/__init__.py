"""Isthmus: container networking for plain Docker, across hosts, with tenants and policy."""

__version__ = "0.1.0"
