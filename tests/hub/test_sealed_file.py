"""An encrypted file gives back what was written, to whoever has its passphrase, and nothing else to anybody."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.keeping import sealed_file
from hub.keeping.sealed_file import LEAST_PASSPHRASE, SealedReader, SealedWriter, SealError

if TYPE_CHECKING:
    from collections.abc import Iterator

PASSPHRASE = "a boat on the lake"


@pytest.fixture(scope="module", autouse=True)
def small() -> Iterator[None]:
    """Chunks of 32 bytes, and a key that is quickly made: the construction is the same."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sealed_file, "CHUNK", 32)
        patch.setattr(sealed_file, "LOG_N", 4)
        yield


def seal(content: bytes, *, pieces: int = 7) -> bytes:
    """Written a few bytes at a time."""
    file = io.BytesIO()
    with SealedWriter(file, PASSPHRASE) as writer:
        for at in range(0, len(content), pieces):
            writer.write(content[at : at + pieces])
    return file.getvalue()


def read(sealed: bytes, passphrase: str = PASSPHRASE) -> bytes:
    """All of it."""
    with SealedReader(io.BytesIO(sealed), passphrase) as reader:
        return reader.read()


@given(st.binary(max_size=120), st.integers(1, 100))
def test_what_is_sealed_comes_back(content: bytes, pieces: int) -> None:
    """Whatever its length, also where it ends with a chunk; and nothing of it stands in the file."""
    sealed = seal(content, pieces=pieces)
    assert read(sealed) == content
    assert len(content) < 8 or content not in sealed[len(sealed_file.MAGIC) :]


def test_no_two_files_are_alike() -> None:
    """Another salt and nonce each time: who sees both learns nothing of what is the same in them."""
    one, two = seal(b"x" * 96), seal(b"x" * 96)
    assert one[-112:] != two[-112:]


@pytest.mark.parametrize("length", [0, 31, 32, 33, 64, 100])
def test_every_cut_is_noticed(length: int) -> None:
    """At each byte, also between two chunks, also in the header."""
    sealed = seal(bytes(range(length)))
    for end in range(len(sealed)):
        with pytest.raises(SealError):
            read(sealed[:end])


def test_every_changed_byte_is_noticed() -> None:
    """In the header, in a chunk, in its tag."""
    sealed = seal(bytes(range(80)))
    for at in range(len(sealed)):
        with pytest.raises(SealError):
            read(sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :])


def test_chunks_stay_in_their_places() -> None:
    """Exchanged, left out, repeated, appended, or of another file under the same passphrase."""
    sealed = seal(bytes(range(96)))
    head, chunks = sealed[:-144], [sealed[-144:-96], sealed[-96:-48], sealed[-48:]]
    assert read(head + b"".join(chunks)) == bytes(range(96))  # the control
    first, second, last = chunks
    for parts in ([second, first, last], [first, last], [first, first, second, last], [*chunks, last], [last]):
        with pytest.raises(SealError):
            read(head + b"".join(parts))
    other = seal(bytes(range(96)))
    with pytest.raises(SealError):
        read(head + first + other[-96:-48] + last)


def test_another_passphrase_is_told_as_such() -> None:
    """Not as damage: a person is to look for the right one, not for another copy."""
    with pytest.raises(SealError, match="another passphrase") as refused:
        read(seal(b"x"), "a boat on the pond")
    assert "pond" not in str(refused.value)
    with pytest.raises(SealError, match="is damaged"):
        read(seal(b"x" * 100)[:-60] + bytes(60))


def test_a_short_passphrase_is_refused() -> None:
    """Whoever has the file may guess for years; nothing is written."""
    file = io.BytesIO()
    with pytest.raises(SealError, match="too short"):
        SealedWriter(file, "x" * (LEAST_PASSPHRASE - 1))
    assert file.getvalue() == b""


def test_a_header_orders_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """A made-up file that wants scrypt to take 256 GiB is refused before that; so is what is no such file."""
    sealed = bytearray(seal(b"x"))
    sealed[len(sealed_file.MAGIC)] = 28
    monkeypatch.setattr("hashlib.scrypt", None)  # it would fail
    with pytest.raises(SealError, match="other numbers"):
        read(bytes(sealed))
    with pytest.raises(SealError, match="is not encrypted"):
        read(b"\x1f\x8b" + bytes(100))
