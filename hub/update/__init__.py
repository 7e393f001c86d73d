"""Another version on a box without internet: a signed file, a folder a version, and a way back.

It is called by hub/commands/update.py only, and knows nothing of devices, alarms or pages.
"""
