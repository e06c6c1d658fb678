/* SPDX-License-Identifier: Apache-2.0 */
/* An Ethernet frame -> struct packet. Loads copy and check bounds, so non-linear frames need no care. */
#ifndef ISTHMUS_PARSE_H
#define ISTHMUS_PARSE_H

#include "address.h"

#define MAX_EXTENSION_HEADERS 6
#define IPV4_OFFSET_MASK 0x1fff

struct packet {
	struct __sk_buff *skb;
	struct ethhdr eth;
	struct address source;
	struct address destination;
	__u32 l3_offset;		/* where the frame's network header starts in the skb */
	__u32 l4_offset;
	__u8 l4_protocol;		/* of IPv6: the first that is no extension header we walk */
	__u8 tos;
	__u8 icmpv6_type;
	__u8 hop_limit;
};

static __always_inline enum drop_reason parse_ipv4(struct packet *pkt)
{
	struct iphdr ip;

	if (bpf_skb_load_bytes(pkt->skb, pkt->l3_offset, &ip, sizeof(ip)))
		return DROP_TRUNCATED;
	if (ip.version != 4 || ip.ihl < 5)
		return DROP_BAD_HEADER;
	pkt->source = mapped(ip.saddr);
	pkt->destination = mapped(ip.daddr);
	pkt->l4_offset = pkt->l3_offset + ip.ihl * 4;
	pkt->l4_protocol = ip.protocol;
	pkt->tos = ip.tos;
	return pkt->l4_offset > pkt->skb->len ? DROP_TRUNCATED : GO_ON;
}

/* Finds what the extension headers hide: neighbour discovery must not slip through behind them. */
static __always_inline enum drop_reason skip_extension_headers(struct packet *pkt)
{
	struct ipv6_opt_hdr option;

	for (int i = 0; i <= MAX_EXTENSION_HEADERS; i++) {
		if (pkt->l4_protocol != IPPROTO_HOPOPTS && pkt->l4_protocol != IPPROTO_ROUTING &&
		    pkt->l4_protocol != IPPROTO_DSTOPTS)
			return GO_ON;
		if (bpf_skb_load_bytes(pkt->skb, pkt->l4_offset, &option, sizeof(option)))
			return DROP_TRUNCATED;
		pkt->l4_protocol = option.nexthdr;
		pkt->l4_offset += (option.hdrlen + 1) * 8;
	}
	return DROP_EXTENSION_HEADERS;
}

static __always_inline enum drop_reason parse_ipv6(struct packet *pkt)
{
	enum drop_reason why;
	struct ipv6hdr ip;

	if (bpf_skb_load_bytes(pkt->skb, pkt->l3_offset, &ip, sizeof(ip)))
		return DROP_TRUNCATED;
	if (ip.version != 6)
		return DROP_BAD_HEADER;
	__builtin_memcpy(&pkt->source, &ip.saddr, sizeof(pkt->source));
	__builtin_memcpy(&pkt->destination, &ip.daddr, sizeof(pkt->destination));
	if (is_mapped(&pkt->source) || is_mapped(&pkt->destination))
		return DROP_MAPPED_ADDRESS;
	pkt->l4_offset = pkt->l3_offset + sizeof(ip);
	pkt->l4_protocol = ip.nexthdr;
	pkt->hop_limit = ip.hop_limit;
	pkt->tos = ip.priority << 4 | ip.flow_lbl[0] >> 4;
	why = skip_extension_headers(pkt);
	if (why || pkt->l4_protocol != IPPROTO_ICMPV6)
		return why;
	if (bpf_skb_load_bytes(pkt->skb, pkt->l4_offset, &pkt->icmpv6_type, 1))
		return DROP_TRUNCATED;
	return GO_ON;
}

/* Reads the frame that starts at `offset`. */
static __always_inline enum drop_reason parse(struct packet *pkt, struct __sk_buff *skb, __u32 offset)
{
	pkt->skb = skb;
	pkt->l3_offset = offset + ETH_HLEN;
	if (!offset && skb->vlan_present)	/* the kernel has taken the tag out of the frame */
		return DROP_TAGGED;
	if (bpf_skb_load_bytes(skb, offset, &pkt->eth, ETH_HLEN))
		return DROP_TRUNCATED;
	switch (pkt->eth.h_proto) {
	case bpf_htons(ETH_P_IP):
		return parse_ipv4(pkt);
	case bpf_htons(ETH_P_IPV6):
		return parse_ipv6(pkt);
	case bpf_htons(ETH_P_ARP):
		return GO_ON;
	case bpf_htons(ETH_P_8021Q):
	case bpf_htons(ETH_P_8021AD):
		return DROP_TAGGED;
	default:
		return DROP_ETHERTYPE;
	}
}

/* Router and neighbour solicitations, advertisements and redirects. Source: RFC 4861 section 4. */
static __always_inline bool is_neighbour_discovery(const struct packet *pkt)
{
	return pkt->eth.h_proto == bpf_htons(ETH_P_IPV6) && pkt->l4_protocol == IPPROTO_ICMPV6 &&
	       pkt->icmpv6_type >= 133 && pkt->icmpv6_type <= 137;
}

#endif
