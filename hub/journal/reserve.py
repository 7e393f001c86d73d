"""Disk space that is kept for the journal: a file without content, given back bit by bit when the disk is full.

Its last part (`reserve_mb`) is for alarms and orders alone; what is above it is the journal's unused budget. It
measures and gives back; what is taken in meanwhile is decided in hub/journal/scarce.py.
"""

import ctypes
import errno
import os
import shutil
from pathlib import Path

from hub.settings.site import JournalSpace

FILE = "reserve"
MB = 1 << 20
SLICE = MB // 2  # small: others on the same disk may snatch what is given back, and then have no more than this
FLOOR = MB  # so much is kept free for others as long as the reserve lasts: logins, the broker's files, a restart
ROOM = 8 * MB  # the disk has room again when this would be left beside the whole reserve
BUDGET_SHARE, BUDGET_LEAST, BUDGET_MOST = 20, 64 * MB, 1024 * MB
"""Without `budget_mb`: a twentieth of the disk, 64 MB to 1 GB. At 100 bytes a reading, 1 GB is 24 h of 120 a second."""
SMALL_SHARE = 8  # on a disk that is hardly bigger than the reserve, the reserve is an eighth of it
OTHERS_SHARE = 8  # so much of the disk is left to others: a budget must not be what makes the disk nearly full


class Reserve:
    """The reserve of one data folder. Every method may raise OSError for anything but a full disk."""

    def __init__(self, data: Path, space: JournalSpace) -> None:
        """Nothing is made yet."""
        self._path, self._whole = data / FILE, shutil.disk_usage(data).total
        self.size = min(space.reserve_mb * MB, self._whole // SMALL_SHARE)
        share = min(BUDGET_MOST, max(BUDGET_LEAST, self._whole // BUDGET_SHARE))
        self.budget = space.budget_mb * MB if space.budget_mb else share
        self._spent = False

    @property
    def spent(self) -> bool:
        """Whether alarms live on the reserve: from the first piece of its last part on, until it is whole again."""
        return self._spent

    def held(self) -> int:
        """Bytes that are kept now."""
        try:
            return self._path.stat().st_size
        except FileNotFoundError:
            return 0

    def give(self) -> bool:
        """Give one slice back to the disk; False when nothing is left."""
        held = self.held()
        if held:
            os.truncate(self._path, max(0, held - SLICE))
        self._spent = self._spent or held - SLICE < self.size
        return held > 0

    def look(self, journal_bytes: int) -> None:
        """Keep what the journal may still grow by, and the last part; remake it where there is room again."""
        if self.held() < self.size and self._free() - ROOM >= self.size - self.held():
            self._take(self.size)
        held, wanted = self.held(), self.size + max(0, self.budget - journal_bytes)
        room = self._free() - self._whole // OTHERS_SHARE
        if held > wanted:
            os.truncate(self._path, wanted)
        elif held >= self.size and room > 0:
            self._take(min(wanted, held + room))
        else:
            self.make_room()
        self._spent = self.held() < self.size

    def make_room(self) -> None:
        """Keep the floor free: before a start, what has to be written then finds place."""
        while self._free() < FLOOR and self.give():
            pass

    def _free(self) -> int:
        return shutil.disk_usage(self._path.parent).free

    def _take(self, size: int) -> None:
        """Grow to `size`; where another takes the room meanwhile, as it was."""
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            begin = os.fstat(descriptor).st_size
            code = _fallocate(descriptor, begin, size - begin) if size > begin else 0
            if code == errno.EOPNOTSUPP and begin < self.size:
                os.posix_fallocate(descriptor, begin, self.size - begin)  # writes zeros: for the last part alone
        except OSError as error:
            code = error.errno or errno.EIO
        finally:
            if code not in (0, errno.EOPNOTSUPP):
                os.ftruncate(descriptor, begin)
            os.close(descriptor)
        if code not in (0, errno.EOPNOTSUPP, errno.ENOSPC, errno.EDQUOT):
            raise OSError(code, os.strerror(code), str(self._path))


def _fallocate(descriptor: int, offset: int, length: int) -> int:
    """fallocate(2): 0 when the blocks are ours, at once and unwritten. glibc's own would write zeros for minutes."""
    library = ctypes.CDLL(None, use_errno=True)
    done = library.fallocate64(descriptor, 0, ctypes.c_int64(offset), ctypes.c_int64(length))
    return 0 if done == 0 else ctypes.get_errno()
