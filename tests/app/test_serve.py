"""The port of the service, taken before anything is opened."""

import asyncio
import socket

import pytest

from app.errors import SettingsError
from app.serve import open_listener


def test_connections_send_small_answers_without_delay():
    async def read_option(listener):
        told = asyncio.get_running_loop().create_future()

        def note(_reader, writer):
            wire = writer.get_extra_info("socket")
            told.set_result(wire.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        server = await asyncio.start_server(note, sock=listener)
        async with server:
            _, writer = await asyncio.open_connection(*listener.getsockname())
            option = await told
            writer.close()
            await writer.wait_closed()
        return option

    option = asyncio.run(read_option(open_listener("127.0.0.1", 0)))

    assert option == 1


def test_a_port_that_is_taken_is_told_before_anything_is_opened():
    with socket.create_server(("127.0.0.1", 0)) as other, pytest.raises(SettingsError):
        open_listener("127.0.0.1", other.getsockname()[1])
