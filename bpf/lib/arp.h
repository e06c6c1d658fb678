/* SPDX-License-Identifier: Apache-2.0 */
/* ARP requests for known addresses, answered in place; only a VLAN's wire is asked for others. */
#ifndef ISTHMUS_ARP_H
#define ISTHMUS_ARP_H

#include "drop.h"
#include "source.h"
#include "tables.h"

/* Source: RFC 826, for IPv4 over Ethernet. Not linux/if_arp.h, which draws in the C library. */
struct arp {
	__be16 hardware;
	__be16 protocol;
	__u8 hardware_length;
	__u8 protocol_length;
	__be16 operation;
	__u8 sender_mac[ETH_ALEN];
	__be32 sender;
	__u8 target_mac[ETH_ALEN];
	__be32 target;
} __attribute__((packed));

#define ARP_REQUEST bpf_htons(1)
#define ARP_REPLY bpf_htons(2)

/* A request or a reply. */
static __always_inline bool is_ipv4_arp(const struct arp *arp)
{
	return arp->hardware == bpf_htons(1) && arp->protocol == bpf_htons(ETH_P_IP) &&
	       arp->hardware_length == ETH_ALEN && arp->protocol_length == sizeof(arp->sender) &&
	       (arp->operation == ARP_REQUEST || arp->operation == ARP_REPLY);
}

/* A probe has no sender address, an announcement asks for its own: a VLAN's wire hears it. Source: RFC 5227. */
static __always_inline enum drop_reason check_request(const struct arp *arp,
						      const struct endpoint *endpoint)
{
	struct address sender = mapped(arp->sender);

	if (!is_ipv4_arp(arp) || arp->operation != ARP_REQUEST)
		return DROP_ARP_FORM;
	if (!same_mac(arp->sender_mac, endpoint->mac))
		return DROP_ARP_SENDER;
	if (!arp->sender)
		return DROP_ADDRESS_PROBE;
	if (!is_own(endpoint, &sender))
		return DROP_ARP_SENDER;
	return arp->target == arp->sender && !is_vlan(endpoint->network) ? DROP_ADDRESS_PROBE : GO_ON;
}

static __always_inline enum drop_reason write_reply(struct packet *pkt, struct arp *arp,
						    const struct place *place)
{
	__be32 asked = arp->target;

	arp->operation = ARP_REPLY;
	arp->target = arp->sender;
	arp->sender = asked;
	__builtin_memcpy(arp->target_mac, arp->sender_mac, ETH_ALEN);
	__builtin_memcpy(arp->sender_mac, place->mac, ETH_ALEN);
	__builtin_memcpy(pkt->eth.h_dest, pkt->eth.h_source, ETH_ALEN);
	__builtin_memcpy(pkt->eth.h_source, place->mac, ETH_ALEN);
	if (bpf_skb_store_bytes(pkt->skb, 0, &pkt->eth, ETH_HLEN, 0) ||
	    bpf_skb_store_bytes(pkt->skb, ETH_HLEN, arp, sizeof(*arp), 0))
		return DROP_KERNEL_REFUSED;
	return GO_ON;
}

/* Turns the request into its answer, to be sent back. */
static __always_inline enum drop_reason answer_arp(struct packet *pkt, const struct endpoint *endpoint)
{
	struct address target;
	enum drop_reason why;
	struct place *place;
	struct arp arp;

	if (bpf_skb_load_bytes(pkt->skb, pkt->l3_offset, &arp, sizeof(arp)))
		return DROP_TRUNCATED;
	why = check_request(&arp, endpoint);
	if (why)
		return why;
	target = mapped(arp.target);
	place = arp.target == arp.sender ? NULL : look_up(endpoint->network, &target);
	return place ? write_reply(pkt, &arp, place) : DROP_UNKNOWN_NEIGHBOUR;
}

#endif
