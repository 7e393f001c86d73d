"""`zhian reload` in the running field process: the site file is judged again, and what changed is changed live.

A file that is refused changes nothing. It decides which links go on, are opened anew, begin or end; the core does the
same for alarms (`Core.rebind`), and the supervisor for the other processes, when the journal says that it happened.
"""

import asyncio
import contextlib
import logging
import sqlite3
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import msgspec

from device_profiles.door import Refusal
from device_profiles.load import profiles
from firmware_bridge.raw import Link
from hub.alarms.former import same_cable
from hub.clock import Clock
from hub.control.door import Refused, Said
from hub.field import Field
from hub.journal.writer import FILE, connect
from hub.processes import broker
from hub.rules.door import Rule, load_rules
from hub.settings.door import load_site
from hub.settings.site import MqttBrokerLink, Site, SiteLink
from hub.speaking.route import check_routes

LOG = logging.getLogger("zhian.reload")
ACCEPTED = "site.accepted.toml"
Maker = Callable[[Site, SiteLink], Link]


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What a reload changed, by id. `opened_anew`: links whose settings are other ones; the others were not touched."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    links_added: tuple[str, ...] = ()
    links_removed: tuple[str, ...] = ()
    opened_anew: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()  # other numbers, new, or gone
    other: tuple[str, ...] = ()  # parts of the site: zones, voices, history ...
    alarms_withdrawn: tuple[str, ...] = ()  # keys of open alarms whose rule or device is gone
    logins_lost: tuple[str, ...] = ()  # users of our own broker who may not come in any more

    def __str__(self) -> str:
        """In words, for the log and the command line."""
        parts = [
            f"{name.replace('_', ' ')}: {', '.join(ids)}" for name, ids in msgspec.structs.asdict(self).items() if ids
        ]
        return "; ".join(parts) or "nothing changed"


class Reloader:
    """One field process's reloads, one at a time."""

    def __init__(
        self, site: Site, rules: tuple[Rule, ...], path: Path, data: Path, field: Field, make: Maker, clock: Clock
    ) -> None:
        """What runs now. `path`: the file that is read again; `make`: a link that is not open yet."""
        self._site, self._rules = site, rules
        self._path, self._data, self._field, self._make, self._clock = path, data, field, make, clock
        self._lock = asyncio.Lock()
        self._under_way: set[asyncio.Task[Change]] = set()

    async def answer(self, arguments: Said) -> AsyncIterator[Said]:
        """The door's handler: what changed, as one answer. `site`: the file that the asker means, or nothing."""
        _same_file(str(arguments.get("site", "")), self._path)
        try:
            change = await asyncio.shield(self._start())  # an asker who hangs up leaves nothing half done
        except Refusal as error:
            raise Refused(str(error)) from None
        except OSError as error:
            raise Refused(f"not all of it could be written: {error}; reload again", mistake=False) from error
        yield msgspec.to_builtins(change)

    def on_signal(self) -> None:
        """SIGHUP: nobody waits for an answer, so the log has it."""
        self._start()

    def _start(self) -> asyncio.Task[Change]:
        task = asyncio.create_task(self.reload(), name="reload")
        self._under_way.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Change]) -> None:
        self._under_way.discard(task)
        if not task.cancelled():
            task.exception()  # looked at: the log has it

    async def reload(self) -> Change:
        """Read the file and go on with it. Raises Refusal, and then nothing has changed."""
        try:
            return await self._reload()
        except Refusal as error:
            LOG.error("not reloaded, the hub goes on with the old file: %s", error)
            raise
        except OSError as error:  # a full disk: the broker's files, or the copy of what was accepted
            LOG.error("not all of the reload could be written: %s", error)
            raise

    async def _reload(self) -> Change:
        async with self._lock:
            site, rules = await asyncio.to_thread(read_site, self._path)
            change = difference((self._site, self._rules), (site, rules))
            self._check(site)
            await asyncio.to_thread(self._tell_broker, site)
            begin = {*change.links_added, *change.opened_anew}
            old = self._field.links
            links = {link.id: self._make(site, link) if link.id in begin else old[link.id] for link in site.links}
            whole = partial(_with_alarms, change)
            gone = await self._field.rebind(site, rules, links, lambda gone: f"{self._clock.now()} {whole(gone)}")
            change = whole(gone)
            self._site, self._rules = site, rules
            await asyncio.to_thread(accept, self._path, self._data)
            LOG.info("reloaded %s: %s", self._path, change)
            return change

    def _check(self, site: Site) -> None:
        """What a file may say, and a running hub cannot do."""
        if site.id != self._site.id:
            right = f"{self._site.id}; another site is another hub, with a data folder of its own"
            raise Refusal(self._path, "site.id", "is not the site that runs here", value=site.id, right=right)
        was = {link.id: link for link in self._site.links}
        for at, link in enumerate(site.links):
            if link == was.get(link.id):
                continue
            try:
                self._make(site, link)
            except (ValueError, TypeError, OSError) as error:
                raise Refusal(self._path, f"link[{at}]", str(error), value=link.id) from None
        listens = {link.listen for link in self._site.links if isinstance(link, MqttBrokerLink) and not link.url}
        for link in broker.own(site):
            broker.executable()
            if link.listen not in listens:
                broker.check_free(link)

    def _tell_broker(self, site: Site) -> None:
        """Who may speak where, before a new device is waited for."""
        for link in broker.own(site):
            broker.prepare(site, link, self._data)
            broker.read_again(self._data)


