// SPDX-License-Identifier: Apache-2.0
/* A cable in one VLAN of a trunk, as a switch's access port or an 802.1Q interface is: for kernels without 8021q. */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

const volatile __u32 vlan = 112;

char LICENSE[] SEC("license") = "Apache-2.0";

SEC("tc/egress")
int put_tag(struct __sk_buff *skb)
{
	return bpf_skb_vlan_push(skb, bpf_htons(ETH_P_8021Q), vlan) ? TC_ACT_SHOT : TC_ACT_OK;
}

SEC("tc/ingress")
int take_tag(struct __sk_buff *skb)
{
	if (!skb->vlan_present || (skb->vlan_tci & 0xfff) != vlan)
		return TC_ACT_SHOT;
	return bpf_skb_vlan_pop(skb) ? TC_ACT_SHOT : TC_ACT_OK;
}
