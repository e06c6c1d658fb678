/* SPDX-License-Identifier: Apache-2.0 */
/* Where a packet goes: by the directory, to a container here or to another host. */
#ifndef ISTHMUS_FORWARD_H
#define ISTHMUS_FORWARD_H

#include "drop.h"
#include "source.h"
#include "tables.h"

/* The place of the packet's destination, whose MAC the packet must carry. */
static __always_inline enum drop_reason locate(const struct packet *pkt, __u32 network,
					       struct place **place)
{
	*place = look_up(network, &pkt->destination);
	if (!*place)
		return DROP_UNKNOWN_DESTINATION;
	return same_mac(pkt->eth.h_dest, (*place)->mac) ? GO_ON : DROP_DESTINATION_MAC;
}

/* The endpoint behind a place of this host, and whether it may believe the packet's source. */
static __always_inline enum drop_reason check_receiver(const struct packet *pkt, __u32 network,
						       __u32 ifindex)
{
	struct endpoint *receiver = bpf_map_lookup_elem(&endpoints, &ifindex);

	if (!receiver || receiver->network != network)
		return DROP_NO_RECEIVER;
	return is_own(receiver, &pkt->source) ? DROP_SOURCE_IS_LOCAL : GO_ON;
}

/*
 * Into the container's namespace. The frame is addressed to its MAC and not to the host end's, so
 * the kernel took it for another host's; some kernels keep that, and the mark, over the redirect.
 */
static __always_inline int deliver(struct __sk_buff *skb, __u32 ifindex)
{
	if (bpf_skb_change_type(skb, PACKET_HOST))
		return drop(skb, DROP_KERNEL_REFUSED);
	skb->mark = 0;
	count_received(ifindex, skb->len);
	record((struct verdict){ .kind = VERDICT_DELIVER, .ifindex = ifindex });
	return bpf_redirect_peer(ifindex, 0);
}

#endif
