"""The five roles and what each may do: one explicit table, no ladder. Pure; the door that asks is `permissions.py`."""

from enum import StrEnum


class Role(StrEnum):
    """What a user is here."""

    VIEWER = "viewer"
    GUARD = "guard"
    MANAGER = "manager"
    AUDITOR = "auditor"
    ADMIN = "admin"


class Permission(StrEnum):
    """What a view needs."""

    OPEN = "open"  # nobody in particular: login page, style sheets, /healthz
    SEE = "see"  # what everybody sees who has a login
    REVIEW = "review"  # look at what only managers change: limits and their history
    ACKNOWLEDGE = "acknowledge"  # acknowledge and comment
    COMMAND = "command"  # move gates, switch relays
    UNATTENDED = "unattended"  # do by a program what a person gives the password for
    MANAGE = "manage"  # limits of rules, mutes of zones
    AUDIT = "audit"  # read the audit trail and the list of users
    ADMINISTER = "administer"  # users, their clients' tokens, settings


_SEES = frozenset({Permission.SEE})
_WATCHES = _SEES | {Permission.ACKNOWLEDGE}
_RUNS = _WATCHES | {Permission.REVIEW, Permission.COMMAND, Permission.MANAGE}

GRANTS: dict[Role, frozenset[Permission]] = {
    Role.VIEWER: _SEES,
    Role.GUARD: _WATCHES,
    Role.MANAGER: _RUNS,
    Role.AUDITOR: _SEES | {Permission.REVIEW, Permission.AUDIT},  # sees everything, changes nothing
    Role.ADMIN: _RUNS | {Permission.AUDIT, Permission.ADMINISTER},
}
CHANGES = frozenset({Permission.ACKNOWLEDGE, Permission.COMMAND, Permission.MANAGE, Permission.ADMINISTER}) | {
    Permission.UNATTENDED
}
ROLES = tuple(str(role) for role in Role)

# What a program's token may be good for. None of them reaches users and settings.
# No role has UNATTENDED: a person is asked.
SCOPES: dict[str, frozenset[Permission]] = {
    "read": _SEES | {Permission.REVIEW},
    "acknowledge": _WATCHES,
    "command": _SEES | {Permission.COMMAND},
    "gates": _SEES | {Permission.COMMAND, Permission.UNATTENDED},
    "manage": _SEES | {Permission.REVIEW, Permission.MANAGE},
    "audit": _SEES | {Permission.AUDIT},
}
