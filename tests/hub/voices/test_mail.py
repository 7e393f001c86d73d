"""Mail by SMTP: what arrives, over verified TLS only, and the class of each answer."""

import asyncio
import contextlib
import email
import email.policy
import ssl
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Self

import pytest
from msgspec.structs import replace

from hub.clock import Clock
from hub.settings.site_voice import MailSpec
from hub.voices import Announcement, Person, VoiceError, Why, mail
from hub.voices.mail import MailVoice

Keep = Callable[[str, str], str]


class Post:
    """A mail server. `says` replaces an answer: verb (and argument) -> line; "hang", "reset" and "trickle" act."""

    def __init__(self, context: ssl.SSLContext) -> None:
        """Not yet listening."""
        self.says: dict[str, str] = {}
        self.heard: list[str] = []
        self.messages: list[bytes] = []
        self.port = 0
        self._context = context
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: list[asyncio.StreamWriter] = []

    @contextlib.asynccontextmanager
    async def listening(self, *, tls: bool) -> AsyncIterator[Self]:
        """`tls` from the first byte."""
        listener = await asyncio.start_server(self._connected, "127.0.0.1", 0, ssl=self._context if tls else None)
        self.port = listener.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            listener.close()
            for writer in self._writers:
                writer.transport.abort()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        self._tasks.add(asyncio.get_running_loop().create_task(self._talk(reader, writer)))

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await self._say(writer, "greeting", "220 post ready")
            while text := (await reader.readline()).decode().strip():
                verb = text.split()[0].upper()
                self.heard.append(text)
                if verb == "EHLO":
                    secured = writer.get_extra_info("ssl_object") is not None
                    await self._say(writer, verb, f"250-post\r\n250 {'AUTH PLAIN LOGIN' if secured else 'STARTTLS'}")
                elif verb == "STARTTLS":
                    await self._say(writer, verb, "220 go ahead")
                    await writer.start_tls(self._context)
                elif verb == "DATA":
                    await self._take(reader, writer)
                else:
                    usual = {"AUTH": "235 welcome", "QUIT": "221 bye"}.get(verb, "250 OK")
                    await self._say(writer, text if text in self.says else verb, usual)
        writer.close()

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._say(writer, "DATA", "354 end with a dot")
        if "DATA" in self.says:
            return
        self.messages.append((await reader.readuntil(b"\r\n.\r\n")).removesuffix(b".\r\n"))
        await self._say(writer, "end", "250 queued as 17")

    async def _say(self, writer: asyncio.StreamWriter, verb: str, usual: str) -> None:
        said = self.says.get(verb, usual)
        if said == "reset":
            writer.transport.abort()
            raise ConnectionResetError
        if said == "hang":
            await asyncio.Event().wait()
        while said == "trickle":
            writer.write(b"250-more\r\n")
            await writer.drain()
            await asyncio.sleep(0.02)
        writer.write(said.encode() + b"\r\n")
        await writer.drain()


@pytest.fixture
def context(certificate: tuple[Path, Path]) -> ssl.SSLContext:
    """The server's."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(*certificate)
    return made


@pytest.fixture(params=["ssl", "starttls"])
async def post(request: pytest.FixtureRequest, context: ssl.SSLContext) -> AsyncIterator[tuple[Post, str]]:
    """A server, and by which security it is reached."""
    async with Post(context).listening(tls=request.param == "ssl") as server:
        yield server, request.param


@pytest.fixture
async def plain(context: ssl.SSLContext) -> AsyncIterator[Post]:
    """A server that needs no TLS."""
    async with Post(context).listening(tls=False) as server:
        yield server


@pytest.fixture
def voice(post: tuple[Post, str], certificate: tuple[Path, Path], kept: Keep, clock: Clock) -> MailVoice:
    """With a login, to two receivers."""
    server, security = post
    spec = MailSpec(
        id="m", host="127.0.0.1", port=server.port, security="ssl" if security == "ssl" else "starttls",
        username="zhian", password_file=kept("password", "verysecret"), sender="alarm@garden.example",
        to=("guard@garden.example", "office@garden.example"), languages=("zh", "en"), ca_file=str(certificate[0]),
    )  # fmt: skip
    return MailVoice(spec, clock)


def open_spec(server: Post) -> MailSpec:
    """No TLS, no login: a relay on the site's own network."""
    return MailSpec(
        id="m", host="127.0.0.1", port=server.port, security="none", sender="alarm@garden.example",
        to=("guard@garden.example", "office@garden.example"),
    )  # fmt: skip


