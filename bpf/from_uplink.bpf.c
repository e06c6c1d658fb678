// SPDX-License-Identifier: Apache-2.0
/* A frame from the trunk, at an uplink: our VLANs' lose their tag and go in, all else is the kernel's. */
#include "lib/flood.h"
#include "lib/receive.h"
#include "lib/wire.h"

/* The network in whose VLAN the frame is; 0 where that is none of ours. Untagged is the host's own. */
static __always_inline __u32 network_of(const struct __sk_buff *skb)
{
	__u32 network = VLAN_BIT | (skb->vlan_tci & VLAN_ID_MASK);

	if (!skb->vlan_present || skb->vlan_proto != bpf_htons(ETH_P_8021Q))
		return 0;
	return check_network(network) ? 0 : network;
}

/* Our answer to who asked on the wire. */
static __always_inline int answer_wire(struct __sk_buff *skb, __u32 network)
{
	if (push_tag(skb, network))
		return drop(skb, DROP_KERNEL_REFUSED);
	record((struct verdict){ .kind = VERDICT_ANSWER });
	return bpf_redirect(skb->ifindex, 0);
}

static __always_inline int take_neighbour(struct packet *pkt, __u32 network)
{
	__u32 ifindex = 0;
	enum drop_reason why = is_neighbour_discovery(pkt) ? take_discovery(pkt, network, &ifindex)
							   : take_arp(pkt, network, &ifindex);

	if (why)
		return drop(pkt->skb, why);
	return ifindex ? deliver(pkt->skb, ifindex) : answer_wire(pkt->skb, network);
}

static __always_inline int take_in(struct __sk_buff *skb, __u32 network)
{
	struct packet pkt = {};
	enum drop_reason why = parse(&pkt, skb, 0);
	__u32 ifindex;

	if (why)
		return drop(skb, why);
	if (pkt.eth.h_proto == bpf_htons(ETH_P_ARP) || is_neighbour_discovery(&pkt))
		return take_neighbour(&pkt, network);
	if (is_for_group(&pkt)) {
		why = check_remote_source(&pkt, network);
		return why ? drop(skb, why) : flood_in(skb, network);
	}
	why = admit(&pkt, network, &ifindex);
	return why ? drop(skb, why) : deliver(skb, ifindex);
}

static __always_inline int judge(struct __sk_buff *skb)
{
	__u32 network = network_of(skb);

	if (!network)
		return pass();
	if (skb->ifindex != active_uplink())
		return drop(skb, DROP_IDLE_UPLINK);
	if (bpf_skb_vlan_pop(skb))
		return drop(skb, DROP_KERNEL_REFUSED);
	return take_in(skb, network);
}

SEC("tc")
int from_uplink(struct __sk_buff *skb)
{
	return judge(skb);
}
