"""What the site shares with a Home Assistant: `[home_assistant]` of `site.toml`, which `settings_share.py` checks."""

from hub.settings.site_voice import Strict

ROOT = "zhian-share"  # states stand below it; the user name of who publishes them, too
READER = "home-assistant"  # the user name of the Home Assistant at a broker of ours


class HomeAssistant(Strict, frozen=True, kw_only=True):
    """`devices`: ids of what is shared. `link`: the MQTT link whose broker it is (empty: the first one).

    `prefix`: where Home Assistant looks for devices. `username`, `password_file`: at a broker of the site's own.
    """

    devices: tuple[str, ...]
    link: str = ""
    prefix: str = "homeassistant"
    username: str = ""
    password_file: str = ""
