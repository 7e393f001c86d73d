"""How many messages a broker says that it has thrown away: its own count, for nobody else can know of them.

A visit of a moment, with a session that leaves nothing behind. What a rising count means is the hub's business.
"""

import asyncio
import ssl
from collections.abc import Callable

from firmware_bridge.links.mqtt_wire import Connection, ConnectionLost, Hello

TOPIC = "$SYS/broker/publish/messages/dropped"  # mosquitto, mosquitto(8); EMQX and others have no such topic
PATIENCE_S = 3.0


async def dropped(host: str, port: int, tls: ssl.SSLContext | None, hello: Hello, now: Callable[[], int]) -> int | None:
    """Since the broker's start; None: it does not say, or cannot be reached now."""
    came = asyncio.Event()
    connection = Connection(hello, now, came.set)
    try:
        async with asyncio.timeout(PATIENCE_S):
            await connection.open(host, port, tls)
            if not all(await connection.subscribe([TOPIC])):
                return None
            while True:
                for delivery in connection.take():
                    return int(delivery.payload)
                await came.wait()
                came.clear()
    except (ConnectionLost, OSError, TimeoutError, ValueError):
        return None
    finally:
        await connection.close()
