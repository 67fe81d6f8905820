"""The command line: a door to the engine that does nothing a program could not.

``signals`` come first, then ``main``. ``commands`` has a file for each word, ``endpoints`` the
meaning of SOURCE and SINK, ``jobs`` one run or replay between them, ``terminal`` what is said
of it, ``demo`` a run that is killed, resumed and proved.
"""

from __future__ import annotations

__all__: list[str] = []
