"""A wire with a delay: hand TCP connections on to a port of this machine, each byte half a round trip later.

    python -m benchmarks.delaying PORT ROUND_TRIP_MS      prints the port on which it listens

It delays, and limits nothing: no loss, no slow start beyond loopback's own.
"""

import asyncio
import socket
import sys
import time
from contextlib import suppress

CHUNK = 256 << 10


async def hand_on(reader, writer, delay):
    """Send on what comes, in order, each chunk after the delay."""
    chunks = asyncio.Queue()

    async def send():
        while (item := await chunks.get()) is not None:
            due, data = item
            if (wait := due - time.monotonic()) > 0:
                await asyncio.sleep(wait)
            writer.write(data)
            await writer.drain()
        with suppress(OSError):
            writer.write_eof()

    sending = asyncio.create_task(send())
    with suppress(OSError):
        while data := await reader.read(CHUNK):
            chunks.put_nowait((time.monotonic() + delay, data))
    chunks.put_nowait(None)
    with suppress(OSError):
        await sending
    writer.close()


async def serve(port, delay):
    async def accept(reader, writer):
        await asyncio.sleep(2 * delay)  # the handshake of TCP takes a round trip
        other_reader, other_writer = await asyncio.open_connection("127.0.0.1", port)
        for one in (writer, other_writer):
            one.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await asyncio.gather(hand_on(reader, other_writer, delay), hand_on(other_reader, writer, delay))

    server = await asyncio.start_server(accept, "127.0.0.1", 0, limit=4 * CHUNK)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), float(sys.argv[2]) / 2000))
