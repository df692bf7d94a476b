"""A reverse proxy as people put one before a studio: takes a prefix off, passes Host on, says how it was asked."""

import asyncio
import contextlib
import threading
from collections.abc import Iterator

ROUNDS = 4  # of ending what is left


class Proxy:
    """One connection for each request, so that whatever streams through it needs no understanding."""

    def __init__(self, port: int, prefix: str, proto: str) -> None:
        self._port, self._prefix, self._proto = port, prefix.encode(), proto.encode()
        self._taken: set[asyncio.Task[None] | None] = set()  # a loop itself holds tasks by weak references only

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection."""
        task = asyncio.current_task()
        self._taken.add(task)
        try:
            await self._passed_on(reader, writer)
        finally:
            self._taken.discard(task)

    async def _passed_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError), contextlib.closing(writer):
            head = await reader.readuntil(b"\r\n\r\n")
            first, *lines = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
            method, path, version = first.split(b" ")
            if not path.startswith(self._prefix + b"/"):
                writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                return
            kept = [line for line in lines if not line.lower().startswith((b"connection:", b"x-forwarded-"))]
            asked = b" ".join((method, path.removeprefix(self._prefix), version))
            sent = [asked, *kept, b"X-Forwarded-Proto: " + self._proto, b"Connection: close", b"", b""]
            behind_reader, behind_writer = await asyncio.open_connection("127.0.0.1", self._port)
            with contextlib.closing(behind_writer):
                behind_writer.write(b"\r\n".join(sent))
                forth = asyncio.ensure_future(_pour(reader, behind_writer))
                try:
                    await _pour(behind_reader, writer)
                finally:
                    forth.cancel()


async def _pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while piece := await reader.read(65_536):
        writer.write(piece)
        await writer.drain()


@contextlib.contextmanager
def proxied(address: str, prefix: str, proto: str = "http") -> Iterator[str]:
    """Stand before the server at `address`; gives the proxy's own address, prefix included."""
    loop, proxy = asyncio.new_event_loop(), Proxy(int(address.rsplit(":", 1)[1]), prefix, proto)
    server = loop.run_until_complete(asyncio.start_server(proxy.take, "127.0.0.1", 0))
    port = server.sockets[0].getsockname()[1]
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{port}{prefix}"
    finally:
        asyncio.run_coroutine_threadsafe(_end(server), loop).result(timeout=10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _end(server: asyncio.Server) -> None:
    server.close()
    mine = asyncio.current_task()
    for _ in range(ROUNDS):  # what was accepted just before becomes a task in the next one
        left = [task for task in asyncio.all_tasks() if task is not mine]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        await asyncio.sleep(0.02)  # closed transports let go of their sockets in the next one, too
