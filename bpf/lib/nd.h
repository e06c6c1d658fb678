/* SPDX-License-Identifier: Apache-2.0 */
/* IPv6 neighbour solicitations for known addresses, answered in place; no other discovery travels. */
#ifndef ISTHMUS_ND_H
#define ISTHMUS_ND_H

#include "drop.h"
#include "source.h"
#include "tables.h"

/* A solicitation or advertisement with one link-layer address option. Source: RFC 4861, 4.3, 4.4, 4.6.1. */
struct neighbour_message {
	__u8 type;
	__u8 code;
	__be16 checksum;
	__be32 flags;
	struct address target;
	__u8 option_type;
	__u8 option_length;		/* in units of eight bytes */
	__u8 option_mac[ETH_ALEN];
};

struct pseudo_header {
	struct address source;
	struct address destination;
	__be32 length;
	__be32 protocol;
};

#define SOLICITATION 135
#define ADVERTISEMENT 136
#define OPTION_SOURCE_MAC 1
#define OPTION_TARGET_MAC 2
#define FLAGS_SOLICITED_OVERRIDE bpf_htonl(0x60000000)
#define FLAG_OVERRIDE bpf_htonl(0x20000000)

static __always_inline enum drop_reason check_solicitation(const struct packet *pkt,
							   const struct neighbour_message *message,
							   const struct endpoint *endpoint)
{
	struct address own_link_local = link_local(endpoint->mac);

	if (message->type != SOLICITATION || message->code || pkt->hop_limit != 255)
		return DROP_NEIGHBOUR_DISCOVERY;
	if (!is_own(endpoint, &pkt->source) && !same_address(&pkt->source, &own_link_local))
		return DROP_SOURCE_ADDRESS;
	if (message->option_type != OPTION_SOURCE_MAC || message->option_length != 1)
		return DROP_NEIGHBOUR_DISCOVERY;
	return is_own(endpoint, &message->target) ? DROP_ADDRESS_PROBE : GO_ON;
}

static __always_inline __be16 checksum(const struct packet *pkt, const struct neighbour_message *message)
{
	struct pseudo_header pseudo = {
		.source = pkt->source,
		.destination = pkt->destination,
		.length = bpf_htonl(sizeof(*message)),
		.protocol = bpf_htonl(IPPROTO_ICMPV6),
	};
	__u32 sum;

	sum = bpf_csum_diff(0, 0, (void *)&pseudo, sizeof(pseudo), 0);
	sum = bpf_csum_diff(0, 0, (void *)message, sizeof(*message), sum);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

static __always_inline enum drop_reason write_advertisement(struct packet *pkt,
							    struct neighbour_message *message,
							    const struct place *place, __be32 flags)
{
	message->type = ADVERTISEMENT;
	message->flags = flags;
	message->option_type = OPTION_TARGET_MAC;
	message->checksum = 0;
	__builtin_memcpy(message->option_mac, place->mac, ETH_ALEN);
	__builtin_memcpy(pkt->eth.h_dest, pkt->eth.h_source, ETH_ALEN);
	__builtin_memcpy(pkt->eth.h_source, place->mac, ETH_ALEN);
	pkt->destination = pkt->source;
	pkt->source = message->target;
	message->checksum = checksum(pkt, message);
	if (bpf_skb_store_bytes(pkt->skb, 0, &pkt->eth, ETH_HLEN, 0) ||
	    bpf_skb_store_bytes(pkt->skb, ETH_HLEN + __builtin_offsetof(struct ipv6hdr, saddr),
				&pkt->source, sizeof(pkt->source), 0) ||
	    bpf_skb_store_bytes(pkt->skb, ETH_HLEN + __builtin_offsetof(struct ipv6hdr, daddr),
				&pkt->destination, sizeof(pkt->destination), 0) ||
	    bpf_skb_store_bytes(pkt->skb, pkt->l4_offset, message, sizeof(*message), 0))
		return DROP_KERNEL_REFUSED;
	return GO_ON;
}

/* Turns the solicitation into its answer, to be sent back. */
static __always_inline enum drop_reason answer_solicitation(struct packet *pkt,
							    const struct endpoint *endpoint)
{
	struct neighbour_message message;
	struct address target;
	enum drop_reason why;
	struct place *place;

	if (is_none(&pkt->source))	/* duplicate address detection. Source: RFC 4862, 5.4.2 */
		return DROP_ADDRESS_PROBE;
	if (pkt->l4_offset != pkt->l3_offset + sizeof(struct ipv6hdr) ||
	    pkt->skb->len != pkt->l4_offset + sizeof(message) ||
	    bpf_skb_load_bytes(pkt->skb, pkt->l4_offset, &message, sizeof(message)))
		return DROP_NEIGHBOUR_DISCOVERY;
	why = check_solicitation(pkt, &message, endpoint);
	if (why)
		return why;
	target = message.target;
	place = is_mapped(&target) ? NULL : look_up(endpoint->network, &target);
	return place ? write_advertisement(pkt, &message, place, FLAGS_SOLICITED_OVERRIDE) : DROP_UNKNOWN_NEIGHBOUR;
}

#endif
