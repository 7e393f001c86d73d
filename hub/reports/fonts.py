"""A font with Chinese for PDFs: one of Debian's TrueType fonts, embedded; without one, the reader's own Song type.

ReportLab embeds TrueType outlines only, so that Noto's CJK fonts (PostScript outlines) are of no use here.
"""

from pathlib import Path

import msgspec
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfbase.ttfonts import TTFError, TTFont

FONTS = Path("/usr/share/fonts/truetype")
KNOWN = ("wqy/wqy-microhei.ttc", "wqy/wqy-zenhei.ttc", "droid/DroidSansFallbackFull.ttf", "arphic/uming.ttc")
BUILT_IN = "STSong-Light"  # named in the file, not in it: every PDF reader has or finds a font for it


class Font(msgspec.Struct, frozen=True):
    """A registered font. Not `embedded`: the page looks as the reader's own font has it."""

    name: str
    embedded: bool


def chinese_font(folder: Path = FONTS) -> Font:
    """The first of KNOWN that is there and can be used (fonts-wqy-microhei is enough), else BUILT_IN."""
    for number, path in enumerate(folder / name for name in KNOWN):
        name = f"zhian-{number}"
        if name in pdfmetrics.getRegisteredFontNames() and folder == FONTS:
            return Font(name, embedded=True)
        if path.is_file():
            try:
                pdfmetrics.registerFont(TTFont(name, path))
            except (TTFError, OSError):
                continue
            return Font(name, embedded=True)
    if BUILT_IN not in pdfmetrics.getRegisteredFontNames():
        pdfmetrics.registerFont(UnicodeCIDFont(BUILT_IN))
    return Font(BUILT_IN, embedded=False)
