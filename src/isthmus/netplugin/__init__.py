"""The agent of a host: from the world in etcd to its kernel, its engine and its containers' names."""
