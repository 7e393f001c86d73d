"""Reads from the journal what a situation is made of. The one place where the Now page's queries stand."""

from collections.abc import Iterable

from dashboard.journal_view import Happening, JournalUnreadable, Told
from dashboard.live.together import asked
from dashboard.office import Office
from dashboard.places import site_plan
from dashboard.situation import FIGURES, Facts, Situation, siren_token, situation
from device_profiles.door import Refusal
from hub.alarms.firstout import Group, look
from hub.duty.file import load_duty
from hub.outcome import Order, OrderState

MOST_OPEN = 200  # more open alarms than this are a flood: the count is right, the list stops
DAY_MS = 24 * 3600 * 1000


def gather(office: Office) -> Situation:
    """What is going on now, read after it was asked for, once for all who ask meanwhile. Raises JournalUnreadable."""
    return office.shared.get("situation", asked(office), lambda: _gathered(office))


def _gathered(office: Office) -> Situation:
    now = office.clock.now()
    happenings = office.view.happenings("o.closed = ''", limit=MOST_OPEN)
    told = office.view.told_of(happenings)
    facts = Facts(
        heartbeat=office.view.heartbeat(),
        health=office.view.health(),
        latest=office.view.latest_of(FIGURES),
        open=happenings,
        told=told,
        sirens=sirens(office, [one for some in told.values() for one in some]),
        acks=_acks(office, happenings),
        mutes=office.view.mutes(now),
        dragged=site_plan.places(office.users),
        services=office.view.services(),
        calibrating=office.view.calibrating(),
        people=called(office, [one for some in told.values() for one in some]),
    )
    return situation(office.site, office.words, facts, now, office.clock.speed)


def glance(office: Office) -> Situation | None:
    """What is going on, for a page that has to open without a journal too."""
    try:
        return gather(office)
    except JournalUnreadable:
        return None


def called(office: Office, told: list[Told]) -> dict[str, str]:
    """The roster's names by id, where somebody was told in person; none of a roster with a mistake in it."""
    if not any(one.person for one in told):
        return {}
    try:
        duty = load_duty(office.data, office.site)
    except Refusal:
        return {}
    return {person.id: person.name for person in duty.person} if duty is not None else {}


def sirens(office: Office, told: list[Told]) -> dict[str, Order]:
    """The orders that the sirens' announcements became, by token."""
    tokens = [siren_token(office.site, one) for one in told if one.voice == "siren"]
    return office.view.orders_by_token(tokens) if tokens else {}


def first_outs(office: Office, happenings: Iterable[Happening]) -> dict[int, Group]:
    """By number: the alarms that each came with, and which of them came first."""
    links = {device.id: device.link for device in office.site.devices().values()}
    return look(office.view.rows, (happening.raised for happening in happenings), links)


def today(office: Office) -> tuple[int, int | None]:
    """How many alarms of the last 24 hours, and the mean time to acknowledgement in ms."""
    since = office.clock.now() - DAY_MS
    row = office.view.rows("SELECT count(*), avg(acked - raised) FROM occurrence WHERE raised >= ?", (since,))[0]
    return int(row[0]), None if row[1] is None else int(row[1])


def _acks(office: Office, happenings: list[Happening]) -> dict[tuple[str, int | None], Order]:
    if not happenings:
        return {}
    waiting = office.view.orders_since(["ack"], office.clock.now() - DAY_MS)
    return {(order.target, order.occurrence): order for order in waiting if order.state is OrderState.REQUESTED}
