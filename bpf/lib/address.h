/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses and MACs: made and compared. */
#ifndef ISTHMUS_ADDRESS_H
#define ISTHMUS_ADDRESS_H

#include "common.h"

static __always_inline struct address mapped(__be32 ipv4)
{
	return (struct address){ .words = { 0, 0, bpf_htonl(0xffff), ipv4 } };
}

static __always_inline bool is_mapped(const struct address *a)
{
	return !a->words[0] && !a->words[1] && a->words[2] == bpf_htonl(0xffff);
}

static __always_inline bool is_none(const struct address *a)
{
	return !(a->words[0] | a->words[1] | a->words[2] | a->words[3]);
}

static __always_inline bool same_address(const struct address *a, const struct address *b)
{
	return !((a->words[0] ^ b->words[0]) | (a->words[1] ^ b->words[1]) |
		 (a->words[2] ^ b->words[2]) | (a->words[3] ^ b->words[3]));
}

static __always_inline bool same_mac(const __u8 *a, const __u8 *b)
{
	__u8 difference = 0;

	for (int i = 0; i < ETH_ALEN; i++)
		difference |= a[i] ^ b[i];
	return !difference;
}

static __always_inline __u64 mac_number(const __u8 *mac)
{
	__u64 number = 0;

	for (int i = 0; i < ETH_ALEN; i++)
		number = number << 8 | mac[i];
	return number;
}

/* A group address; broadcast is one. */
static __always_inline bool is_group(const __u8 *mac)
{
	return mac[0] & 1;
}

/* fe80:: and the modified EUI-64 of the MAC. Source: RFC 4291, appendix A. */
static __always_inline struct address link_local(const __u8 *mac)
{
	return (struct address){ .words = {
		bpf_htonl(0xfe800000), 0,
		bpf_htonl((__u32)(mac[0] ^ 2) << 24 | mac[1] << 16 | mac[2] << 8 | 0xff),
		bpf_htonl(0xfe000000 | mac[3] << 16 | mac[4] << 8 | mac[5]),
	} };
}

#endif
