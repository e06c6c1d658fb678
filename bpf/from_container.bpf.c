// SPDX-License-Identifier: Apache-2.0
/* A container's packet, at the host's end of its veth: endpoint, source, answer or place, away. */
#include "lib/arp.h"
#include "lib/encap.h"
#include "lib/forward.h"
#include "lib/nd.h"

static __always_inline int send_back(struct __sk_buff *skb, enum drop_reason why)
{
	if (why)
		return drop(skb, why);
	record((struct verdict){ .kind = VERDICT_ANSWER });
	return bpf_redirect(skb->ifindex, 0);
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

SEC("tc")
int from_container(struct __sk_buff *skb)
{
	__u32 ifindex = skb->ifindex;
	struct endpoint *endpoint = bpf_map_lookup_elem(&endpoints, &ifindex);
	struct packet pkt = {};
	enum drop_reason why;
	struct place *place;

	if (!endpoint)
		return drop(skb, DROP_NO_ENDPOINT);
	why = parse(&pkt, skb, 0);
	if (!why)
		why = check_source_mac(&pkt, endpoint);
	if (why)
		return drop(skb, why);
	if (pkt.eth.h_proto == bpf_htons(ETH_P_ARP))
		return send_back(skb, answer_arp(&pkt, endpoint));
	if (is_neighbour_discovery(&pkt))
		return send_back(skb, answer_solicitation(&pkt, endpoint));
	if (is_group(pkt.eth.h_dest))
		return drop(skb, DROP_MULTICAST);
	why = check_source(&pkt, endpoint);
	if (!why)
		why = locate(&pkt, endpoint->network, &place);
	if (why)
		return drop(skb, why);
	count_sent(ifindex, skb->len);
	return place->ifindex ? to_container(&pkt, endpoint->network, place->ifindex)
			      : to_host(&pkt, endpoint->network, place->vtep);
}
