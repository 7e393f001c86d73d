"""Templates as the first application of a run compiled them; conftest.py hands them to every application.

Each test makes an application of its own, and compiling its templates would cost more than all the rest of it.
"""

from jinja2.bccache import Bucket, BytecodeCache


class Compiled(BytecodeCache):
    """Keeps what was compiled in memory, by name and source."""

    def __init__(self) -> None:
        """Empty."""
        self._kept: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        """What was kept, unless the template has changed."""
        if bucket.key in self._kept:
            bucket.bytecode_from_string(self._kept[bucket.key])

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep it."""
        self._kept[bucket.key] = bucket.bytecode_to_string()
