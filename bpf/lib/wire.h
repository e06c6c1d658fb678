/* SPDX-License-Identifier: Apache-2.0 */
/* ARP and neighbour discovery from a VLAN's wire: asked for who lives here we answer; answers are let in. */
#ifndef ISTHMUS_WIRE_H
#define ISTHMUS_WIRE_H

#include "arp.h"
#include "flood.h"
#include "forward.h"
#include "nd.h"

#define BYTES_BEFORE_OPTIONS __builtin_offsetof(struct neighbour_message, option_type)

static __always_inline bool is_here(__u32 network, const struct address *address)
{
	struct place *place = look_up(network, address);

	return place && place->ifindex;
}

/* Who is of the network is asked for and answered on the hosts: the wire does not speak for them. */
static __always_inline enum drop_reason check_answerer(__u32 network, const struct address *answerer)
{
	struct place *place = look_up(network, answerer);

	if (!place)
		return GO_ON;
	return place->ifindex ? DROP_SOURCE_IS_LOCAL : DROP_NOT_ASKED;
}

/* `*ifindex` is the leg that an answer is for; it stays 0 where the frame has become our answer. */
static __always_inline enum drop_reason admit_answer(const struct packet *pkt, __u32 network,
						     const struct place *place, __u32 *ifindex)
{
	*ifindex = place->ifindex;
	return same_mac(pkt->eth.h_dest, place->mac) ? check_receiver(pkt, network, place->ifindex)
						     : DROP_DESTINATION_MAC;
}

static __always_inline enum drop_reason take_arp(struct packet *pkt, __u32 network, __u32 *ifindex)
{
	struct address sender, target;
	enum drop_reason why;
	struct place *place;
	struct arp arp;

	if (bpf_skb_load_bytes(pkt->skb, pkt->l3_offset, &arp, sizeof(arp)))
		return DROP_TRUNCATED;
	if (!is_ipv4_arp(&arp))
		return DROP_ARP_FORM;
	sender = mapped(arp.sender);
	target = mapped(arp.target);
	if (is_here(network, &sender))
		return DROP_SOURCE_IS_LOCAL;
	place = look_up(network, &target);
	if (!place || !place->ifindex)
		return DROP_NOT_ASKED;
	if (arp.operation == ARP_REQUEST)
		return write_reply(pkt, &arp, place);
	why = check_answerer(network, &sender);
	return why ? why : admit_answer(pkt, network, place, ifindex);
}

/* The leg whose own link-local address this is: the directory has none, but neighbours are asked from it. */
static __always_inline enum drop_reason find_link_local(const struct packet *pkt, __u32 network, __u32 *ifindex)
{
	struct address own = link_local(pkt->eth.h_dest);

	if (!same_address(&own, &pkt->destination))
		return DROP_NOT_ASKED;
	*ifindex = leg_of_mac(network, mac_number(pkt->eth.h_dest));
	return *ifindex ? GO_ON : DROP_NOT_ASKED;
}

static __always_inline enum drop_reason take_advertisement(const struct packet *pkt, __u32 network,
							   const struct address *target, __u32 *ifindex)
{
	struct place *place = look_up(network, &pkt->destination);
	enum drop_reason why = check_answerer(network, target);

	if (!why)
		why = check_answerer(network, &pkt->source);
	if (why)
		return why;
	if (!place)
		return find_link_local(pkt, network, ifindex);
	return place->ifindex ? admit_answer(pkt, network, place, ifindex) : DROP_NOT_ASKED;
}

static __always_inline enum drop_reason take_solicitation(struct packet *pkt, __u32 network,
							  struct neighbour_message *message)
{
	struct address target = message->target;
	struct place *place = look_up(network, &target);

	if (pkt->skb->len != pkt->l4_offset + sizeof(*message) ||
	    bpf_skb_load_bytes(pkt->skb, pkt->l4_offset, message, sizeof(*message)))
		return DROP_NEIGHBOUR_DISCOVERY;
	if (message->option_type != OPTION_SOURCE_MAC || message->option_length != 1)
		return DROP_NEIGHBOUR_DISCOVERY;
	if (is_here(network, &pkt->source))
		return DROP_SOURCE_IS_LOCAL;
	return place && place->ifindex ? write_advertisement(pkt, message, place, FLAGS_SOLICITED_OVERRIDE)
				       : DROP_NOT_ASKED;
}

/*
 * Duplicate address detection: all nodes are told that the address has its owner here. The question has
 * no room for the owner's MAC unless a nonce stands there. Source: RFC 4861, 7.2.4; RFC 4862, 5.4.3.
 */
static __always_inline enum drop_reason take_probe(struct packet *pkt, __u32 network,
						   struct neighbour_message *message)
{
	__be16 payload_bytes = bpf_htons(sizeof(*message));
	struct address target = message->target;
	struct place *place = look_up(network, &target);
	__u32 bytes = pkt->l4_offset + sizeof(*message);

	if (!place || !place->ifindex)
		return DROP_ADDRESS_PROBE;
	if (pkt->skb->len != bytes && pkt->skb->len != pkt->l4_offset + BYTES_BEFORE_OPTIONS)
		return DROP_NEIGHBOUR_DISCOVERY;
	if (pkt->skb->len != bytes &&
	    (bpf_skb_change_tail(pkt->skb, bytes, 0) ||
	     bpf_skb_store_bytes(pkt->skb, ETH_HLEN + __builtin_offsetof(struct ipv6hdr, payload_len),
				 &payload_bytes, sizeof(payload_bytes), 0)))
		return DROP_KERNEL_REFUSED;
	message->option_length = 1;
	pkt->source = (struct address){ .words = { bpf_htonl(0xff020000), 0, 0, bpf_htonl(1) } };
	__builtin_memset(pkt->eth.h_source, 0, ETH_ALEN);	/* 33:33:00:00:00:01 */
	pkt->eth.h_source[0] = pkt->eth.h_source[1] = 0x33;
	pkt->eth.h_source[5] = 1;
	return write_advertisement(pkt, message, place, FLAG_OVERRIDE);
}

/* A solicitation has the asker's MAC; an advertisement may be bare, and is where a known neighbour is probed. */
static __always_inline enum drop_reason take_discovery(struct packet *pkt, __u32 network, __u32 *ifindex)
{
	struct neighbour_message message = {};
	struct address target;

	if (pkt->l4_offset != pkt->l3_offset + sizeof(struct ipv6hdr) ||
	    bpf_skb_load_bytes(pkt->skb, pkt->l4_offset, &message, BYTES_BEFORE_OPTIONS))
		return DROP_NEIGHBOUR_DISCOVERY;
	target = message.target;
	if (message.code || pkt->hop_limit != 255 || is_mapped(&target))
		return DROP_NEIGHBOUR_DISCOVERY;
	if (is_none(&pkt->source))
		return message.type == SOLICITATION ? take_probe(pkt, network, &message) : DROP_NEIGHBOUR_DISCOVERY;
	if (message.type == ADVERTISEMENT)
		return take_advertisement(pkt, network, &target, ifindex);
	return message.type == SOLICITATION ? take_solicitation(pkt, network, &message) : DROP_NEIGHBOUR_DISCOVERY;
}

#endif
