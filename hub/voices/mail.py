"""The voice that writes mail: SMTP with verified TLS, a login where there is one, and each answer's own class.

RFC 5321, 4.2.1: a 4yz answer may pass, a 5yz one will not. The Message-ID is made from the announcement's id, so that a
mailbox can drop the repeat.
"""

import asyncio
import contextlib
import smtplib
import socket
import ssl
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime

from hub.clock import Clock
from hub.settings.site_voice import MailSpec
from hub.speaking.budget import Limit
from hub.voices import Announcement, Person, Said, VoiceError, Why, robot
from hub.voices.text import compose, headline

WAIT_S = 10.0  # for one answer
TOTAL_S = 40.0
MOST_BYTES = 60_000
MOST_SUBJECT = 200
LIMIT = Limit(20, 60.0)  # our own: a mailbox is no pager
PORTS = {"ssl": 465, "starttls": 587, "none": 25}


class MailVoice:
    """One message to all receivers, by one connection."""

    def __init__(self, spec: MailSpec, clock: Clock) -> None:
        """The password is read at each use. Two threads, for P1 and for the rest, that no other work needs."""
        self._spec, self._clock = spec, clock
        self._threads = ThreadPoolExecutor(2, "mail")
        self.limits: tuple[Limit, ...] = (LIMIT,) if spec.per_minute is None else (Limit(spec.per_minute, 60.0),)

    def keys(self, person: Person | None) -> tuple[str, ...]:
        """The sender."""
        return (f"mail:{self._spec.host}:{self._spec.sender}",)

    async def say(self, announcement: Announcement, person: Person | None = None) -> Said:
        """Accepted when the server took the message for one receiver at least."""
        to = self._spec.to if person is None else (person.mail,) if person.mail else ()
        if not to:
            raise VoiceError("nobody to write to: no mail address", Why.UNFIT)
        password = robot.secret(self._spec.password_file) if self._spec.password_file else ""
        message, line = self._message(announcement, to), _Line()
        working = asyncio.get_running_loop().run_in_executor(self._threads, self._send, message, to, password, line)
        try:
            async with asyncio.timeout(TOTAL_S):
                return await asyncio.shield(working)
        except TimeoutError:
            raise VoiceError(f"{self._spec.host}: no end within {TOTAL_S:.0f} s") from None
        finally:
            line.cut()
            working.add_done_callback(lambda done: done.cancelled() or done.exception())  # nobody asks for it any more

    def _message(self, announcement: Announcement, to: tuple[str, ...]) -> EmailMessage:
        message = EmailMessage()
        message["Subject"] = headline(announcement, self._spec.languages[0], MOST_SUBJECT)
        message["From"], message["To"] = self._spec.sender, ", ".join(to)
        message["Date"] = format_datetime(datetime.fromtimestamp(self._clock.now() / 1000, UTC))
        message["Message-ID"] = f"<{announcement.id}@zhian.{announcement.site}>"
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no holiday notes, please
        message.set_content(compose(announcement, self._spec.languages, MOST_BYTES))
        return message

    def _send(self, message: EmailMessage, to: tuple[str, ...], password: str, line: "_Line") -> Said:
        try:
            with line.open(self._spec) as server:
                if self._spec.security == "starttls":
                    server.starttls(context=_context(self._spec))
                if self._spec.username:
                    server.login(self._spec.username, password)
                missed = server.send_message(message, self._spec.sender, list(to))
        except smtplib.SMTPException as error:
            raise _refusal(self._spec.host, error) from None
        except ssl.SSLCertVerificationError as error:
            words = f"{self._spec.host}: its certificate is not to be trusted: {error.verify_message}"
            raise VoiceError(words, Why.LOCKED) from None
        except (OSError, ValueError) as error:
            raise VoiceError(f"{self._spec.host}: {error}") from None
        return Said(f"taken for {len(to) - len(missed)} of {len(to)}")


class _Line:
    """One connection, which another thread may cut: a server that trickles keeps a socket's own patience alive."""

    def __init__(self) -> None:
        self._server: smtplib.SMTP | None = None
        self._over = False

    def open(self, spec: MailSpec) -> smtplib.SMTP:
        """Connected, and greeted."""
        port = spec.port or PORTS[spec.security]
        if spec.security == "ssl":
            self._server = smtplib.SMTP_SSL(timeout=WAIT_S, context=_context(spec))
        else:
            self._server = smtplib.SMTP(timeout=WAIT_S)
        self._server._host = spec.host  # type: ignore[attr-defined]  # what the constructor would set, for the certificate
        code, words = self._server.connect(spec.host, port)
        if self._over or code != 220:
            self._server.close()
            raise OSError("it answered too late") if self._over else smtplib.SMTPConnectError(code, words)
        return self._server

    def cut(self) -> None:
        """End whatever is being waited for."""
        self._over = True
        if self._server is not None and self._server.sock is not None:
            with contextlib.suppress(OSError):
                self._server.sock.shutdown(socket.SHUT_RDWR)


def _context(spec: MailSpec) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=spec.ca_file or None)


def _refusal(host: str, error: smtplib.SMTPException) -> VoiceError:
    """The class of an SMTP error."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        codes = [code for code, _ in error.recipients.values()]
        words = "; ".join(f"{code} {_text(said)}" for code, said in error.recipients.values())
        passing = any(400 <= code < 500 for code in codes)
        return VoiceError(f"{host}: {words}", Why.TROUBLE if passing else Why.REFUSED)
    if isinstance(error, smtplib.SMTPNotSupportedError):
        return VoiceError(f"{host}: {error}", Why.LOCKED)
    if not isinstance(error, smtplib.SMTPResponseException):
        return VoiceError(f"{host}: {error}")
    words = f"{host}: {error.smtp_code} {_text(error.smtp_error)}"
    if not 500 <= error.smtp_code < 600:
        return VoiceError(words)
    locked = isinstance(error, smtplib.SMTPAuthenticationError | smtplib.SMTPSenderRefused | smtplib.SMTPConnectError)
    return VoiceError(words, Why.LOCKED if locked or error.smtp_code in (530, 534, 535, 538) else Why.REFUSED)


def _text(said: bytes | str) -> str:
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
    return " ".join(text.split())[:200]
