"""The kinds that installed packages name in their entry points."""

from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Final, TypeVar

import attrs

from trio_ingest import SetupError

from ._description import AdapterConnector, Connector, SinkConnector
from ._options import options_of

_OURS: Final = "trio-ingest"

_Kind_co = TypeVar("_Kind_co", bound=Connector, covariant=True)


@attrs.frozen
class Connectors(Mapping[str, _Kind_co]):
    """The kinds that are installed, by name, in the order of their names.

    Args:
        usable: the connectors.
        broken: why a kind that an installed package names cannot be used, by name.
    """

    __module__ = "trio_ingest.connectors"

    usable: Mapping[str, _Kind_co]
    broken: Mapping[str, str]

    def __getitem__(self, name: str) -> _Kind_co:
        return self.usable[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.usable)

    def __len__(self) -> int:
        return len(self.usable)


@cache
def adapter_connectors() -> Connectors[AdapterConnector]:
    """Return the kinds of sources that are installed; read once in a process."""
    return _installed("trio_ingest.adapters", AdapterConnector)  # type: ignore[type-abstract]


@cache
def sink_connectors() -> Connectors[SinkConnector]:
    """Return the kinds of sinks that are installed; read once in a process."""
    return _installed("trio_ingest.sinks", SinkConnector)  # type: ignore[type-abstract]


def _installed(group: str, base: type[_Kind_co]) -> Connectors[_Kind_co]:
    usable: dict[str, _Kind_co] = {}
    broken: dict[str, str] = {}
    # Ours first: no other package can take a name of ours away.
    for entry in sorted(entry_points(group=group), key=lambda e: (not _is_ours(e), e.name)):
        if entry.name in usable:
            continue
        try:
            usable[entry.name] = _loaded(entry, base)
        except (Exception, SystemExit) as error:  # noqa: BLE001 -- one must not stop the others
            broken[entry.name] = _reason(error)
    return Connectors(
        {name: usable[name] for name in sorted(usable)},
        {name: why for name, why in sorted(broken.items()) if name not in usable},
    )


def _is_ours(entry: EntryPoint) -> bool:
    return entry.dist is not None and entry.dist.name == _OURS


def _loaded(entry: EntryPoint, base: type[_Kind_co]) -> _Kind_co:
    cls = entry.load()
    if not (isinstance(cls, type) and issubclass(cls, base)):
        raise SetupError(f"{entry.value} is no subclass of {base.__name__}; name one that is.")
    connector = cls()
    missing = [name for name in base.__annotations__ if not hasattr(connector, name)]
    missing += [name for name in Connector.__annotations__ if not hasattr(connector, name)]
    if missing:
        raise SetupError(f"{entry.value} lacks {', '.join(missing)}; give the class each.")
    if connector.name != entry.name:
        raise SetupError(
            f"{entry.value} calls itself {connector.name!r} and its entry point "
            f"{entry.name!r}; give both one name."
        )
    options_of(connector.options)
    return connector


def _reason(error: BaseException) -> str:
    try:
        return f"{type(error).__name__}: {error}"[:300]
    except Exception:  # noqa: BLE001 -- whatever the text of another package's error does
        return type(error).__name__
