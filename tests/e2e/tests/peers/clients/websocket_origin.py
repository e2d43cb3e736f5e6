"""Says back what it is told, over WebSocket."""

import asyncio
import sys

from websockets.asyncio.server import serve


async def echo(socket):
    async for message in socket:
        if message == "leave":
            await socket.close(4001, "as you say")
        await socket.send(message)


def plain(connection, request):
    """Whoever does not ask for a WebSocket hears so."""
    if "Upgrade" not in request.headers:
        return connection.respond(200, "a WebSocket is here\n")
    return None


async def main(ip, port):
    options = {"process_request": plain, "max_size": 2**24, "ping_interval": None}
    async with serve(echo, ip, int(port), **options) as server:
        await server.serve_forever()


asyncio.run(main(*sys.argv[1:]))