async def test_a_message_arrives_whole(post: tuple[Post, str], voice: MailVoice, said: Announcement) -> None:
    """Login over TLS, subject and text in Chinese, and a Message-ID that is the same when it is sent again."""
    answer = await voice.say(said)
    await voice.say(said)

    server, _ = post
    first, second = (email.message_from_bytes(text, policy=email.policy.default) for text in server.messages)
    assert answer.detail == "taken for 2 of 2"
    assert any(line.startswith("AUTH") for line in server.heard)
    assert first["Subject"] == "【P1 告警】水边有人 · 景观湖 · 湖边雷达"
    assert first["Message-ID"] == second["Message-ID"] == "<garden-7-raised@zhian.garden>"
    assert first["To"] == "guard@garden.example, office@garden.example"
    assert "处置：立即派人到现场。" in first.get_content()
    assert "To do: Send somebody at once." in first.get_content()


async def test_a_certificate_that_nobody_vouches_for_locks(
    post: tuple[Post, str], voice: MailVoice, said: Announcement
) -> None:
    """The password is never shown to a stranger."""
    stranger = MailVoice(replace(voice._spec, ca_file=""), voice._clock)

    with pytest.raises(VoiceError, match="certificate") as error:
        await stranger.say(said)

    assert error.value.why is Why.LOCKED
    assert not any(line.startswith("AUTH") for line in post[0].heard)


async def test_no_starttls_no_password(plain: Post, voice: MailVoice, said: Announcement) -> None:
    """A server (or who stands before it) that hides STARTTLS gets nothing."""
    plain.says["EHLO"] = "250 post"
    spec = replace(voice._spec, port=plain.port, security="starttls")

    with pytest.raises(VoiceError) as error:
        await MailVoice(spec, voice._clock).say(said)

    assert error.value.why is Why.LOCKED
    assert [line.split()[0] for line in plain.heard][-1] != "AUTH"
    assert plain.messages == []


@pytest.mark.parametrize(
    ("verb", "line", "why"),
    [
        ("greeting", "421 too many connections", Why.TROUBLE),
        ("greeting", "554 no service for you", Why.LOCKED),
        ("MAIL", "451 try again", Why.TROUBLE),
        ("MAIL", "553 sender not allowed", Why.LOCKED),
        ("RCPT", "450 mailbox busy", Why.TROUBLE),
        ("RCPT", "550 no such user", Why.REFUSED),
        ("DATA", "452 full", Why.TROUBLE),
        ("end", "554 looks like spam", Why.REFUSED),
        ("end", "451 later", Why.TROUBLE),
        ("end", "reset", Why.TROUBLE),
    ],
)
async def test_each_answer_has_its_class(
    plain: Post, said: Announcement, clock: Clock, verb: str, line: str, why: Why
) -> None:
    """4yz may pass, 5yz will not (RFC 5321, 4.2.1); the server's words are kept."""
    plain.says[verb] = line

    with pytest.raises(VoiceError) as error:
        await MailVoice(open_spec(plain), clock).say(said)

    assert error.value.why is why
    assert line == "reset" or line.split()[0] in error.value.detail


async def test_a_wrong_password_locks(post: tuple[Post, str], voice: MailVoice, said: Announcement) -> None:
    """Nothing gets through until somebody mends it, and the password stands in no word."""
    post[0].says["AUTH"] = "535 authentication failed"

    with pytest.raises(VoiceError, match="535") as error:
        await voice.say(said)

    assert error.value.why is Why.LOCKED
    assert "verysecret" not in error.value.detail


async def test_one_bad_receiver_does_not_keep_it_from_the_other(plain: Post, said: Announcement, clock: Clock) -> None:
    """Taken for one is told; it says for how many."""
    plain.says["RCPT TO:<office@garden.example>"] = "550 no such user"
    plain.says["rcpt TO:<office@garden.example>"] = "550 no such user"

    answer = await MailVoice(open_spec(plain), clock).say(said)

    assert answer.detail == "taken for 1 of 2"
    assert len(plain.messages) == 1


@pytest.mark.parametrize("badly", ["hang", "trickle"])
async def test_a_server_that_never_ends_is_cut_off(
    plain: Post, said: Announcement, clock: Clock, badly: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the voice nor its thread waits for ever."""
    monkeypatch.setattr(mail, "TOTAL_S", 0.3)
    plain.says["MAIL"] = badly
    before = threading.active_count()

    voice = MailVoice(open_spec(plain), clock)
    with pytest.raises(VoiceError, match="no end within") as error:
        await voice.say(said)

    assert error.value.why is Why.TROUBLE
    async with asyncio.timeout(5):
        await asyncio.to_thread(voice._threads.shutdown)
    assert threading.active_count() <= before + 3  # the server's own, and one that asyncio keeps


async def test_a_person_gets_it_alone(plain: Post, said: Announcement, clock: Clock) -> None:
    """And one without an address cannot: that says nothing of the channel."""
    voice = MailVoice(open_spec(plain), clock)

    await voice.say(said, Person(id="li", name="李", mail="li@garden.example"))
    with pytest.raises(VoiceError, match="no mail address") as error:
        await voice.say(said, Person(id="wang", name="王"))

    assert [line for line in plain.heard if "TO:" in line.upper()] == ["rcpt TO:<li@garden.example>"]
    assert error.value.why is Why.UNFIT
