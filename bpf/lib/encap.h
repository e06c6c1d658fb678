/* SPDX-License-Identifier: Apache-2.0 */
/* VXLAN's headers: put on by our one vxlan device, taken off here. Source: RFC 7348 section 5. */
#ifndef ISTHMUS_ENCAP_H
#define ISTHMUS_ENCAP_H

#include "drop.h"
#include "source.h"
#include "tables.h"

#define TUNNEL_TTL 64
#define VXLAN_VNI_IS_VALID bpf_htonl(0x08000000)
#define FIRST_FRAGMENT_MASK 0x1fff
#define ANY_FRAGMENT_MASK 0x3fff

/* Kernels before 6.3 refuse it, and it is not in every linux/bpf.h. */
#define ADJ_ROOM_DECAP_L3_IPV6 (1ULL << 8)

/* Kernels before 6.0 know the key without the local address. */
#define OLD_TUNNEL_KEY_BYTES __builtin_offsetof(struct bpf_tunnel_key, local_ipv4)

struct vxlan {
	__be32 flags;
	__be32 vni;			/* in the upper 24 bits */
} __attribute__((packed));

/* Everything before the frame that a tunnel carries. */
struct outer {
	struct ethhdr eth;
	struct iphdr ip;
	struct udphdr udp;
	struct vxlan vxlan;
} __attribute__((packed));

/* An IPv4 UDP packet to our VXLAN port; a later fragment has no port and is none. */
static __always_inline bool is_tunnel_packet(const struct __sk_buff *skb, struct iphdr *ip)
{
	struct udphdr udp;
	__be16 ethertype;

	if (bpf_skb_load_bytes(skb, __builtin_offsetof(struct ethhdr, h_proto), &ethertype, 2) ||
	    ethertype != bpf_htons(ETH_P_IP) || bpf_skb_load_bytes(skb, ETH_HLEN, ip, sizeof(*ip)))
		return false;
	if (ip->protocol != IPPROTO_UDP || ip->frag_off & bpf_htons(FIRST_FRAGMENT_MASK))
		return false;
	if (bpf_skb_load_bytes(skb, ETH_HLEN + ip->ihl * 4, &udp, sizeof(udp)))
		return false;
	return udp.dest == settings.vxlan_port;
}

/* Whether a tunnel packet has exactly the form that our own hosts send. */
static __always_inline bool is_plain(const struct outer *outer)
{
	return outer->ip.version == 4 && outer->ip.ihl == 5 &&
	       !(outer->ip.frag_off & bpf_htons(ANY_FRAGMENT_MASK)) && !outer->udp.check &&
	       outer->vxlan.flags == VXLAN_VNI_IS_VALID && !(outer->vxlan.vni & bpf_htonl(0xff));
}

/*
 * Takes the outer headers off. Leaves the packet as it was where the kernel cannot: one before 6.3
 * would keep calling an IPv6 packet IPv4.
 */
static __always_inline bool decapsulate(struct packet *pkt)
{
	__u64 flags = BPF_F_ADJ_ROOM_FIXED_GSO;

	if (pkt->eth.h_proto == bpf_htons(ETH_P_IPV6))
		flags |= ADJ_ROOM_DECAP_L3_IPV6;
	return !bpf_skb_adjust_room(pkt->skb, -(__s32)sizeof(struct outer), BPF_ADJ_ROOM_MAC, flags);
}

/* Says where a packet goes when it comes to our vxlan device. */
static __always_inline enum drop_reason address_tunnel(struct __sk_buff *skb, __u32 network, __be32 vtep, __u8 tos)
{
	struct bpf_tunnel_key key = {
		.tunnel_id = network,
		.remote_ipv4 = bpf_ntohl(vtep),
		.tunnel_ttl = TUNNEL_TTL,
		.tunnel_tos = tos,
		.local_ipv4 = bpf_ntohl(settings.vtep),
	};

	__u32 no_group = 0;

	if (bpf_skb_set_tunnel_key(skb, &key, sizeof(key), BPF_F_ZERO_CSUM_TX) &&
	    bpf_skb_set_tunnel_key(skb, &key, OLD_TUNNEL_KEY_BYTES, BPF_F_ZERO_CSUM_TX))
		return DROP_KERNEL_REFUSED;
	/* Left unsaid, a gbp device sends what lies on the kernel's stack as the packet's group. */
	return bpf_skb_set_tunnel_opt(skb, &no_group, sizeof(no_group)) ? DROP_KERNEL_REFUSED : GO_ON;
}

/* Through our vxlan device: the kernel adds route, neighbour, path MTU, source port and ECN. */
static __always_inline int encapsulate(const struct packet *pkt, __u32 network, __be32 vtep)
{
	struct __sk_buff *skb = pkt->skb;

	if (address_tunnel(skb, network, vtep, pkt->tos))
		return drop(skb, DROP_KERNEL_REFUSED);
	vouch(skb);
	record((struct verdict){ .kind = VERDICT_ENCAPSULATE, .vtep = vtep, .vni = network });
	return bpf_redirect(settings.overlay_ifindex, 0);
}

#endif
