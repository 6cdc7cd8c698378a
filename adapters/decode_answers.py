"""Takes the answers of a decode child off its socket, and believes little of them.

Used by `adapters/decode_server.py`.
"""

import asyncio
import socket

import msgspec

from adapters.decode_orders import MAX_PICTURE_BYTES, Report, begins_as
from adapters.decode_verdict import FRAME_LENGTH_BYTES
from application.ports import Refused
from application.rendering import Order, Picture, Rendered

REPORT_BYTES = 65_536
MAX_SIDE = 4096
"""Of a picture that was made; presets are smaller."""


async def hear_report(child: socket.socket, order: Order) -> Rendered | Refused | None:
    """The pictures a child has made, in the order they were asked for."""
    try:
        report = msgspec.msgpack.decode(await receive_frame(child, REPORT_BYTES), type=Report)
    except msgspec.MsgspecError:
        return None
    if report.reason is not None:
        return Refused(report.reason, report.detail)
    if [made.name for made in report.pictures] != [wanted.name for wanted in order.pictures]:
        return None
    pictures = []
    for made in report.pictures:
        sizes_are_possible = 0 < made.width <= MAX_SIDE and 0 < made.height <= MAX_SIDE
        if not sizes_are_possible or not 0 < made.bytes <= MAX_PICTURE_BYTES:
            return None
        body = await receive(child, made.bytes)
        if not begins_as(body, made.format):
            return None
        pictures.append(
            Picture(
                name=made.name, format=made.format, width=made.width, height=made.height, body=body
            )
        )
    return Rendered(
        facts=report.facts if order.facts else None,
        pictures=tuple(pictures),
        at_ms=report.at_ms,
    )


async def receive_frame(connection: socket.socket, most: int) -> bytes:
    """One message. Raises ConnectionError."""
    length = int.from_bytes(await receive(connection, FRAME_LENGTH_BYTES), "big")
    if length > most:
        raise ConnectionError("the answer is longer than any can be")
    return await receive(connection, length)


async def receive(connection: socket.socket, size: int) -> bytes:
    """So many bytes. Raises ConnectionError."""
    loop = asyncio.get_running_loop()
    parts = bytearray()
    while len(parts) < size:
        part = await loop.sock_recv(connection, size - len(parts))
        if not part:
            raise ConnectionError("the child is gone")
        parts += part
    return bytes(parts)