def last_reload(data: Path, before: str) -> str:
    """What the journal says of the last reload, when and what; `before` while it cannot be read."""
    try:
        with contextlib.closing(connect(data / FILE, read_only=True)) as db:
            row = db.execute("SELECT value FROM meta WHERE key = 'reloaded'").fetchone()
    except sqlite3.Error:
        return before
    return str(row["value"]) if row else ""


def difference(old: tuple[Site, tuple[Rule, ...]], new: tuple[Site, tuple[Rule, ...]]) -> Change:
    """What another site file, and the rules with its numbers, make otherwise."""
    (was, rules_were), (now, rules_are) = old, new
    links = {link.id: link for link in was.links}, {link.id: link for link in now.links}
    devices = was.devices(), now.devices()
    rules = {rule.id: rule for rule in rules_were}, {rule.id: rule for rule in rules_are}
    parts = ("name", "timezone", "noise_class", "night", "plan", "page", "zones", "voices", "history", "journal")
    added, removed, changed = _compare(*devices)
    links_added, links_removed, links_changed = _compare(*links)
    return Change(
        added=added,
        removed=removed,
        changed=changed,
        links_added=links_added,
        links_removed=links_removed,
        opened_anew=tuple(name for name in links_changed if not same_cable(links[0][name], links[1][name])),
        rules=tuple(name for names in _compare(*rules) for name in names),
        logins_lost=tuple(sorted(_logins(was) - _logins(now))),
        other=tuple(part for part in parts if getattr(was, part) != getattr(now, part)),
    )


def _with_alarms(change: Change, gone: Sequence[str]) -> Change:
    return msgspec.structs.replace(change, alarms_withdrawn=tuple(gone))


def _logins(site: Site) -> set[str]:
    """Who has a password at a broker of our own."""
    return {device.id for link in broker.own(site) for device in link.devices}


def _compare(was: Mapping[str, object], now: Mapping[str, object]) -> tuple[tuple[str, ...], ...]:
    """New, gone, and other than it was."""
    added = tuple(name for name in now if name not in was)
    removed = tuple(name for name in was if name not in now)
    return added, removed, tuple(name for name in now if name in was and now[name] != was[name])


def _same_file(meant: str, runs: Path) -> None:
    if meant and Path(meant).resolve() != runs.resolve():
        raise Refused(f"the running hub was started with {runs.absolute()}, not with {meant}; right: edit that file")


def accept(path: Path, data: Path) -> None:
    """Keep a copy of the file that was found right, for a process that has to be started again."""
    draft = data / f"{ACCEPTED}.new"
    draft.write_bytes(path.read_bytes())
    draft.chmod(0o600)
    draft.replace(data / ACCEPTED)


def read_accepted(path: Path, data: Path) -> tuple[Site, tuple[Rule, ...]]:
    """As `read_site`; a file that is wrong by now is read as it last was right, which the log says. Raises Refusal."""
    kept = data / ACCEPTED
    try:
        return read_site(path)
    except Refusal as error:
        if not kept.exists():
            raise
        LOG.error("the file as it was last accepted is in force (%s), for %s", kept, error)
        return read_site(kept)


def read_site(path: Path) -> tuple[Site, tuple[Rule, ...]]:
    """Site and rules as the files are now. Raises Refusal."""
    profiles.cache_clear()  # a profile may be new, or mended
    site = load_site(path)
    rules = load_rules(site, path)
    check_routes(site, {rule.id for rule in rules}, path)
    return site, rules
