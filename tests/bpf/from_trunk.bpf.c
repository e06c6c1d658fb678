// SPDX-License-Identifier: Apache-2.0
/* from_uplink as it is after the kernel has taken the tag out of the frame, which a test run does not do. */
#include "../../bpf/from_uplink.bpf.c"

/* cb[0]: the tag's ethertype in host order, 0 for no tag; cb[1]: the VLAN id. */
SEC("tc")
int from_trunk(struct __sk_buff *skb)
{
	if (skb->cb[0] && bpf_skb_vlan_push(skb, bpf_htons(skb->cb[0]), skb->cb[1]))
		return TC_ACT_UNSPEC;
	return judge(skb);
}
