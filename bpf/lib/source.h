/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a container's packet carries its own addresses. */
#ifndef ISTHMUS_SOURCE_H
#define ISTHMUS_SOURCE_H

#include "parse.h"

static __always_inline bool is_own(const struct endpoint *endpoint, const struct address *address)
{
	if (is_mapped(address))
		return same_address(address, &endpoint->ipv4);
	return !is_none(address) && same_address(address, &endpoint->ipv6);
}

static __always_inline enum drop_reason check_source_mac(const struct packet *pkt,
							 const struct endpoint *endpoint)
{
	return same_mac(pkt->eth.h_source, endpoint->mac) ? GO_ON : DROP_SOURCE_MAC;
}

static __always_inline enum drop_reason check_source(const struct packet *pkt,
						     const struct endpoint *endpoint)
{
	return is_own(endpoint, &pkt->source) ? GO_ON : DROP_SOURCE_ADDRESS;
}

#endif
