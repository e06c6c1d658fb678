// SPDX-License-Identifier: Apache-2.0
/* from_overlay as it is after the kernel has taken the packet out of a tunnel, which a test run cannot do. */
#include "../../bpf/from_overlay.bpf.c"

/* cb[0]: the sender's VTEP in host order, 0 for no tunnel; cb[1]: the VNI. */
SEC("tc")
int from_tunnel(struct __sk_buff *skb)
{
	/* What is the local address of a key to send by is the remote one when the key is read. */
	struct bpf_tunnel_key key = { .tunnel_id = skb->cb[1], .local_ipv4 = skb->cb[0] };

	if (skb->cb[0] && bpf_skb_set_tunnel_key(skb, &key, sizeof(key), 0))
		return TC_ACT_UNSPEC;
	return take_in(skb);
}
