"""What the office process does once at its start, so that nobody who opens a page waits for it later.

Templates are compiled before somebody asks for them, and what stays for ever is left out of the rounds of the garbage
collector.
"""

import asyncio
import gc
import sys

from flask import Flask

# Whoever has waited for something (the loop for its sockets, a page's thread for its turn) has to get the interpreter
# back. Beside one busy thread that took 6 ms each time with Python's own 5, 1 ms with this; a page needs it ten times.
SWITCH_S = 0.0005
REST_S = 0.02  # between two templates: who comes meanwhile is served


async def warm_up(app: Flask) -> None:
    """Takes a few seconds beside everything else; then ends."""
    sys.setswitchinterval(SWITCH_S)
    for name in app.jinja_env.list_templates():
        await asyncio.to_thread(app.jinja_env.get_template, name)
        await asyncio.sleep(REST_S)
    gc.collect()
    gc.freeze()  # a round through all that was imported holds every thread for a tenth of a second and more
