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

/* A copy for every leg but the sender's; how many that were. */
static __always_inline __u32 copy_here(struct __sk_buff *skb, const struct flood *flood, __u32 sender)
{
	__u32 copies = 0;

	for (__u32 i = 0; i < FLOOD_LEGS && i < flood->leg_count; i++) {
		if (flood->legs[i] == sender)
			continue;
		count_received(flood->legs[i], skb->len);
		bpf_clone_redirect(skb, flood->legs[i], 0);
		copies += 1;
	}
	return copies;
}

/* A copy for every host that has members, by our tunnel; how many that were. */
static __always_inline __u32 copy_afar(const struct packet *pkt, const struct flood *flood, __u32 network)
{
	__u32 copies = 0;

	for (__u32 i = 0; i < FLOOD_HOSTS && i < flood->host_count; i++) {
		if (address_tunnel(pkt, network, flood->hosts[i]))
			break;
		vouch(pkt->skb);
		bpf_clone_redirect(pkt->skb, settings.overlay_ifindex, 0);
		copies += 1;
	}
	return copies;
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
	struct flood *flood = flood_of(endpoint->network);
	struct __sk_buff *skb = pkt->skb;
	__u32 copies, sender = skb->ifindex;
	enum drop_reason why;

	why = flood ? check_group_source(pkt, endpoint) : DROP_MULTICAST;
	if (!why)
		why = check_network(endpoint->network);
	if (why)
		return drop(skb, why);
	count_sent(sender, skb->len);
	copies = copy_here(skb, flood, sender);
	if (!is_vlan(endpoint->network))
		return flooded(copies + copy_afar(pkt, flood, endpoint->network));
	return active_uplink() ? tag(skb, endpoint->network) : flooded(copies);
}

/* The same from the wire or from another host: to all legs here, and never out again. */
static __always_inline int flood_in(struct __sk_buff *skb, __u32 network)
{
	struct flood *flood = flood_of(network);

	if (!flood)
		return drop(skb, DROP_MULTICAST);
	skb->mark = 0;
	return flooded(copy_here(skb, flood, 0));
}

#endif
