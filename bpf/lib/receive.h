/* SPDX-License-Identifier: Apache-2.0 */
/* A frame out of a tunnel: what may be in it, and for whom it is. */
#ifndef ISTHMUS_RECEIVE_H
#define ISTHMUS_RECEIVE_H

#include "forward.h"

/* An address that lives here, or with the receiver, did not send from afar. */
static __always_inline enum drop_reason check_remote_source(const struct packet *pkt, __u32 network)
{
	struct place *place = look_up(network, &pkt->source);

	return place && place->ifindex ? DROP_SOURCE_IS_LOCAL : GO_ON;
}

/* For all or for a group, other than to find neighbours. */
static __always_inline bool is_for_group(const struct packet *pkt)
{
	return is_group(pkt->eth.h_dest) && pkt->eth.h_proto != bpf_htons(ETH_P_ARP) &&
	       !is_neighbour_discovery(pkt);
}

/* Neighbours are answered where they are asked for, so neither ARP nor discovery comes by tunnel. */
static __always_inline enum drop_reason check_kind(const struct packet *pkt)
{
	if (pkt->eth.h_proto == bpf_htons(ETH_P_ARP))
		return DROP_ARP_FORM;
	if (is_group(pkt->eth.h_dest))
		return DROP_MULTICAST;
	return is_neighbour_discovery(pkt) ? DROP_NEIGHBOUR_DISCOVERY : GO_ON;
}

/* Finds the interface behind which the receiver is. */
static __always_inline enum drop_reason admit(const struct packet *pkt, __u32 network, __u32 *ifindex)
{
	enum drop_reason why = check_kind(pkt);
	struct place *place;

	if (!why)
		why = check_remote_source(pkt, network);
	if (!why)
		why = locate(pkt, network, &place);
	if (why)
		return why;
	*ifindex = place->ifindex;
	return *ifindex ? check_receiver(pkt, network, *ifindex) : DROP_NOT_HERE;
}

#endif
