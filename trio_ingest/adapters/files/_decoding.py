"""The text of a file's bytes, in the one encoding that was asked for."""

from __future__ import annotations

import codecs

from trio_ingest import SetupError
from trio_ingest.adapters._bytes.marks import marked_encoding
from trio_ingest.adapters.errors import BadDocumentError


def canonical_encoding(encoding: str) -> str:
    """Return Python's own name of a text encoding.

    Raises:
        SetupError: it is not known, or not one of text.
    """
    try:
        # Only a text encoding can do this; and an empty text would not be looked at.
        b"a".decode(encoding)
        known = codecs.lookup(encoding).name
    except UnicodeError:
        known = codecs.lookup(encoding).name
    except (LookupError, ValueError) as error:
        raise SetupError(
            f"The encoding {encoding!r:.80} is not known to Python; give the name of a text "
            f"encoding, such as utf-8, utf-16 or cp1252."
        ) from error
    # The mark is removed in any case, and positions are counted from the file's start.
    return "utf-8" if known == "utf-8-sig" else known


def decode_text(data: bytes, encoding: str, path: str) -> str:
    """Return the text of a file, without its byte order mark.

    Raises:
        BadDocumentError: the bytes are not of this encoding; the message names ``path``.
    """
    marked = marked_encoding(data)
    if marked is not None and not encoding.startswith(marked.lower()):
        raise BadDocumentError(
            path,
            f"the file is {marked}, as its byte order mark says, and was to be read as "
            f"{encoding}. Give the encoding {marked.lower()}, or convert it: "
            f"iconv -f {marked} -t UTF-8.",
        )
    try:
        return data.decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise BadDocumentError(
            path,
            f"the file is not valid {encoding}: byte 0x{data[error.start]:02x} at position "
            f"{error.start + 1:,} ({error.reason}). Convert it, or give the encoding that it "
            f"has.",
        ) from error
