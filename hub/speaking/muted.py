"""What a zone's mute does to announcements: P3 and P4 wait in the outbox, and are said together when it is over.

SQL for hub.speaking.outbox and the digest's words; nothing is decided elsewhere. A mute ends by the clock alone: nobody
has to end it. A siren, P1 and P2, and whoever is called in person are never held back.
"""

from collections.abc import Sequence

from hub.reading import Label

WAITING = ("P3", "P4")
# `b` is the outbox's row, `o` its occurrence, `f` its flip. An alarm that got worse meanwhile is not withheld any more.
_MAY_WAIT = "b.person = '' AND b.voice <> 'siren' AND coalesce(o.severity, '') IN ('P3', 'P4')"
WAITS = f"""({_MAY_WAIT} AND EXISTS (
  SELECT 1 FROM mute m WHERE m.zone = o.zone AND m.ended IS NULL AND m.at <= :now AND :now < m.until))"""  # noqa: S608
WITHHELD = f"""({_MAY_WAIT} AND EXISTS (SELECT 1 FROM mute m
  WHERE m.zone = o.zone AND m.at <= f.at AND f.at < coalesce(m.ended, m.until)))"""  # noqa: S608
_LATER = """FROM flip g CROSS JOIN outbox e ON e.flip = g.seq AND e.voice = b.voice AND e.person = b.person
  WHERE g.key = f.key AND g.occurrence = f.occurrence AND e.id > b.id AND e.status = 'pending'"""
# What of the same occurrence waits behind a withheld row, and is said with it; how often it came again; how it ended.
LATER = f"CASE WHEN {WITHHELD} THEN (SELECT json_group_array(e.id) {_LATER}) ELSE '[]' END"
AGAIN = f"CASE WHEN {WITHHELD} THEN (SELECT count(*) {_LATER} AND e.kind <> 'cleared') ELSE 0 END"
LAST = (
    f"CASE WHEN {WITHHELD} THEN coalesce((SELECT e.kind {_LATER} ORDER BY e.id DESC LIMIT 1), b.kind) ELSE b.kind END"
)
FOLD_LATER = (
    "UPDATE outbox SET status = 'folded', detail = ?, done = ? WHERE status = 'pending' AND id IN"
    " (SELECT value FROM json_each(?))"
)


def digest_title(count: int, zones: Sequence[Label]) -> Label:
    """How a digest is called; `zones`: those whose mute is over with it, none for one that a full channel made."""
    if not zones:
        return Label(zh=f"{count} 条通知合并为一条", en=f"{count} announcements in one")
    zh, en = "、".join(zone.zh for zone in zones), ", ".join(zone.en for zone in zones)
    return Label(zh=f"{zh}静默结束：期间 {count} 条通知", en=f"{en}: the mute is over; {count} withheld meanwhile")


def item_ends(times: int, last: str) -> tuple[Label, Label]:
    """What stands before and after an announcement in a digest: how often it was raised, and whether it is over."""
    none, often = Label(zh="", en=""), f" ×{times}" if times > 1 else ""
    if last != "cleared":
        return none, Label(zh=often, en=often)
    if not times:
        return Label(zh="解除 ", en="cleared "), none
    return none, Label(zh=f"{often}，已解除", en=f"{often}, over since")
