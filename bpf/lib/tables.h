/* SPDX-License-Identifier: Apache-2.0 */
/* The tables that the agent fills and the programs only read. */
#ifndef ISTHMUS_TABLES_H
#define ISTHMUS_TABLES_H

#include "address.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, struct endpoint);
} endpoints SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, struct network);
} networks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 262144);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct place_key);
	__type(value, struct place);
} directory SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __be32);
	__type(value, struct vtep);
} vteps SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, __u32);
} uplinks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, struct flood);
} floods SEC(".maps");

static __always_inline struct place *look_up(__u32 network, const struct address *address)
{
	struct place_key key = { .network = network, .address = *address };

	return bpf_map_lookup_elem(&directory, &key);
}

static __always_inline bool is_vlan(__u32 network)
{
	return network & VLAN_BIT;
}

/* GO_ON where the network is known, and travels as its id says. */
static __always_inline enum drop_reason check_network(__u32 id)
{
	struct network *network = bpf_map_lookup_elem(&networks, &id);

	if (!network)
		return DROP_UNKNOWN_NETWORK;
	return network->encap == (is_vlan(id) ? ENCAP_VLAN : ENCAP_VXLAN) ? GO_ON : DROP_ENCAP;
}

/* The ifindex of the device by which VLAN networks leave; 0 for none. */
static __always_inline __u32 active_uplink(void)
{
	__u32 first = 0, *ifindex = bpf_map_lookup_elem(&uplinks, &first);

	return ifindex ? *ifindex : 0;
}

static __always_inline bool is_known_vtep(__be32 address)
{
	return bpf_map_lookup_elem(&vteps, &address);
}

#endif
