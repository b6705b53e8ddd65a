"""Properties are about answers, not about time: a loaded machine must not fail them."""

from hypothesis import HealthCheck, settings

settings.register_profile("belay", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("belay")
