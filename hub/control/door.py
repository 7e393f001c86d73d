"""The running field process's own door: a Unix socket in the data folder, for the command line of the same user.

One question a connection (a JSON line: what to do, and with what), any number of answers (JSON lines), and a last line
that says how it ended. Hanging up ends what was asked for. It carries; what is asked is answered by the handlers.
"""

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Self, TypeAlias

import msgspec

LOG = logging.getLogger("zhian.control")
FILE = "control.sock"
MOST_LINE = 1 << 20  # bytes of one question or answer
Said: TypeAlias = dict[str, Any]  # JSON: each handler converts what it takes into a struct of its own
Handler: TypeAlias = Callable[[Said], AsyncIterator[Said]]


class Refused(Exception):
    """What was asked cannot be done, in words for the person who asked. `mistake`: it is theirs to mend (exit 2)."""

    def __init__(self, words: str, *, mistake: bool = True) -> None:
        """`words` name what is wrong, and what would be right."""
        self.words, self.mistake = words, mistake
        super().__init__(words)


class NotRunning(Exception):
    """No hub runs on this data folder."""


class _Question(msgspec.Struct, forbid_unknown_fields=True):
    do: str
    arguments: Said = {}


class _Answer(msgspec.Struct, omit_defaults=True):
    """`end`: done, refused (the asker's mistake) or failed; empty while there is more to come."""

    said: Said = {}
    end: str = ""
    words: str = ""


class Control:
    """Serves while it is entered. Only the user that runs the hub can open the socket (mode 0600)."""

    def __init__(self, data: Path, handlers: Mapping[str, Handler]) -> None:
        """`handlers`: word -> what answers it; an async generator that is closed when the asker hangs up."""
        self._data, self._handlers = data, handlers
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        """Open the socket; one that a killed process left is replaced (the data folder is locked by its owner)."""
        (self._data / FILE).unlink(missing_ok=True)
        with _short(self._data) as path:
            listener = socket.socket(socket.AF_UNIX)
            mask = os.umask(0o177)
            try:
                listener.bind(path)
            finally:
                os.umask(mask)
        self._server = await asyncio.start_unix_server(self._serve, sock=listener, limit=MOST_LINE)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close it; what is being answered is cut off."""
        if self._server is not None:
            self._server.close()
            self._server = None
        (self._data / FILE).unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answering = asyncio.create_task(self._answer(reader, writer))
        try:
            await answering
        except (ConnectionError, asyncio.CancelledError):
            pass  # they hung up, or we stop
        finally:
            answering.cancel()
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            question = msgspec.json.decode(await reader.readline(), type=_Question)
            handler = self._handlers.get(question.do)
            if handler is None:
                raise Refused(f"the running hub does not know {question.do!r}: is it of another version?")
            await self._tell(handler(question.arguments), reader, writer)
            last = _Answer(end="done")
        except Refused as error:
            last = _Answer(end="refused" if error.mistake else "failed", words=error.words)
        except (msgspec.DecodeError, ValueError) as error:
            last = _Answer(end="refused", words=f"not a question: {error}")
        await _send(writer, last)

    async def _tell(
        self, answers: AsyncIterator[Said], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """All answers, until they end or the other side hangs up (it has nothing more to say)."""
        hung_up = asyncio.create_task(reader.read(1))
        telling = asyncio.create_task(_all(answers, writer))
        try:
            await asyncio.wait([hung_up, telling], return_when=asyncio.FIRST_COMPLETED)
            if not telling.done():
                raise ConnectionResetError
            telling.result()
        finally:
            for task in (hung_up, telling):
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError, ConnectionError, Refused):
                    await task
            if hasattr(answers, "aclose"):
                await answers.aclose()


def ask(data: Path, do: str, arguments: Said | None = None, *, timeout: float | None = None) -> Iterator[Said]:
    """Ask the hub that runs on `data`; each answer as it comes. `timeout` seconds may pass between two answers.

    Raises NotRunning, Refused, and TimeoutError.
    """
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(timeout)
        try:
            with _short(data) as path:
                line.connect(path)
        except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError):
            raise NotRunning(f"no hub runs on {data}") from None
        line.sendall(msgspec.json.encode(_Question(do, arguments or {})) + b"\n")
        for text in line.makefile("rb"):
            answer = msgspec.json.decode(text, type=_Answer)
            if answer.end == "done":
                return
            if answer.end:
                raise Refused(answer.words, mistake=answer.end == "refused")
            yield answer.said
    raise Refused("the hub stopped while it answered", mistake=False)


async def _all(answers: AsyncIterator[Said], writer: asyncio.StreamWriter) -> None:
    async for said in answers:
        await _send(writer, _Answer(said=said))


async def _send(writer: asyncio.StreamWriter, answer: _Answer) -> None:
    writer.write(msgspec.json.encode(answer) + b"\n")
    await writer.drain()


@contextlib.contextmanager
def _short(data: Path) -> Iterator[str]:
    """The socket's path through a descriptor of its folder: a socket's own path may have 107 bytes only."""
    folder = os.open(data, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{FILE}"
    finally:
        os.close(folder)
