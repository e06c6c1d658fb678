"""netmaster: the operator's way in. REST to guarded writes in etcd; it keeps no state, so any number may serve."""
