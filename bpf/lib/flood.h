/* SPDX-License-Identifier: Apache-2.0 */
/* What is for all or for a group: a copy to each leg here, one to each host or to the wire. */
#ifndef ISTHMUS_FLOOD_H
#define ISTHMUS_FLOOD_H

#include "encap.h"
#include "vlan.h"

static __always_inline struct flood *flood_of(__u32 network)
{
	return bpf_map_lookup_elem(&floods, &network);
}

/*
 * The loops are global functions, which the verifier walks once, not once for each way to the call;
 * so they take no pointers but the context, as older kernels want it.
 */

/* A copy for every leg but the sender's; how many that were. */
__noinline __u32 copy_here(struct __sk_buff *skb, __u32 network, __u32 sender)
{
	struct flood *flood = flood_of(network);
	__u32 copies = 0;

	for (__u32 i = 0; flood && i < FLOOD_LEGS && i < flood->leg_count; i++) {
		if (flood->legs[i] == sender)
			continue;
		count_received(flood->legs[i], skb->len);
		bpf_clone_redirect(skb, flood->legs[i], 0);
		copies += 1;
	}
	return copies;
}

/* A copy for every host that has members, by our tunnel; how many that were. */
__noinline __u32 copy_afar(struct __sk_buff *skb, __u32 network, __u8 tos)
{
	struct flood *flood = flood_of(network);
	__u32 copies = 0;

	for (__u32 i = 0; flood && i < FLOOD_HOSTS && i < flood->host_count; i++) {
		if (address_tunnel(skb, network, flood->hosts[i], tos))
			break;
		vouch(skb);
		bpf_clone_redirect(skb, settings.overlay_ifindex, 0);
		copies += 1;
	}
	return copies;
}

/* The leg here whose container has this MAC, of those that the network floods to; 0 for none. */
__noinline __u32 leg_of_mac(__u32 network, __u64 mac)
{
	struct flood *flood = flood_of(network);
	struct endpoint *endpoint;

	for (__u32 i = 0; flood && i < FLOOD_LEGS && i < flood->leg_count; i++) {
		endpoint = bpf_map_lookup_elem(&endpoints, &flood->legs[i]);
		if (endpoint && endpoint->network == network && mac_number(endpoint->mac) == mac)
			return flood->legs[i];
	}
	return 0;
}

/* All copies are made; the frame itself goes nowhere. */
static __always_inline int flooded(__u32 copies)
{
	record((struct verdict){ .kind = VERDICT_FLOOD, .vni = copies });
	return TC_ACT_STOLEN;
}

/* Own addresses only; a link-local one is no address of the network, but groups are joined from it. */
static __always_inline enum drop_reason check_group_source(const struct packet *pkt,
							   const struct endpoint *endpoint)
{
	struct address own_link_local = link_local(endpoint->mac);

	if (is_none(&pkt->source))
		return DROP_MULTICAST;
	return is_own(endpoint, &pkt->source) || same_address(&pkt->source, &own_link_local)
		       ? GO_ON
		       : DROP_SOURCE_ADDRESS;
}

/* A container's frame for all, or for a group. */
static __always_inline int flood_out(const struct packet *pkt, const struct endpoint *endpoint)
{
	struct __sk_buff *skb = pkt->skb;
	__u32 copies, sender = skb->ifindex;
	enum drop_reason why;

	why = flood_of(endpoint->network) ? check_group_source(pkt, endpoint) : DROP_MULTICAST;
	if (!why)
		why = check_network(endpoint->network);
	if (why)
		return drop(skb, why);
	count_sent(sender, skb->len);
	copies = copy_here(skb, endpoint->network, sender);
	if (!is_vlan(endpoint->network))
		return flooded(copies + copy_afar(skb, endpoint->network, pkt->tos));
	return active_uplink() ? tag(skb, endpoint->network) : flooded(copies);
}

/* The same from the wire or from another host: to all legs here, and never out again. */
static __always_inline int flood_in(struct __sk_buff *skb, __u32 network)
{
	if (!flood_of(network))
		return drop(skb, DROP_MULTICAST);
	skb->mark = 0;
	return flooded(copy_here(skb, network, 0));
}

#endif
