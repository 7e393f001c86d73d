"""What the audit trail's events are called, in the reader's language. One without a name of its own shows as it is."""

from typing import Any

from dashboard.language import upkeep_words
from dashboard.language.i18n import lazy_gettext

EVENTS: dict[str, Any] = {  # Any: flask_babel's lazy strings
    "login": lazy_gettext("signed in"),
    "login-failed": lazy_gettext("wrong password"),
    "login-delayed": lazy_gettext("had to wait"),
    "code-failed": lazy_gettext("wrong code"),
    "recovery-code": lazy_gettext("used a recovery code"),
    "logout": lazy_gettext("signed out"),
    "sessions-end": lazy_gettext("ended own sessions"),
    "password": lazy_gettext("changed the password"),
    "password-link": lazy_gettext("set a password by link"),
    "setup": lazy_gettext("first start"),
    "denied": lazy_gettext("was refused"),
    "factor": lazy_gettext("set up a second factor"),
    "factor-off": lazy_gettext("took the second factor away"),
    "user-add": lazy_gettext("added a user"),
    "user-role": lazy_gettext("changed a role"),
    "user-disable": lazy_gettext("disabled a user"),
    "user-enable": lazy_gettext("enabled a user"),
    "user-sessions": lazy_gettext("ended a user's sessions"),
    "user-factor": lazy_gettext("took a user's second factor away"),
    "user-password": lazy_gettext("gave a user a new password"),
    "user-link": lazy_gettext("made a link for a password"),
    "client-add": lazy_gettext("added a program"),
    "client-end": lazy_gettext("took a program's token back"),
    "audit-export": lazy_gettext("exported the audit trail"),
    "ack": lazy_gettext("acknowledged an alarm"),
    "comment": lazy_gettext("commented on an alarm"),
    "reset": lazy_gettext("reset an alarm"),
    "shelve": lazy_gettext("muted an alarm"),
    "unshelve": lazy_gettext("ended an alarm's mute"),
    "mute": lazy_gettext("muted a zone"),
    "unmute": lazy_gettext("ended a zone's mute"),
    "out-of-service": lazy_gettext("took out of service"),
    "in-service": lazy_gettext("put back into service"),
    "limit": lazy_gettext("changed a limit"),
    **upkeep_words.AUDIT,
    "report": lazy_gettext("had a report made"),
    "command": lazy_gettext("gave an order"),
    "test-voice": lazy_gettext("had a channel tested"),
    "calendar": lazy_gettext("changed the calendar"),
    "backup": lazy_gettext("made a backup"),
    "backup-check": lazy_gettext("had a backup read again"),
    "backup-download": lazy_gettext("downloaded a backup"),
    "device-try": lazy_gettext("gave a device a login to test it"),
    "device-add": lazy_gettext("added a device"),
    "watch": lazy_gettext("watched a line"),
    "drill": lazy_gettext("began a test"),
    "drill-end": lazy_gettext("ended a test"),
    "verdict": lazy_gettext("noted what an alarm was"),
    "dog": lazy_gettext("changed the register of dogs"),
    "dog-lost": lazy_gettext("reported a dog lost"),
    "dog-found": lazy_gettext("reported a dog found"),
    "dog-removed": lazy_gettext("took a dog off the register"),
    "dogs-export": lazy_gettext("exported the register of dogs"),
    "dogs-import": lazy_gettext("imported dogs"),
    "accept": lazy_gettext("took over an incident"),
    "duty-stand-in": lazy_gettext("changed the roster"),
    "duty-take-over": lazy_gettext("took over a shift"),
}


def audit_event(event: str) -> str:
    """The event in words."""
    return str(EVENTS.get(event, event))
