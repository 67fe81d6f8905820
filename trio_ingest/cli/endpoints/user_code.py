"""MODULE:NAME: an adapter or a sink in a module of the user's own."""

from __future__ import annotations

import importlib
import inspect
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from trio_ingest import SetupError
from trio_ingest.cli.terminal.error_messages import exception_text
from trio_ingest.connectors import AdapterConnector, SinkConnector

FORM: Final = "MODULE:NAME"

SPELLING: Final = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")


def named(spelling: str) -> Callable[..., Any]:
    """Return what ``MODULE:NAME`` names; modules of the current directory are found first.

    Raises:
        SetupError: there is no such thing, or it cannot be called.
    """
    if not SPELLING.fullmatch(spelling):
        raise SetupError(
            f"{spelling!r:.80} is not MODULE:NAME; say it like feeds:make_feed, for make_feed "
            f"in feeds.py."
        )
    module_name, _, name = spelling.partition(":")
    if os.getcwd() not in sys.path:  # noqa: PTH109 - sys.path has texts
        sys.path.insert(0, os.getcwd())  # noqa: PTH109 - the same
    try:
        found: Any = importlib.import_module(module_name)
        for part in name.split("."):
            found = getattr(found, part)
    except (Exception, SystemExit) as error:
        raise SetupError(
            f"{spelling!r:.80} cannot be imported: {exception_text(error)}. The "
            f"module must be installed, or be in the current directory."
        ) from error
    if not callable(found):
        raise SetupError(
            f"{spelling!r:.80} is {found!r:.80}; name a class or a function that makes one."
        )
    return found  # type: ignore[no-any-return] # what it takes, its caller will see


class UserAdapter(AdapterConnector):
    """An adapter that a class or a function of the user makes."""

    name = ""
    form = FORM
    summary = (
        "A class or a function of yours that makes an adapter, without arguments; modules of "
        "the current directory are found first. --param gives arguments to its fetch."
    )
    resumes = "as the adapter says"
    order = "as the adapter says"
    memory = "as the adapter says"

    def check(self, place: str) -> None:
        """Refuse what cannot be imported, or called."""
        named(place)

    def make(self, place: str, options: Any) -> Any:
        """Call what is named.

        Raises:
            SetupError: it fails.
        """
        del options
        adapter = _made(place, named(place))
        missing = [part for part in ("source", "fetch", "parse") if not hasattr(adapter, part)]
        if missing:
            raise SetupError(
                f"{place} made {adapter!r:.80}, which is no adapter: it lacks "
                f"{', '.join(missing)}."
            )
        return adapter


class UserSink(SinkConnector):
    """A sink that a class or a function of the user makes."""

    name = ""
    form = FORM
    summary = (
        "A class or a function of yours that makes a sink: without arguments, or of a folder, "
        "a pathlib.Path, which is then the current directory."
    )
    guarantee = "as the sink says"

    def check(self, place: str) -> None:
        """Refuse what cannot be imported, or called."""
        named(place)

    def make(self, place: str, options: Any, job: str) -> Any:
        """Call what is named, with the current directory if it takes a folder.

        Raises:
            SetupError: it fails.
        """
        del options, job
        make = named(place)
        return _made(place, make, *([Path.cwd()] if _takes_a_folder(make) else []))


USER_ADAPTER: Final = UserAdapter()
USER_SINK: Final = UserSink()


def _takes_a_folder(make: Callable[..., Any]) -> bool:
    try:
        parameters = inspect.signature(make).parameters.values()
    except (TypeError, ValueError):
        return False  # of C: it will be called without
    needed = [p for p in parameters if p.default is p.empty and p.kind < p.VAR_POSITIONAL]
    return len(needed) == 1


def _made(place: str, make: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return make(*arguments)
    except SetupError:
        raise
    except (Exception, SystemExit) as error:
        raise SetupError(
            f"{place} failed when it was called to make one: {exception_text(error)}."
        ) from error
