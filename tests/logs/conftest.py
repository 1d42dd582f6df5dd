from hypothesis import settings

# No test asserts a time, and on a busy machine a deadline would.
settings.register_profile("logs", deadline=None)
settings.load_profile("logs")
