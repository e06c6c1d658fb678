// SPDX-License-Identifier: Apache-2.0
/* A packet about to leave by the underlay device: only our own tunnel may speak VXLAN to our hosts. */
#include "lib/encap.h"

SEC("tc")
int to_underlay(struct __sk_buff *skb)
{
	struct iphdr ip;

	if (!is_vouched(skb) && is_tunnel_packet(skb, &ip) && is_known_vtep(ip.daddr))
		return drop(skb, DROP_FORGED_TUNNEL);
	return pass();
}
