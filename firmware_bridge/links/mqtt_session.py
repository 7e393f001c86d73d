"""The MQTT link of the hub: a persistent MQTT 5 session with the site's broker, healed for ever.

Asking for the next list says that the last one is durable: only then are its QoS 1 messages acknowledged, in order, and
only on the connection that brought them (packet ids begin anew after a broker's restart). Bytes only, no decoding.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterable
from contextlib import suppress
from typing import Self
from urllib.parse import urlsplit

import msgspec

from firmware_bridge.links.backoff import Backoff
from firmware_bridge.links.broker_count import dropped
from firmware_bridge.links.mqtt_routes import Routes
from firmware_bridge.links.mqtt_wire import Connection, ConnectionLost, Hello
from firmware_bridge.links.tap import Tap
from firmware_bridge.raw import Action, Arrival, Publish, SendError, Trouble
from hub.clock import Clock
from hub.reading import FaultKind, LinkChange, LinkState
from hub.settings.site import Device, MqttBrokerLink

SESSION_EXPIRY_S = 14 * 24 * 3600  # a fortnight: a hub may be away so long without loss, if the broker's disk allows
KEEP_ALIVE_S = 10.0
ANSWER_S = 5.0  # so long may a broker take to confirm what we publish
STEADY_S = 5.0  # a connection that lived so long was a good one: begin the back-off anew
_NOBODY_LISTENS = 0x10  # MQTT 5, 3.4.2.1


class MqttSession:
    """One broker, many devices. It lives in the caller's loop; iterating is what keeps it going."""

    def __init__(
        self,
        link: MqttBrokerLink,
        devices: Iterable[Device],
        site_id: str,
        clock: Clock,
        *,
        url: str,
        username: str = "",
        password: str = "",
        client_id: str,
        keep_alive: float = KEEP_ALIVE_S,
        session_expiry: int = SESSION_EXPIRY_S,
        house: bool = True,
        elsewhere: Iterable[Device] = (),
    ) -> None:
        """`url`: mqtt://host:port or mqtts://host:port. Raises ValueError when it is not one. The rest: see Routes."""
        self.id = link.id
        self._link, self._clock = link, clock
        self._host, self._port, self._tls = _address(url)
        self._hello = Hello(
            client_id=client_id,
            username=username,
            password=password,
            keep_alive=keep_alive,
            session_expiry=session_expiry,
        )
        self._site_id, self._house = site_id, house
        self._routes = Routes(devices, site_id, house=house, elsewhere=elsewhere)
        self._held: set[str] = set()  # filters that the session at the broker has
        self._carrying: asyncio.Task[None] | None = None
        self._backoff = Backoff(0.5, 10.0)
        self._news: list[Arrival | LinkChange] = []
        self._wake, self._taken = asyncio.Event(), asyncio.Event()
        self._connection: Connection | None = None
        self._unacknowledged: tuple[Connection, list[int]] | None = None
        self._down_because: str | None = None
        self._task: asyncio.Task[None] | None = None
        self._closed = self._on_hold = False
        self.tap = Tap(link.id)

    async def __aenter__(self) -> Self:
        """Start connecting; the broker need not be there yet."""
        self._task = asyncio.create_task(self._live(), name=f"mqtt {self.id}")
        self._task.add_done_callback(lambda _: self._wake.set())
        return self

    async def __aexit__(self, *_: object) -> None:
        """Disconnect; the broker keeps the session, with everything that was not acknowledged."""
        self._closed = True
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        if self._connection is not None:
            await self._connection.close()
        self._wake.set()

    def __aiter__(self) -> AsyncIterator[list[Arrival | LinkChange]]:
        """Lists of all that is there at once, at most 1,000 messages each."""
        return self

    async def __anext__(self) -> list[Arrival | LinkChange]:
        """The last list is durable (unless it is held); wait for the next one."""
        while not self._closed:
            self._wake.clear()
            news: list[Arrival | LinkChange]
            if self._on_hold:
                news = [item for item in self._news if isinstance(item, LinkChange)]
                self._news = [item for item in self._news if not isinstance(item, LinkChange)]
            else:
                self._acknowledge()
                news = self._news + self._received()
                self._news = []
            self._taken.set()
            if news:
                self.tap.arrived(news)
                return news
            if self._task is not None and self._task.done():
                self._task.result()  # it never ends by itself: let its exception out
            await self._wake.wait()
        raise StopAsyncIteration

    def hold(self, held: bool) -> None:
        """Held: the last list is not durable yet, and only how the link is, is told. Else all goes on."""
        self._on_hold = held
        self._wake.set()

    def carry(self, devices: Iterable[Device], elsewhere: Iterable[Device] = ()) -> None:
        """Subscribe to what is new and leave what is gone, on the same connection; others do not notice."""
        self._routes = Routes(devices, self._site_id, house=self._house, elsewhere=elsewhere)
        if self._connection is not None and not self._connection.ended.done():
            self._carrying = asyncio.create_task(self._resubscribe(self._connection), name=f"mqtt {self.id} filters")

    async def send(self, device: str, action: Action) -> None:
        """Publish at QoS 1, and wait for the broker's word. Never queued: without a connection it fails at once."""
        if not isinstance(action, Publish):
            raise TypeError(f"an MQTT link publishes, it cannot do {type(action).__name__}")
        connection = self._connection
        if connection is None or connection.ended.done():
            raise SendError(FaultKind.LINK_DOWN, self._down_because or "not connected yet")
        if connection.busy:
            raise SendError(FaultKind.BUSY, "the broker has not confirmed the messages before this one")
        try:
            async with asyncio.timeout(ANSWER_S):
                code = await connection.publish(
                    action.topic, action.payload, expires_s=action.expires_s, retain=action.retain
                )
        except TimeoutError:
            raise SendError(FaultKind.NO_ANSWER, f"the broker did not confirm within {ANSWER_S:.0f} s") from None
        except ConnectionLost as error:
            raise SendError(FaultKind.NO_ANSWER, f"{error}, before the broker confirmed") from None
        except ValueError as error:
            raise SendError(FaultKind.MALFORMED, f"cannot be published: {error}") from None
        _judge(code, device, action)
        if self.tap:
            self.tap.ordered(device, action, self._clock.now())

    async def dropped(self) -> int | None:
        """How many messages the broker says that it has thrown away; None: not known."""
        tls = await asyncio.to_thread(_tls_context, self._link) if self._tls else None
        visitor = msgspec.structs.replace(self._hello, client_id=f"{self._hello.client_id}-count", session_expiry=0)
        return await dropped(self._host, self._port, tls, visitor, self._clock.now)

    # --- the connection's life ------------------------------------------------------------------------------------

    async def _live(self) -> None:
        while True:
            self._down(await self._one_connection())
            self._taken.clear()
            await self._taken.wait()  # nobody reads: do not pile up news of a broker that comes and goes
            await self._clock.sleep(self._backoff.next())

    async def _one_connection(self) -> str:
        """Connect, listen until the connection is lost; says why."""
        loop = asyncio.get_running_loop()
        connection = Connection(self._hello, self._clock.now, self._wake.set)
        try:
            await self._open(connection)
            began = loop.time()
            why = await asyncio.shield(connection.ended)
            if loop.time() - began >= STEADY_S:
                self._backoff.reset()
        except (ConnectionLost, OSError) as error:
            why = _in_words(error, self._hello.keep_alive)
        finally:
            if not self._closed:
                self._news += [] if self._on_hold else self._received()  # held: the broker brings them again
                self._connection = None
            if self._connection is not connection:
                connection.end("given up")
        return f"{self._host}:{self._port}: {why}"

    async def _open(self, connection: Connection) -> None:
        tls = await asyncio.to_thread(_tls_context, self._link) if self._tls else None
        async with asyncio.timeout(self._hello.keep_alive):
            present = await connection.open(self._host, self._port, tls)
            self._connection = connection
            if not present:
                self._held.clear()
            refused = await self._subscribe(connection)
        self._up("the session was resumed" if present else "a new session")
        self._refused(refused)

    async def _subscribe(self, connection: Connection) -> list[str]:
        """To what the devices need and the session lacks, and from what nobody needs; which filters were refused."""
        refused: list[str] = []
        while missing := [each for each in self._routes.filters if each not in self._held]:
            granted = await connection.subscribe(missing)
            self._held.update(missing)
            refused += [each for each, good in zip(missing, granted, strict=True) if not good]
        if needless := sorted(self._held.difference(self._routes.filters)):
            await connection.unsubscribe(needless)
            self._held.difference_update(needless)
        return refused

    async def _resubscribe(self, connection: Connection) -> None:
        with suppress(ConnectionLost):  # then the next connection does it
            self._refused(await self._subscribe(connection))
            self._wake.set()

    def _up(self, detail: str) -> None:
        self._down_because = None
        change = LinkChange(
            link=self.id,
            state=LinkState.UP,
            detail=f"{self._host}:{self._port}: connected, {detail}",
            rx=self._clock.now(),
        )
        self._news.append(change)
        self._wake.set()

    def _down(self, why: str) -> None:
        """Say it once, and again only when the reason is another one."""
        if why != self._down_because:
            self._down_because = why
            self._news.append(LinkChange(link=self.id, state=LinkState.DOWN, detail=why, rx=self._clock.now()))
        self._wake.set()

    def _refused(self, filters: list[str]) -> None:
        rx = self._clock.now()
        for pattern in filters:
            trouble = Trouble(FaultKind.REFUSED, f"the broker does not let us subscribe to {pattern}")
            self._news += [Arrival(device, trouble, rx) for device in self._routes.behind(pattern)]

    # --- messages -------------------------------------------------------------------------------------------------

    def _received(self) -> list[Arrival | LinkChange]:
        """What the connection has; remembers what to acknowledge once it is durable."""
        if self._connection is None:
            return []
        deliveries = self._connection.take()
        packet_ids = [delivery.packet_id for delivery in deliveries if delivery.packet_id]
        if packet_ids:
            self._unacknowledged = (self._connection, packet_ids)
        return [*self._routes.arrivals(self._hello.client_id, deliveries)]  # packet ids are the session's own

    def _acknowledge(self) -> None:
        """Only on the connection that brought them: another one gives the same ids to other messages."""
        if self._unacknowledged is not None:
            connection, packet_ids = self._unacknowledged
            self._unacknowledged = None
            if connection is self._connection:
                connection.acknowledge(packet_ids)


