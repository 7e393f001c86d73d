"""Settings: what a manager may set on a page and where, how the channels do, how long things are kept, and where.

It shows and links; the site file itself is the installer's. A channel's live test is an order, as all that people do.
"""

import msgspec
from flask import Blueprint, abort, redirect, render_template, url_for
from werkzeug.wrappers import Response

from dashboard.access.asking import note
from dashboard.access.permissions import Permission, allow
from dashboard.gather import gather
from dashboard.language import kept_words
from dashboard.language.hub_words import said
from dashboard.language.i18n import gettext
from dashboard.language.reasons import reason
from dashboard.office import me, office
from dashboard.ordering import put_from_form
from dashboard.pages.calendar import today
from dashboard.pages.limits import known
from dashboard.rulebook import plain
from device_profiles.door import Refusal
from hub.calendar.days import load_calendar
from hub.outcome import Order, OrderState
from hub.rows import to_struct
from hub.settings.site_voice import Voice
from hub.speaking.state import VoiceState
from hub.speaking.trial import EXPIRES_MS, TEST_VOICE

bp = Blueprint("settings", __name__, url_prefix="/settings")
LAST_CHANGES = 5
LATE_MS = 60_000  # of the history, as /healthz judges


class Channel(msgspec.Struct, frozen=True, kw_only=True):
    """A voice, what is known of it, and its newest live tests, newest first."""

    voice: Voice
    state: VoiceState | None
    tests: list[Order]

    @property
    def word(self) -> str:
        """How it does: works | failing | untried."""
        if self.state is None or (self.state.succeeded is None and self.state.failing is None):
            return "untried"
        return "works" if self.state.failing is None else "failing"


@bp.get("")
@allow(Permission.REVIEW)
def page() -> str:
    """All of it on one page, each part with the way to change it."""
    now = office().clock.now()
    return render_template(
        "settings.html",
        changes=office().view.limits()[: -LAST_CHANGES - 1 : -1],
        missing=_missing(),
        channels=channels(),
        kept=kept_words.kept(office().site),
        behind=office().view.history_lag_ms(now),
        late=LATE_MS,
        tested=tested,
        quantity_of=lambda rule: plain()[rule].quantity if known(rule) else "",
        channel_states=kept_words.CHANNEL_STATES,
        situation=gather(office()),
    )


@bp.post("/channels/<voice>/test")
@allow(Permission.MANAGE)
def test(voice: str) -> Response:
    """Have a live test sent by this channel; the hub says what came of it."""
    if voice not in {each.id for each in office().site.voices}:
        abort(404)
    note(TEST_VOICE, me().name, voice)
    put_from_form(TEST_VOICE, voice, EXPIRES_MS)
    return redirect(url_for("settings.page", _anchor=f"channel-{voice}"))


def channels() -> list[Channel]:
    """The site's voices in the order of its file."""
    states = {row["id"]: to_struct(VoiceState, row) for row in office().view.rows("SELECT * FROM voice")}
    return [
        Channel(
            voice=voice,
            state=states.get(voice.id),
            tests=[order for order in office().view.orders_about(voice.id) if order.kind == TEST_VOICE][:3],
        )
        for voice in office().site.voices
    ]


def tested(order: Order) -> str:
    """What became of one live test, in a sentence."""
    at, answer = office().words.moment(order.ended or order.issued), order.outcome.partition(":")[2]
    if order.state is OrderState.REQUESTED:
        return gettext("is being sent …")
    if order.state is OrderState.DONE:
        return gettext("passed on %(at)s: %(answer)s", at=at, answer=answer or "–")
    if order.state is OrderState.EXPIRED:
        return gettext("no hub took it (%(at)s): nothing was sent", at=at)
    return gettext("did not get through on %(at)s: %(why)s", at=at, why=reason(order.outcome))


def _missing() -> str:
    """What the calendar lacks, in words; empty when it has all that is wanted by now."""
    try:
        year = load_calendar(office().data).missing(today())
    except Refusal as error:
        return gettext("The calendar's file has a mistake: %(what)s", what=said(str(error)))
    return "" if year is None else gettext("The holidays of %(year)s are missing.", year=year)
