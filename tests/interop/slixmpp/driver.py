"""Sends or receives one file with slixmpp: its SOCKS5 and in-band bytestreams, below a Stream
Initiation that is written here."""

import argparse
import asyncio
import hashlib
import json
import logging
import pathlib
import sys
import uuid
import xml.etree.ElementTree as ET

import slixmpp
from slixmpp.xmlstream.handler import Callback
from slixmpp.xmlstream.matcher import MatchXPath

SI = "http://jabber.org/protocol/si"
FILE = "http://jabber.org/protocol/si/profile/file-transfer"
NEGOTIATION = "http://jabber.org/protocol/feature-neg"
FORM = "jabber:x:data"
SOCKS5 = "http://jabber.org/protocol/bytestreams"
IBB = "http://jabber.org/protocol/ibb"

# How long a driver runs when it is not told.
DEADLINE = 30

# Seconds after which no other connection takes the place of the last one.
LAST = 2

# What is written to a socket at a time.
BLOCK = 65536


class Failed(Exception):
    """Why there is no complete transfer."""


def say(event, **fields):
    print(json.dumps({"event": event, **fields}), flush=True)


class Driver(slixmpp.ClientXMPP):
    def __init__(self, options):
        super().__init__(options.jid, options.password)
        self.options = options
        self.method = IBB if options.transport == "ibb" else SOCKS5
        self.outcome = self.loop.create_future()
        self.ca_certs = options.ca
        self.enable_direct_tls = False
        # Whoever asks for our presence gets it, and is asked for theirs.
        self.auto_authorize = self.auto_subscribe = True
        for plugin in ("xep_0030", "xep_0047", "xep_0065"):
            self.register_plugin(plugin)
        self.known = asyncio.Event()
        self.add_event_handler("session_start", self.started)
        self.add_event_handler("presence_subscribe", self.subscribed_to)
        self.add_event_handler("failed_auth", lambda _: self.settle(Failed("not authenticated")))
        self.add_event_handler("disconnected", lambda why: self.settle(Failed(f"disconnected: {why}")))

    def settle(self, outcome):
        if not self.outcome.done():
            failed = isinstance(outcome, Exception)
            (self.outcome.set_exception if failed else self.outcome.set_result)(outcome)

    async def started(self, _):
        try:
            for feature in (SI, FILE):
                self.plugin["xep_0030"].add_feature(feature)
            self.register_handler(
                Callback("offer", MatchXPath(f"{{{self.default_ns}}}iq/{{{SI}}}si"), self.asked)
            )
            self.send_presence()
            await self.get_roster()
            say("online", jid=self.boundjid.full)
            if self.options.role == "send":
                if self.options.contact:
                    await self.known.wait()
                self.settle(await self.send_file())
        except Exception as why:
            self.settle(why)

    def subscribed_to(self, presence):
        if presence["from"].bare == slixmpp.JID(self.options.to).bare:
            self.known.set()

    # Sending

    async def send_file(self):
        path = pathlib.Path(self.options.file)
        data = path.read_bytes()
        peer, sid = slixmpp.JID(self.options.to), uuid.uuid4().hex
        request = self.make_iq_set(ito=peer)
        si = ET.Element(f"{{{SI}}}si", id=sid, profile=FILE)
        ET.SubElement(si, f"{{{FILE}}}file", name=path.name, size=str(len(data)))
        field = form(si, "form")
        ET.SubElement(ET.SubElement(field, f"{{{FORM}}}option"), f"{{{FORM}}}value").text = self.method
        request.append(si)
        say("offered", to=peer.full, name=path.name, size=len(data))
        answer = await request.send(timeout=self.options.deadline)
        chosen = answer.xml.find(f".//{{{FORM}}}value")
        if chosen is None or chosen.text != self.method:
            raise Failed("the peer chose another transport")
        say("accepted")
        if self.method == IBB:
            stream = await self.plugin["xep_0047"].open_stream(peer, sid=sid)
            say("transport", transport="ibb")
            await stream.sendall(data)
            await stream.close()
        else:
            await self.send_by_socks5(peer, sid, data)
        return data

    async def send_by_socks5(self, peer, sid, data):
        if self.options.transport == "socks5-direct":
            raise Failed("slixmpp cannot be a host of streams")
        closed = self.loop.create_future()
        self.add_event_handler("socks5_closed", lambda _: closed.done() or closed.set_result(None))
        stream = await self.plugin["xep_0065"].handshake(peer, sid=sid)
        if stream is None:
            raise Failed("no host of the stream can be reached")
        self.say_socket(stream)
        for at in range(0, len(data), BLOCK):
            await stream.write(data[at : at + BLOCK])
        stream.transport.close()
        await closed

    # Receiving

    def asked(self, iq):
        if iq["type"] == "set":
            asyncio.ensure_future(self.take(iq))

    async def take(self, iq):
        try:
            self.settle(await self.receive_file(iq))
        except Exception as why:
            self.settle(why)

    async def receive_file(self, iq):
        si = iq.xml.find(f"{{{SI}}}si")
        file = si.find(f"{{{FILE}}}file")
        sid, peer = si.get("id"), iq["from"]
        name, size = file.get("name"), int(file.get("size"))
        say("offered", **{"from": peer.full}, name=name, size=size)
        offered = [value.text for value in si.iterfind(f".//{{{FORM}}}option/{{{FORM}}}value")]
        if self.method not in offered:
            raise Failed("the transport is not offered")
        if name in ("", ".", "..") or "/" in name:
            raise Failed(f"not a name for a file: {name}")
        streams = self.plugin["xep_0047" if self.method == IBB else "xep_0065"]
        streams.api["preauthorize_sid"](iq["to"], sid, peer)
        data = bytearray()
        reading = self.read_in_band(data) if self.method == IBB else self.read_sockets(data, size)
        answer = iq.reply()
        chosen = ET.Element(f"{{{SI}}}si")
        ET.SubElement(form(chosen, "submit"), f"{{{FORM}}}value").text = self.method
        answer.append(chosen)
        answer.send()
        say("accepted")
        await reading
        if len(data) != size:
            raise Failed(f"the stream ended after {len(data)} bytes")
        path = pathlib.Path(self.options.into) / name
        path.write_bytes(data)
        return path.read_bytes()

    def read_in_band(self, data):
        ended = self.loop.create_future()
        self.add_event_handler("ibb_stream_start", lambda _: say("transport", transport="ibb"))
        self.add_event_handler("ibb_stream_data", lambda stream: data.extend(stream.read()))
        self.add_event_handler("ibb_stream_end", lambda _: ended.done() or ended.set_result(None))
        return ended

    def read_sockets(self, data, size):
        """slixmpp dials all hosts at once and does not tell their connections apart: bytes may come
        from any, and the end of one is not that of the stream."""
        ended, still_open = self.loop.create_future(), [0]

        def settle():
            if not ended.done():
                ended.set_result(None)

        def closed(_):
            still_open[0] -= 1
            if len(data) >= size:
                settle()
            elif still_open[0] == 0:
                # Another one may be about to open.
                self.loop.call_later(LAST, lambda: still_open[0] or settle())

        def connected(_):
            still_open[0] += 1

        self.add_event_handler("socks5_stream", self.say_socket)
        self.add_event_handler("socks5_connected", connected)
        self.add_event_handler("socks5_data", data.extend)
        self.add_event_handler("socks5_closed", closed)
        return ended

    def say_socket(self, stream):
        host, port = stream.transport.get_extra_info("peername")[:2]
        proxy = self.options.proxy.partition("=")[2] == f"{host}:{port}"
        say("transport", transport="socks5-proxy" if proxy else "socks5-direct")


