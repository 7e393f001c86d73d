"""Why something is so, as the hub writes it in a few words: notes of alarms, outcomes of orders, faults.

Each word has a text here; the detail after it is a sentence of the hub, which `hub_words` knows. No page logic.
"""

from collections.abc import Callable
from typing import Any

from dashboard.language.hub_words import said
from dashboard.language.i18n import gettext, lazy_gettext, say
from dashboard.language.limit_words import fit
from hub.orders.words import in_words
from hub.reading import Label

# A flip's note where the hub wrote it: why it closed, or why something was not possible (hub/alarms/alarm.py).
NOTES = {
    "on-duty": lazy_gettext("who is on duty"),
    "all": lazy_gettext("everybody"),
    "auto": lazy_gettext("over by itself"),
    "cleared": lazy_gettext("over"),
    "acked": lazy_gettext("acknowledged"),
    "reset": lazy_gettext("reset"),
    "withdrawn": lazy_gettext("withdrawn"),
    "its rule or its device is gone": lazy_gettext("withdrawn"),
    "unannounced": lazy_gettext("came and went while muted"),
    "not-active": lazy_gettext("the alarm is not active"),
    "not-latched": lazy_gettext("there is nothing to reset"),
    "still-active": lazy_gettext("its condition still holds"),
    "not-shelvable": lazy_gettext("an alarm of this priority cannot be muted"),
    "no-end": lazy_gettext("a mute needs an end in the future"),
    "too-long": lazy_gettext("muted for longer than is allowed"),
}
# Why an order is where it is (hub/orders/order.py); the detail after the colon is the hub's or the device's own.
REASONS = {
    "no-echo": lazy_gettext("its answer did not come"),
    "confirmed": lazy_gettext("confirmed"),
    "not-confirmed": lazy_gettext("no confirmation in time"),
    "link-down": lazy_gettext("its cable is down"),
    "not-sent": lazy_gettext("it did not leave"),
    "expired": lazy_gettext("too late"),
    "hub-stopped": lazy_gettext("the hub stopped"),
    "no-such-device": lazy_gettext("no such device"),
    "no-such-command": lazy_gettext("no such command"),
    "no-such-alarm": lazy_gettext("no such alarm"),
    "no-such-kind": lazy_gettext("no such kind of order"),
    "no-such-voice": lazy_gettext("no such voice"),
    "not-said": lazy_gettext("could not be said"),
    "already-under-way": lazy_gettext("the same order is under way"),
    "seconds-out-of-range": lazy_gettext("not for so many seconds"),
    "text-out-of-range": lazy_gettext("a text is wanted"),
    "occurrence-over": lazy_gettext("that time is over already"),
    "no-reason": lazy_gettext("it needs a reason"),
    "rejected": lazy_gettext("not possible"),
    "done": lazy_gettext("done"),
    "no-such-rule": lazy_gettext("no such rule"),
    "no-such-zone": lazy_gettext("no such zone"),
    "no-such-limit": lazy_gettext("the rule has no such limit"),
    "out-of-range": lazy_gettext("out of range, possible is"),
    "does-not-fit": lazy_gettext("does not fit the rule's other limits"),
    "p1-only-stricter": lazy_gettext(
        "a rule for lives (P1) can only be made stricter here; only the site file may loosen it, which has"
    ),
    "not-set": lazy_gettext("nothing was set there"),
    "occupied": lazy_gettext("somebody is seen there now; test when the place is empty"),
    "already-out-of-service": lazy_gettext("it is out of service already"),
    "not-out-of-service": lazy_gettext("it is not out of service by itself"),
    "no-such-meter": lazy_gettext("it measures no sound levels"),
}
FAULTS = {
    "checksum": lazy_gettext("checksum wrong"),
    "incomplete": lazy_gettext("broken off"),
    "malformed": lazy_gettext("not of the right shape"),
    "out-of-range": lazy_gettext("out of range"),
    "unknown-choice": lazy_gettext("unknown word"),
    "absent": lazy_gettext("no value"),
    "refused": lazy_gettext("refused by the device"),
    "busy": lazy_gettext("device busy"),
    "mismatch": lazy_gettext("answer to something else"),
    "no-answer": lazy_gettext("no answer"),
    "silent": lazy_gettext("silent"),
    "offline": lazy_gettext("offline"),
    "link-down": lazy_gettext("cable down"),
    "unknown-device": lazy_gettext("unknown device"),
    "gap": lazy_gettext("messages missing"),
    "repeated": lazy_gettext("said again, counted once"),
}
# Outcomes whose detail is a number or a name belong in the middle of the sentence.
WITH_DETAIL: dict[str, Any] = {  # Any: flask_babel's lazy strings
    "not-confirmed": lazy_gettext("not confirmed within %(detail)s s"),
    "already-under-way": lazy_gettext("the same order is under way: number %(detail)s"),
    "seconds-out-of-range": lazy_gettext("possible are %(detail)s seconds"),
    "text-out-of-range": lazy_gettext("a text of %(detail)s characters is wanted"),
    "already-out-of-service": lazy_gettext("%(detail)s has taken it out of service already"),
}


def note(text: str) -> str:
    """The note of a flip: the hub's own words in the reader's language, a person's as they are."""
    return str(NOTES[text]) if text in NOTES else text


def trouble(text: str) -> str:
    """A fault as the hub writes it ("no-answer: unit 3 does not answer"), in the reader's language."""
    name, colon, detail = text.partition(": ")
    if name not in FAULTS:
        return said(text)
    return f"{FAULTS[name]}{gettext(': ')}{said(detail)}" if colon else str(FAULTS[name])


def reason(text: str, named: Callable[[str], Label] | None = None) -> str:
    """An order's outcome as the hub writes it ("link-down:unplugged") in the reader's language. `named`: of a gate."""
    word, _, detail = text.partition(":")
    if (gate := in_words(text, named)) is not None:
        return say(gate)
    if word not in REASONS:
        return said(text)
    if detail and word in WITH_DETAIL:
        return str(WITH_DETAIL[word]) % {"detail": detail}
    return f"{REASONS[word]}{gettext(': ')}{fit(trouble(note(detail)))}" if detail else str(REASONS[word])
