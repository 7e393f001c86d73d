"""The pages: a blueprint each, which gathers what its template shows and takes what its forms send; none decides."""

from flask import Blueprint

from dashboard.pages import (
    acts,
    alarm_health,
    alarms,
    api,
    auth,
    briefing,
    devices,
    dog_files,
    dogs,
    gates,
    health,
    limits,
    more,
    mutes,
    now,
    water,
)

PAGES: tuple[Blueprint, ...] = (
    auth.bp,
    now.bp,
    alarms.bp,
    alarm_health.bp,
    acts.bp,
    limits.bp,
    mutes.bp,
    gates.bp,
    water.bp,
    dog_files.bp,
    dogs.bp,
    devices.bp,
    api.bp,
    health.bp,
    briefing.bp,
    more.bp,
)
