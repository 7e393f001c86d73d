"""Lines of the log that what devices and strangers say cannot forge: no line break of theirs begins another line."""

import logging
import re

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


class OneLine(logging.Formatter):
    """One line a message, control characters written out; a traceback of ours keeps its lines."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # as logging names it
        """The line."""
        return _CONTROL.sub(
            lambda found: found[0].encode("unicode_escape").decode("ascii"), super().formatMessage(record)
        )
