// SPDX-License-Identifier: Apache-2.0
/* A packet that the kernel took out of a tunnel, at our vxlan device: host, network, receiver. */
#include "lib/flood.h"
#include "lib/receive.h"

/* The tunnel's network, where the packet came over the underlay from a host of ours. */
static __always_inline enum drop_reason check_tunnel(struct __sk_buff *skb, __u32 *network)
{
	struct bpf_tunnel_key key = {};

	if (bpf_skb_get_tunnel_key(skb, &key, OLD_TUNNEL_KEY_BYTES, 0))
		return DROP_NO_TUNNEL_KEY;
	if (!is_vouched(skb))
		return DROP_NOT_FROM_UNDERLAY;
	if (!is_known_vtep(bpf_htonl(key.remote_ipv4)))
		return DROP_UNKNOWN_VTEP;
	*network = key.tunnel_id;
	return is_vlan(*network) ? DROP_ENCAP : check_network(*network);
}

static __always_inline int take_in(struct __sk_buff *skb)
{
	struct packet pkt = {};
	__u32 network, ifindex;
	enum drop_reason why;

	why = check_tunnel(skb, &network);
	if (!why)
		why = parse(&pkt, skb, 0);
	if (!why && is_for_group(&pkt)) {
		why = check_remote_source(&pkt, network);
		return why ? drop(skb, why) : flood_in(skb, network);
	}
	if (!why)
		why = admit(&pkt, network, &ifindex);
	return why ? drop(skb, why) : deliver(skb, ifindex);
}

SEC("tc")
int from_overlay(struct __sk_buff *skb)
{
	return take_in(skb);
}