def form(si, kind):
    """A field for the method within a form."""
    feature = ET.SubElement(si, f"{{{NEGOTIATION}}}feature")
    x = ET.SubElement(feature, f"{{{FORM}}}x", type=kind)
    more = {"type": "list-single"} if kind == "form" else {}
    return ET.SubElement(x, f"{{{FORM}}}field", var="stream-method", **more)


def parse():
    parser = argparse.ArgumentParser()
    parser.add_argument("role", choices=("send", "receive"))
    for name in ("jid", "password", "server", "ca", "proxy", "to", "file", "into"):
        parser.add_argument(f"--{name}", default="")
    parser.add_argument("--transport", choices=("ibb", "socks5-direct", "socks5-proxy"), required=True)
    parser.add_argument("--deadline", type=int, default=DEADLINE)
    parser.add_argument("--contact", action="store_true")
    parser.add_argument("--verbose", action="store_true")
    return parser.parse_args()


async def transfer(options):
    driver = Driver(options)
    host, _, port = options.server.rpartition(":")
    driver.connect(host, int(port))
    try:
        data = await asyncio.wait_for(asyncio.shield(driver.outcome), options.deadline)
        say("done", bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
        return 0
    except asyncio.TimeoutError:
        say("failed", why="the deadline passed")
    except Exception as why:
        say("failed", why=f"{type(why).__name__}: {why}")
    finally:
        await driver.disconnect()
    return 1


if __name__ == "__main__":
    options = parse()
    logging.basicConfig(level=logging.DEBUG if options.verbose else logging.CRITICAL)
    sys.exit(asyncio.run(transfer(options)))
