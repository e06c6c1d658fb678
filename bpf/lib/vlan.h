/* SPDX-License-Identifier: Apache-2.0 */
/* 802.1Q tags: put on where a frame leaves by the uplink. The kernel keeps them beside the frame. */
#ifndef ISTHMUS_VLAN_H
#define ISTHMUS_VLAN_H

#include "drop.h"
#include "tables.h"

static __always_inline enum drop_reason push_tag(struct __sk_buff *skb, __u32 network)
{
	return bpf_skb_vlan_push(skb, bpf_htons(ETH_P_8021Q), network & VLAN_ID_MASK) ? DROP_KERNEL_REFUSED
										      : GO_ON;
}

/* Out by the uplink, in the network's VLAN. */
static __always_inline int tag(struct __sk_buff *skb, __u32 network)
{
	__u32 uplink = active_uplink();
	enum drop_reason why = uplink ? check_network(network) : DROP_NO_UPLINK;

	if (!why)
		why = push_tag(skb, network);
	if (why)
		return drop(skb, why);
	record((struct verdict){ .kind = VERDICT_TAG, .ifindex = uplink, .vni = network & VLAN_ID_MASK });
	return bpf_redirect(uplink, 0);
}

#endif
