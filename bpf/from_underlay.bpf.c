// SPDX-License-Identifier: Apache-2.0
/* A packet from the wire, at the underlay device: our tunnels' are unpacked, all else is the kernel's. */
#include "lib/encap.h"
#include "lib/receive.h"

/* Whether this is a tunnel packet for this host; if so the vxlan device may believe it. */
static __always_inline bool is_for_tunnel(struct __sk_buff *skb)
{
	struct iphdr ip;

	if (skb->vlan_present || !is_tunnel_packet(skb, &ip) || ip.daddr != settings.vtep)
		return false;
	vouch(skb);
	return true;
}

/* What can be unpacked here; the vxlan device judges the rest, and drops it by reason. */
static __always_inline bool is_ours(const struct outer *outer)
{
	return is_plain(outer) && is_known_vtep(outer->ip.saddr) &&
	       !check_network(bpf_ntohl(outer->vxlan.vni) >> 8);
}

static __always_inline int unpack(struct packet *pkt, __u32 ifindex)
{
	if (!decapsulate(pkt))
		return pass();
	if (bpf_skb_store_bytes(pkt->skb, 0, &pkt->eth, ETH_HLEN, BPF_F_RECOMPUTE_CSUM))
		return drop(pkt->skb, DROP_KERNEL_REFUSED);
	return deliver(pkt->skb, ifindex);
}

SEC("tc")
int from_underlay(struct __sk_buff *skb)
{
	struct packet pkt = {};
	enum drop_reason why;
	struct outer outer;
	__u32 ifindex;

	if (!is_for_tunnel(skb) || !settings.fast_receive)
		return pass();
	if (bpf_skb_load_bytes(skb, 0, &outer, sizeof(outer)) || !is_ours(&outer))
		return pass();
	why = parse(&pkt, skb, sizeof(outer));
	if (!why && is_for_group(&pkt))
		return pass();	/* the vxlan device's program makes the copies */
	if (!why)
		why = admit(&pkt, bpf_ntohl(outer.vxlan.vni) >> 8, &ifindex);
	return why ? drop(skb, why) : unpack(&pkt, ifindex);
}
