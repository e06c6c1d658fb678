"""A whole cluster with real engines on one machine, each node a set of namespaces."""
