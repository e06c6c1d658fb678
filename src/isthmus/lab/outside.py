"""The internet of a lab: a DNS server that knows the lab's names, and a web server. Runs in the outside machine."""

import asyncio
import sys
from ipaddress import IPv4Address
from typing import cast

import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

from isthmus.lab.topology import GATEWAY, WEBSITE, Lab, names

TTL_S = 60
DNS_PORT = 53
WEB_PORT = 80

_PAGE = """<!doctype html>
<title>{site}</title>
<h1>{site}</h1>
<p>This is the internet of the lab. You came from {address}.</p>
"""


def answer(question: bytes, known: dict[str, IPv4Address]) -> bytes | None:
    """Answer a DNS message: an address for a known name, at once "no such name" for any other.

    None for what is no question and deserves no answer.
    """
    try:
        query = dns.message.from_wire(question)
        reply = dns.message.make_response(query, recursion_available=True)
    except (dns.exception.DNSException, ValueError):
        return None
    asked = query.question[0] if query.question else None
    if asked is None:
        reply.set_rcode(dns.rcode.FORMERR)
        return reply.to_wire()
    address = known.get(asked.name.to_text(omit_final_dot=True).lower())
    if address is None:
        reply.set_rcode(dns.rcode.NXDOMAIN)
    elif asked.rdtype == dns.rdatatype.A:
        reply.answer.append(dns.rrset.from_text(asked.name, TTL_S, "IN", "A", str(address)))
    return reply.to_wire()


class DnsOverUdp(asyncio.DatagramProtocol):
    """DNS in datagrams."""

    def __init__(self, known: dict[str, IPv4Address]) -> None:
        self._known = known

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # asyncio's own transport for datagrams does not derive from asyncio.DatagramTransport
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        reply = answer(data, self._known)
        if reply is not None:
            self._transport.sendto(reply, addr)


async def serve_dns_over_tcp(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, known: dict[str, IPv4Address]
) -> None:
    """Answer the questions of one connection, each behind its two bytes of length."""
    try:
        while True:
            length = int.from_bytes(await reader.readexactly(2))
            reply = answer(await reader.readexactly(length), known)
            if reply is None:
                break
            writer.write(len(reply).to_bytes(2) + reply)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass  # the client has no more questions
    finally:
        writer.close()


async def serve_page(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer one web request, whatever it asks for, with the page."""
    try:
        await reader.readuntil(b"\r\n\r\n")
        page = _PAGE.format(site=WEBSITE, address=writer.get_extra_info("peername")[0]).encode()
        head = f"HTTP/1.0 200 OK\r\nContent-Type: text/html\r\nContent-Length: {len(page)}\r\nConnection: close\r\n\r\n"
        writer.write(head.encode() + page)
        await writer.drain()
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError):
        pass  # no request came
    finally:
        writer.close()


async def serve(known: dict[str, IPv4Address]) -> None:
    """Serve these names and the page until ended."""

    async def over_tcp(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await serve_dns_over_tcp(reader, writer, known)

    await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: DnsOverUdp(known), local_addr=(str(GATEWAY), DNS_PORT)
    )
    await asyncio.start_server(over_tcp, str(GATEWAY), DNS_PORT)
    web = await asyncio.start_server(serve_page, "0.0.0.0", WEB_PORT)
    await web.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(names(Lab(sys.argv[1], nodes=int(sys.argv[2])))))
