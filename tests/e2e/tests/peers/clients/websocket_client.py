"""A WebSocket client's whole life, by Python's websockets."""

import asyncio
import os
import ssl
import sys

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

CONVERSATIONS = 10


async def one(host, address, port, tls, number):
    url = f"wss://{host}/socket"
    # No pings beside ours: a busy machine answers late.
    options = {"host": address, "port": int(port), "ssl": tls, "server_hostname": host}
    options |= {"ping_interval": None, "open_timeout": 60}
    async with connect(url, max_size=2**24, **options) as socket:
        for message in ["", "text", "ümlaut", f"number {number}", b"\x00\xff", os.urandom(300_000)]:
            await socket.send(message)
            heard = await socket.recv()
            assert heard == message, f"{message[:20]!r} became {heard[:20]!r}"
        # In pieces, and many at once before any is heard.
        await socket.send(["a", "b", "c"])
        assert await socket.recv() == "abc"
        for turn in range(100):
            await socket.send(str(turn))
        assert [await socket.recv() for _ in range(100)] == [str(turn) for turn in range(100)]
        await asyncio.wait_for(await socket.ping(), 60)
        if number % 2:
            await socket.close(4002, "enough")
            assert socket.close_code == 4002, socket.close_code
            return
        await socket.send("leave")
        try:
            while True:
                await socket.recv()
        except ConnectionClosed as closed:
            assert (closed.rcvd.code, closed.rcvd.reason) == (4001, "as you say"), closed


async def main(host, address, port, roots):
    tls = ssl.create_default_context(cafile=roots)
    await asyncio.gather(*(one(host, address, port, tls, number) for number in range(CONVERSATIONS)))
    print(f"{CONVERSATIONS} conversations held")


asyncio.run(main(*sys.argv[1:]))
