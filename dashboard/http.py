"""HTTP/1.1 as the office speaks it: uvicorn's connection on the httptools parser, with a bound on what it reads ahead.

A head, a trailer or a chunk's size that never ends is refused: the parser itself would keep all of it.
"""

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MOST_HEAD = 64 * 1024  # bytes without any body among them


class Connection(HttpToolsProtocol):
    """One connection."""

    _unread = 0  # bytes since a head or a piece of a body was whole

    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        self._unread += len(data)
        super().data_received(data)
        if self._unread > MOST_HEAD and not self.transport.is_closing():
            self.send_400_response("The head of this request is too long.")

    def on_headers_complete(self) -> None:
        """The head is whole."""
        self._unread = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        self._unread = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is whole."""
        self._unread = 0
        super().on_message_complete()
