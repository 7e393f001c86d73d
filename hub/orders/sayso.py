"""What a manager says while the hub runs, as orders: limits of rules, and mutes of zones.

Whether the person may is the dashboard's business (users, roles); whether it can be done is decided here. Each order
ends at once, in one transaction with what it changed. Nothing is opened here but the rules' own files.
"""

import logging
from collections.abc import Callable, Iterable, Mapping

from msgspec.structs import replace

from device_profiles.door import Refusal
from hub.orders.order import OrderEvent, OrderWord, step_order
from hub.outcome import Limit, Mute, Order, Outcome
from hub.rules.door import plain_rules
from hub.rules.limits import SITE, Book, Wrong, parse_setting
from hub.rules.rule import Rule, ms
from hub.settings.site import Site

LOG = logging.getLogger("zhian.limits")
LONGEST_MUTE_S = 8 * 3600.0
Rebind = Callable[[Site, tuple[Rule, ...], int], Outcome]


def rules_in_force(site: Site, rules: tuple[Rule, ...], limits: Iterable[Limit]) -> tuple[Rule, ...]:
    """The rules that a hub starts with: `rules` of its files, under what was set since."""
    rows = list(limits)
    return Book(plain_rules(site, SITE), site, rows).rules if rows else rules


class Sayso:
    """One field process's limits and mutes."""

    def __init__(self, site: Site, limits: Iterable[Limit], mutes: Iterable[Mute], rebind: Rebind) -> None:
        """As the journal has them, oldest first. `rebind` is the core's."""
        self._site, self._limits, self._rebind = site, list(limits), rebind
        self._mutes = {mute.zone: mute for mute in mutes}
        self._plain: Mapping[str, Rule] = plain_rules(site, SITE)
        self._book: Book | None = None
        self.doers: dict[str, Callable[[Order, int], Outcome]] = {
            "limit": self._limit, "limit-clear": self._limit, "mute": self._mute, "unmute": self._unmute,
        }  # fmt: skip

    def renew(self, site: Site, rules: tuple[Rule, ...]) -> tuple[Rule, ...]:
        """Another site file: the rules in force by it. What was set and does not fit any more is out of force.

        `rules` are those of the files alone, which have just been read; they hold if the files are wrong by now.
        """
        self._site, self._book = site, None
        try:
            self._plain = plain_rules(site, SITE)
            return self._known().rules if self._limits else rules
        except Refusal as error:
            LOG.error("the rule files were changed while they were read, limits set here are out of force: %s", error)
            return rules

    def take(self, order: Order, now: int) -> Outcome:
        """The ended order, and what it changed. `order.kind` is one of `doers`."""
        if now >= order.expires:
            return Outcome(orders=[step_order(order, OrderEvent.EXPIRE, now, OrderWord.EXPIRED)])
        try:
            if not order.text.strip() and order.kind != "unmute":
                raise Wrong(OrderWord.NO_REASON)
            outcome = self.doers[order.kind](order, now)
        except Refusal as error:
            return Outcome(orders=[step_order(order, OrderEvent.REFUSE, now, OrderWord.UNFIT, str(error))])
        except Wrong as error:
            return Outcome(orders=[step_order(order, OrderEvent.REFUSE, now, error.word, error.detail)])
        outcome.orders.append(step_order(order, OrderEvent.FINISH, now, OrderWord.DONE))
        return outcome

    def _limit(self, order: Order, now: int) -> Outcome:
        """The rules with other numbers take over the states of the alarms: nothing is reset."""
        rule, _, zone = order.target.partition("/")
        key, value = parse_setting(order.command) if order.kind == "limit" else (order.command, None)
        book = self._known()
        limit = Limit(
            rule=rule, zone=zone, key=key, value=value, before=None, actor=order.actor, reason=order.text, at=now
        )  # fmt: skip
        fresh = book.change(limit)
        kept = replace(limit, before=book.origin(rule, zone, key).value)
        outcome = self._rebind(self._site, fresh.rules, now)
        self._book = fresh
        self._limits.append(kept)
        outcome.limits.append(kept)
        return outcome

    def _mute(self, order: Order, now: int) -> Outcome:
        """One mute a zone: a new one ends the one before."""
        if order.target not in self._site.zones_by_id():
            raise Wrong(OrderWord.NO_ZONE, order.target)
        if order.seconds is None or not 1.0 <= order.seconds <= LONGEST_MUTE_S:
            raise Wrong(OrderWord.BAD_SECONDS, f"1..{LONGEST_MUTE_S:g}")
        old, until = self._mutes.get(order.target), now + ms(order.seconds)
        mute = Mute(zone=order.target, at=now, until=until, actor=order.actor, reason=order.text)
        self._mutes[order.target] = mute
        return Outcome(mutes=[*([_ended(old, now, order.actor)] if old and old.holds(now) else []), mute])

    def _unmute(self, order: Order, now: int) -> Outcome:
        old = self._mutes.get(order.target)
        if old is None or not old.holds(now):
            raise Wrong(OrderWord.NOT_SET, order.target)
        self._mutes[order.target] = _ended(old, now, order.actor)
        return Outcome(mutes=[self._mutes[order.target]])

    def _known(self) -> Book:
        if self._book is None:
            self._book = Book(self._plain, self._site, self._limits)
        return self._book


def _ended(mute: Mute, now: int, actor: str) -> Mute:
    return replace(mute, ended=now, ended_by=actor)
