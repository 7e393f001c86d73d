"""How hypothesis works here: never by the clock, because the machine may be busy."""

from hypothesis import HealthCheck, settings

settings.register_profile("zhian", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("zhian")
