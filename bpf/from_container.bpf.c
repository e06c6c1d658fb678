// SPDX-License-Identifier: Apache-2.0
/* A container's packet, at the host's end of its veth: endpoint, source, answer or place, away. */
#include "lib/arp.h"
#include "lib/flood.h"
#include "lib/forward.h"
#include "lib/nd.h"

static __always_inline int send_back(struct __sk_buff *skb, enum drop_reason why)
{
	if (why)
		return drop(skb, why);
	record((struct verdict){ .kind = VERDICT_ANSWER });
	return bpf_redirect(skb->ifindex, 0);
}

/* Whom nobody here knows may be a device on the wire, where the network has one. */
static __always_inline int neighbour(const struct packet *pkt, __u32 network, enum drop_reason why)
{
	return why == DROP_UNKNOWN_NEIGHBOUR && is_vlan(network) ? tag(pkt->skb, network)
								 : send_back(pkt->skb, why);
}

static __always_inline int to_container(const struct packet *pkt, __u32 network, __u32 ifindex)
{
	enum drop_reason why = check_receiver(pkt, network, ifindex);

	return why ? drop(pkt->skb, why) : deliver(pkt->skb, ifindex);
}

static __always_inline int to_host(const struct packet *pkt, __u32 network, __be32 vtep)
{
	enum drop_reason why = settings.overlay_ifindex ? check_network(network) : DROP_NO_UNDERLAY;

	return why ? drop(pkt->skb, why) : encapsulate(pkt, network, vtep);
}

/* By the directory; in a VLAN also to devices that are not in it, of which a gateway is one. */
static __always_inline int send(const struct packet *pkt, __u32 network)
{
	struct place *place;
	enum drop_reason why = locate(pkt, network, &place);

	if (is_vlan(network) && (why == DROP_UNKNOWN_DESTINATION || (!why && !place->ifindex)))
		return tag(pkt->skb, network);
	if (why)
		return drop(pkt->skb, why);
	return place->ifindex ? to_container(pkt, network, place->ifindex) : to_host(pkt, network, place->vtep);
}

SEC("tc")
int from_container(struct __sk_buff *skb)
{
	__u32 ifindex = skb->ifindex;
	struct endpoint *endpoint = bpf_map_lookup_elem(&endpoints, &ifindex);
	struct packet pkt = {};
	enum drop_reason why;

	if (!endpoint)
		return drop(skb, DROP_NO_ENDPOINT);
	why = parse(&pkt, skb, 0);
	if (!why)
		why = check_source_mac(&pkt, endpoint);
	if (why)
		return drop(skb, why);
	if (pkt.eth.h_proto == bpf_htons(ETH_P_ARP))
		return neighbour(&pkt, endpoint->network, answer_arp(&pkt, endpoint));
	if (is_neighbour_discovery(&pkt))
		return neighbour(&pkt, endpoint->network, answer_solicitation(&pkt, endpoint));
	if (is_group(pkt.eth.h_dest))
		return flood_out(&pkt, endpoint);
	why = check_source(&pkt, endpoint);
	if (why)
		return drop(skb, why);
	count_sent(ifindex, skb->len);
	return send(&pkt, endpoint->network);
}
