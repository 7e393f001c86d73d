"""How bytes become readings, and orders become bytes: pure functions of what came and of the device's profile.

No I/O, no clock, no event loop: whatever is here can be tested with a byte string.
"""
