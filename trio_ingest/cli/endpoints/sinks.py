"""The sinks of a job: each open to its batches, and how a person spelled it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias

import attrs
import click

from trio_ingest import SetupError
from trio_ingest.connectors import SinkConnector, sink_connectors
from trio_ingest.delivery import ResumableSink

from .endpoint import Endpoint, endpoint_of
from .options import options_for
from .user_code import USER_SINK

# The parts that every sink has.
_NEEDED: Final = ("name", "guarantee", "write", "__aenter__", "__aexit__")

SinkEndpoint: TypeAlias = Endpoint[SinkConnector]


@attrs.frozen
class Destination:
    """A sink of a job.

    Args:
        endpoint: as it was given.
        sink: not yet open.
    """

    endpoint: SinkEndpoint
    sink: Any

    @property
    def place(self) -> str:
        """The place as it was given, for sentences."""
        return self.endpoint.place

    @property
    def restart_empties(self) -> bool:
        """True when a job that begins again loses the documents that are there."""
        return self.endpoint.connector.restart_empties

    @property
    def keeps_checkpoint(self) -> bool:
        """True when a run can be resumed from what the sink keeps."""
        return isinstance(self.sink, ResumableSink)

    @property
    def failures_place(self) -> str | None:
        """The place of failed records and rejected documents, if it keeps them."""
        place = self.endpoint.ask("failures_place")
        return place if isinstance(place, str) else None


def sink_endpoints(
    _context: click.Context, _parameter: click.Parameter, texts: Sequence[str]
) -> tuple[SinkEndpoint, ...]:
    """Return what the SINKs mean; refused when one is spelled wrong or cannot be one."""
    return tuple(endpoint_of(text, sink_connectors(), USER_SINK) for text in texts)


def destinations_for(
    ends: Sequence[SinkEndpoint], given: Mapping[str, Any], *, job: str
) -> list[Destination]:
    """Return the sinks that write to ``ends``, made with the options that were given."""
    try:
        return [
            Destination(end, _checked(end, end.ask("make", options_for(end, given), job)))
            for end in ends
        ]
    except SetupError as error:
        raise click.UsageError(str(error)) from error


def _checked(endpoint: SinkEndpoint, sink: Any) -> Any:
    """A sink, once it has what every sink has."""
    lacking = [name for name in _NEEDED if not hasattr(sink, name)]
    if lacking:
        raise SetupError(
            f"{endpoint.place:.80} made a {type(sink).__name__}, which is no sink: it has no "
            f"{' and no '.join(lacking)}. `trio-ingest check sink` says what a sink must do."
        )
    if not isinstance(sink.name, str) or not sink.name:
        raise SetupError(
            f"{endpoint.place:.80} made a sink whose name is {sink.name!r:.80}; give it "
            f"a text."
        )
    return sink
