"""Where our own broker listens: without TLS for this machine, with TLS for devices elsewhere. Pure."""

from typing import NamedTuple

from hub.settings.site import MqttBrokerLink

TLS_PORT = 8883  # IANA: secure-mqtt


class Address(NamedTuple):
    """A host and a port to listen on."""

    host: str
    port: int

    def __str__(self) -> str:
        """As the site file has it."""
        return f"{self.host}:{self.port}"


class Listeners(NamedTuple):
    """`plain`: without TLS; the hub itself comes by it. `secure`: with TLS; None where nobody is to come so."""

    plain: Address
    secure: Address | None

    @property
    def all(self) -> tuple[Address, ...]:
        """One or both."""
        return (self.plain,) if self.secure is None else (self.plain, self.secure)

    @property
    def best(self) -> Address:
        """What devices are told."""
        return self.secure or self.plain


def listeners(link: MqttBrokerLink) -> Listeners:
    """Of a link without `url` that the site file's door let through."""
    plain = address(link.listen)
    if link.listen_tls:
        return Listeners(plain, address(link.listen_tls))
    return Listeners(plain, None if is_loopback(plain.host) else Address(plain.host, TLS_PORT))


def address(text: str) -> Address:
    """HOST:PORT, as the door let it through."""
    host, _, port = text.rpartition(":")
    return Address(host, int(port))


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach it."""
    return host in ("localhost", "::1") or host.startswith("127.")


def is_everywhere(host: str) -> bool:
    """Whether it is every address of this machine, and so none that a device could be told."""
    return host in ("0.0.0.0", "::")  # noqa: S104  # only compared
