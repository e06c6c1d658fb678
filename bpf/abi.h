/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the programs share with the agent: settings, the maps' keys and values, and the drop reasons.
 * isthmus.wire.maps packs the same structs and isthmus.core.trace.drops names the same reasons; tests
 * compare both with this file. A change of a struct or of a map is a new layout: LAYOUT in wire/maps.py.
 */
#ifndef ISTHMUS_ABI_H
#define ISTHMUS_ABI_H

#include <linux/types.h>

/* An IPv6 address, or an IPv4 one as ::ffff:a.b.c.d; all zero where there is none. */
struct address {
	__be32 words[4];
};

/* Set before a program is loaded, then constant: the verifier folds them. */
struct settings {
	__u32 overlay_ifindex;		/* our vxlan device; 0 while there is none */
	__be32 vtep;			/* this host's tunnel address */
	__be16 vxlan_port;
	__u8 fast_receive;		/* decapsulate on the underlay device */
	__u8 records_verdicts;		/* write `verdicts`; for tests, a redirect's target is not visible */
};

enum encap {
	ENCAP_VXLAN = 1,
	ENCAP_VLAN = 2,
};

/* endpoints: __u32 ifindex of the host's end -> who sends there. */
struct endpoint {
	char id[64];			/* the engine's name for it; zero bytes behind a shorter one */
	__u32 network;
	__u8 mac[6];
	__u8 pad[2];
	struct address ipv4;
	struct address ipv6;
};

/* Datapath ids. A VXLAN network's is its VNI, of 24 bits; a VLAN network's is its VLAN id and this bit. */
#define VLAN_BIT (1 << 24)
#define VLAN_ID_MASK 0xfff

/* networks: __u32 datapath id -> how it travels. */
struct network {
	__u32 encap;
};

/* directory: where an address of a network lives and which MAC answers for it. */
struct place_key {
	__u32 network;
	struct address address;
};

struct place {
	__u32 ifindex;			/* the host's end of its veth; 0: on another host */
	__be32 vtep;
	__u8 mac[6];
	__u8 pad[2];
};

/* uplinks: __u32 0 -> __u32 ifindex of the device by which VLAN networks leave and enter. */

/*
 * floods: __u32 datapath id -> who gets what is for all, or for a group: the legs here, and the hosts
 * that have members. Whole or not at all, so that nobody is left out while others come and go.
 */
#define FLOOD_LEGS 256
#define FLOOD_HOSTS 256

struct flood {
	__u32 leg_count;
	__u32 host_count;
	__u32 legs[FLOOD_LEGS];		/* ifindexes of host ends */
	__be32 hosts[FLOOD_HOSTS];	/* VTEPs */
};

/* vteps: __be32 address -> this. */
struct vtep {
	__u32 known;
};

/* traffic: __u32 ifindex of the host's end -> what its endpoint sent and received. */
struct traffic {
	__u64 sent_packets;
	__u64 sent_bytes;
	__u64 received_packets;
	__u64 received_bytes;
};

/* drops: per device and reason -> __u64 packets. */
struct drop_key {
	__u32 ifindex;
	__u32 reason;
};

enum verdict_kind {
	VERDICT_PASS = 1,
	VERDICT_DELIVER = 2,
	VERDICT_ENCAPSULATE = 3,
	VERDICT_ANSWER = 4,
	VERDICT_DROP = 5,
	VERDICT_TAG = 6,		/* out by the uplink; `vni` is the VLAN id */
	VERDICT_FLOOD = 7,		/* `vni` copies were sent */
};

/* verdicts: __u32 0 -> the last verdict, where settings.records_verdicts. */
struct verdict {
	__u32 kind;
	__u32 reason;
	__u32 ifindex;
	__be32 vtep;
	__u32 vni;
};

/* Numbered for ever: append, never reuse. */
enum drop_reason {
	GO_ON = 0,
	DROP_TRUNCATED = 1,
	DROP_BAD_HEADER = 2,
	DROP_ETHERTYPE = 3,
	DROP_TAGGED = 4,
	DROP_EXTENSION_HEADERS = 5,
	DROP_MAPPED_ADDRESS = 6,
	DROP_NO_ENDPOINT = 7,
	DROP_SOURCE_MAC = 8,
	DROP_SOURCE_ADDRESS = 9,
	DROP_ARP_SENDER = 10,
	DROP_ARP_FORM = 11,
	DROP_ADDRESS_PROBE = 12,
	DROP_UNKNOWN_NEIGHBOUR = 13,
	DROP_NEIGHBOUR_DISCOVERY = 14,
	DROP_MULTICAST = 15,
	DROP_UNKNOWN_DESTINATION = 16,
	DROP_DESTINATION_MAC = 17,
	DROP_UNKNOWN_NETWORK = 18,
	DROP_ENCAP = 19,
	DROP_NO_UNDERLAY = 20,
	DROP_NO_RECEIVER = 21,
	DROP_NOT_FROM_UNDERLAY = 22,
	DROP_NO_TUNNEL_KEY = 23,
	DROP_UNKNOWN_VTEP = 24,
	DROP_SOURCE_IS_LOCAL = 25,
	DROP_NOT_HERE = 26,
	DROP_FORGED_TUNNEL = 27,
	DROP_KERNEL_REFUSED = 28,
	DROP_NO_UPLINK = 29,
	DROP_IDLE_UPLINK = 30,
	DROP_NOT_ASKED = 31,
};

#endif
