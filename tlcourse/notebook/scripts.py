"""Names in any script, as far as this machine has letters for them: folders are named in their owner's language."""

import functools

from matplotlib import font_manager
from matplotlib.ft2font import FT2Font

USUAL = "DejaVu Sans"  # comes with matplotlib: Latin, Greek, Cyrillic, Arabic and many signs
# fonts of the usual systems for Chinese, Japanese, Korean, Devanagari, Thai and others, and of the Noto family
OTHERS = (
    *("Microsoft YaHei", "SimHei", "Yu Gothic", "Malgun Gothic", "Nirmala UI", "Leelawadee UI"),
    *("PingFang SC", "Hiragino Sans GB", "Hiragino Sans", "Apple SD Gothic Neo", "Arial Unicode MS"),
    *("Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans CJK KR", "Noto Sans SC", "WenQuanYi Micro Hei"),
    *("Noto Sans Devanagari", "Noto Sans Thai", "Noto Sans Hebrew", "Noto Sans", "Unifont"),
)
NO_LETTER = "?"


@functools.cache
def families() -> tuple[str, ...]:
    """Return the usual font and those of this machine for other scripts; matplotlib asks them in this order."""
    installed = {font.name for font in font_manager.fontManager.ttflist}
    return (USUAL, *(name for name in OTHERS if name in installed))


def writable(text: str) -> str:
    """Return a text that can be drawn: a letter that no font has becomes `?`, and a dollar sign begins no formula."""
    return "".join(letter if _has(letter) else NO_LETTER for letter in text).replace("$", r"\$")


@functools.cache
def _has(letter: str) -> bool:
    return any(font.get_char_index(ord(letter)) for font in _fonts())


@functools.cache
def _fonts() -> tuple[FT2Font, ...]:
    return tuple(FT2Font(font_manager.findfont(family)) for family in families())
