"""How the dashboard is reached, as the installer has it: `[page]` of `site.toml`, which `settings_web.py` checks."""

from enum import StrEnum

from hub.settings.site_voice import Strict


class SecondFactor(StrEnum):
    """Who must give a one-time code beside the password. Everybody may."""

    OPTIONAL = "optional"
    MANAGERS = "managers"  # managers, auditors and administrators
    EVERYBODY = "everybody"


class Way(StrEnum):
    """How the page is reached: by TLS of our own, in plain behind a proxy that speaks TLS, or in plain on loopback."""

    TLS = "tls"
    PROXY = "proxy"
    PLAIN = "plain"


class Web(Strict, frozen=True, kw_only=True):
    """`certificate`, `key`: the site's own (PEM; empty: one is made). `names`: what else the made one is to be called.

    `trusted_proxies`: addresses or networks whose X-Forwarded-For counts. `contact`: for /.well-known/security.txt.
    """

    certificate: str = ""
    key: str = ""
    names: tuple[str, ...] = ()
    trusted_proxies: tuple[str, ...] = ()
    second_factor: SecondFactor = SecondFactor.OPTIONAL
    contact: str = ""
