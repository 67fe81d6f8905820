"""Byte order marks, which name the encoding of the text behind them."""

from __future__ import annotations

import codecs
from typing import Final

# In this order: a mark of UTF-16 begins one of UTF-32.
_ENCODINGS: Final = {
    codecs.BOM_UTF8: "UTF-8",
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}


def marked_encoding(data: bytes) -> str | None:
    """Return the encoding that the mark at the start of ``data`` names; None without one."""
    return next((name for mark, name in _ENCODINGS.items() if data.startswith(mark)), None)
