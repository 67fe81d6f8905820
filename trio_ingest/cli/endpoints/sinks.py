"""The sinks of a job: each open to its batches, and how a person spelled it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import attrs
import click

from trio_ingest import SetupError
from trio_ingest.connectors import SinkConnector, sink_connectors

from .endpoint import Endpoint, endpoint_of
from .options import options_for
from .user_code import USER_SINK

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
    def failures_place(self) -> str | None:
        """The place of failed records and rejected documents, if it keeps them."""
        return self.endpoint.connector.failures_place(self.place)


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
            Destination(end, end.connector.make(end.place, options_for(end, given), job))
            for end in ends
        ]
    except SetupError as error:
        raise click.UsageError(str(error)) from error
