/* SPDX-License-Identifier: Apache-2.0 */
/* What every program includes first: kernel types, settings, the mark. */
#ifndef ISTHMUS_COMMON_H
#define ISTHMUS_COMMON_H

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>
#include <linux/udp.h>
#include <stdbool.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "../abi.h"

/*
 * The mark of a tunnel packet that our own programs vouch for: set where it leaves a container or
 * enters by the underlay device, asked for where it would leave the host or a vxlan device. The
 * kernel clears marks where a packet leaves a namespace, so a container cannot set it. One byte
 * only, and not one of those that kube-proxy, Cilium or Calico write to.
 */
#define MARK_MASK 0xff
#define MARK_VOUCHED 0xc5

/* The one object in .rodata, so that the loader can fill the section as a whole. */
const volatile struct settings settings = {};

char LICENSE[] SEC("license") = "Apache-2.0";

static __always_inline bool is_vouched(const struct __sk_buff *skb)
{
	return (skb->mark & MARK_MASK) == MARK_VOUCHED;
}

static __always_inline void vouch(struct __sk_buff *skb)
{
	/* Volatile, or the compiler stores one byte, which the verifier refuses in a context. */
	*(volatile __u32 *)&skb->mark = (skb->mark & ~MARK_MASK) | MARK_VOUCHED;
}

#endif