def _judge(code: int, device: str, action: Publish) -> None:
    if code >= 0x80:
        raise SendError(FaultKind.REFUSED, f"the broker refuses to pass on {action.topic} (MQTT reason 0x{code:02x})")
    if code == _NOBODY_LISTENS and device and not action.retain:
        raise SendError(FaultKind.OFFLINE, f"nobody listens to {action.topic}")


def _address(url: str) -> tuple[str, int, bool]:
    parts = urlsplit(url)
    if parts.scheme not in ("mqtt", "mqtts") or not parts.hostname:
        raise ValueError(f"{url!r} is not mqtt://host:port or mqtts://host:port")
    tls = parts.scheme == "mqtts"
    return parts.hostname, parts.port or (8883 if tls else 1883), tls


def _tls_context(link: MqttBrokerLink) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=link.ca_file or None)
    if link.certificate_file:
        context.load_cert_chain(link.certificate_file, link.key_file or None)
    return context


def tls_of(link: MqttBrokerLink) -> tuple[str, int, ssl.SSLContext | None]:
    """Host, port and (where it is spoken) the TLS of a link's broker. Reads files. Raises ValueError, OSError."""
    host, port, tls = _address(link.url or f"mqtt://{link.listen}")
    return host, port, _tls_context(link) if tls else None


def _in_words(error: Exception, patience: float) -> str:
    match error:
        case ConnectionRefusedError():
            return "connection refused: is the broker running?"
        case ssl.SSLCertVerificationError():
            return f"the broker's certificate is not good: {error.verify_message}"
        case ssl.SSLError():
            return f"TLS: {error.reason or error}"
        case TimeoutError():
            return f"no answer from the broker within {patience:.0f} s"
        case OSError(strerror=str() as words):
            return f"{words}: {error.filename}" if error.filename else words
    return "connection refused: is the broker running?" if "Errno 111" in str(error) else str(error)
