/* SPDX-License-Identifier: Apache-2.0 */
/* How a packet's way ends, written down: drops counted per device and reason, traffic per endpoint. */
#ifndef ISTHMUS_DROP_H
#define ISTHMUS_DROP_H

#include "common.h"

struct {
	__uint(type, BPF_MAP_TYPE_LRU_PERCPU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct drop_key);
	__type(value, __u64);
} drops SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 16384);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, struct traffic);
} traffic SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct verdict);
} verdicts SEC(".maps");

static __always_inline void record(struct verdict verdict)
{
	__u32 first = 0;

	if (settings.records_verdicts)
		bpf_map_update_elem(&verdicts, &first, &verdict, BPF_ANY);
}

/* The only place where a packet is dropped. */
static __always_inline int drop(struct __sk_buff *skb, enum drop_reason why)
{
	struct drop_key key = { .ifindex = skb->ifindex, .reason = why };
	__u64 one = 1, *packets = bpf_map_lookup_elem(&drops, &key);

	record((struct verdict){ .kind = VERDICT_DROP, .reason = why });
	if (packets)
		*packets += 1;
	else
		bpf_map_update_elem(&drops, &key, &one, BPF_ANY);
	return TC_ACT_SHOT;
}

/* Not ours to judge: the next filter, and then the kernel, goes on with it. */
static __always_inline int pass(void)
{
	record((struct verdict){ .kind = VERDICT_PASS });
	return TC_ACT_UNSPEC;
}

static __always_inline void count_sent(__u32 ifindex, __u32 bytes)
{
	struct traffic *traffic_of = bpf_map_lookup_elem(&traffic, &ifindex);

	if (traffic_of) {
		traffic_of->sent_packets += 1;
		traffic_of->sent_bytes += bytes;
	}
}

static __always_inline void count_received(__u32 ifindex, __u32 bytes)
{
	struct traffic *traffic_of = bpf_map_lookup_elem(&traffic, &ifindex);

	if (traffic_of) {
		traffic_of->received_packets += 1;
		traffic_of->received_bytes += bytes;
	}
}

#endif
