"""The pages: a blueprint each, which gathers what its template shows and takes what its forms send; none decides."""

from flask import Blueprint

from dashboard import aside
from dashboard.pages import (
    acts,
    alarm_health,
    alarms,
    api,
    auth,
    briefing,
    devices,
    health,
    limits,
    more,
    mutes,
    now,
)

PAGES: tuple[Blueprint, ...] = (
    auth.bp,
    now.bp,
    alarms.bp,
    alarm_health.bp,
    acts.bp,
    limits.bp,
    mutes.bp,
    devices.bp,
    api.bp,
    health.bp,
    briefing.bp,
    more.bp,
    aside.bp,
)
