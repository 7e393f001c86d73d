"""The pages: a blueprint each, which gathers what its template shows and takes what its forms send; none decides."""

from flask import Blueprint

from dashboard.pages import (
    acts,
    alarm_health,
    alarms,
    app,
    audit,
    auth,
    briefing,
    devices,
    factor,
    health,
    limits,
    more,
    mutes,
    now,
    plan,
    reset,
    service,
    setup,
    users,
)

PAGES: tuple[Blueprint, ...] = (
    auth.bp,
    setup.bp,
    factor.bp,
    reset.bp,
    users.bp,
    audit.bp,
    now.bp,
    alarms.bp,
    alarm_health.bp,
    acts.bp,
    limits.bp,
    mutes.bp,
    service.bp,
    devices.bp,
    health.bp,
    briefing.bp,
    more.bp,
    app.bp,
    plan.bp,
)
