"""The sources of a job: each an adapter, and how a person spelled it."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import attrs
import click

from trio_ingest import DocumentFailed, PipelineEvent, SetupError
from trio_ingest.connectors import AdapterConnector, adapter_connectors

from .endpoint import Endpoint, endpoint_of, is_ours, shortened
from .options import options_for
from .user_code import USER_ADAPTER

SourceEndpoint: TypeAlias = Endpoint[AdapterConnector]


@attrs.frozen
class Source:
    """A source of a job.

    Args:
        endpoint: as it was given.
        adapter: what reads it.
        options: those that the adapter was made with.
    """

    endpoint: SourceEndpoint
    adapter: Any
    options: Any


def source_endpoints(
    _context: click.Context, _parameter: click.Parameter, texts: Sequence[str]
) -> tuple[SourceEndpoint, ...]:
    """Return what the SOURCEs mean; refused when one is spelled wrong or cannot be read."""
    ends = tuple(endpoint_of(text, adapter_connectors(), USER_ADAPTER) for text in texts)
    try:
        identities = [end.identity for end in ends]
    except SetupError as error:
        raise click.BadParameter(str(error)) from error
    for end, identity in zip(ends, identities, strict=True):
        if identities.count(identity) > 1:
            raise click.BadParameter(f"{shortened(end.place)} is given twice; give it once.")
    return ends


def sources_for(ends: Sequence[SourceEndpoint], given: Mapping[str, Any]) -> list[Source]:
    """Return the sources that read ``ends``, made with the options that were given."""
    sources = []
    try:
        for end in ends:
            options = options_for(end, given)
            sources.append(Source(end, end.ask("make", options), options))
    except SetupError as error:
        raise click.UsageError(str(error)) from error
    return sources


def params_of(
    _context: click.Context, _parameter: click.Parameter, texts: Sequence[str]
) -> dict[str, Any]:
    """Return the params of a run: KEY=VALUE each, a VALUE of JSON as JSON has it."""
    params: dict[str, Any] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key.isidentifier():
            raise click.BadParameter(
                f"{shortened(text)} is not of the form KEY=VALUE, with a KEY that is a name."
            )
        if key in params:
            raise click.BadParameter(f"{key} is given twice; give it once.")
        try:
            params[key] = json.loads(value)
        except (ValueError, RecursionError):
            params[key] = value
    return params


def cannot_go_on(sources: Sequence[Source]) -> list[str]:
    """Return the names of the sources that a later run can only read from their start."""
    return [
        shortened(source.endpoint.place)
        for source in sources
        if not getattr(source.adapter, "stable_order", False) and not _takes_a_cursor(source)
    ]


def _takes_a_cursor(source: Source) -> bool:
    try:
        return "cursor" in inspect.signature(source.adapter.fetch).parameters
    except (TypeError, ValueError):
        return True  # of C, say: what it takes, a run will see


def job_of(ends: Sequence[SourceEndpoint]) -> str:
    """Return the name of a job that has no other: its sources, however they are spelled."""
    name = " ".join(sorted(end.identity for end in ends))
    return name if name.isprintable() else ascii(name)


def recorded_endpoint(source: str) -> SourceEndpoint:
    """Return what a recorded source probably was, which events name without its kind."""
    kinds = adapter_connectors().values()
    fitting = [kind for kind in kinds if is_ours(kind) and kind.suits(source)]
    return Endpoint(fitting[0] if fitting else USER_ADAPTER, source)


def failure_text(failure: DocumentFailed, sources: Mapping[str, Source]) -> str:
    """Return the place and the reason of a failed record, as its kind says it."""
    for connector, adapter in _asked(failure, sources):
        text = _said(connector.failure_text, failure, adapter)
        if text is not None:
            return text
    place = f"{failure.adapter}, record {failure.record_number}"
    return f"{place}: {failure.error_type}: {failure.error}"


def skipped_text(event: PipelineEvent, sources: Mapping[str, Source]) -> str | None:
    """Return the place of what was passed over, and why; None of other events."""
    for connector, adapter in _asked(event, sources):
        text = _said(connector.skipped_text, event, adapter)
        if text is not None:
            return text
    return None


def _said(ask: Callable[..., str | None], *arguments: Any) -> str | None:
    """The answer of a kind; None when it fails, which must not end the run."""
    try:
        text = ask(*arguments)
    except Exception:  # noqa: BLE001 -- a sentence is not worth a run
        return None
    return text if isinstance(text, str) else None


def _asked(
    event: PipelineEvent, sources: Mapping[str, Source]
) -> list[tuple[AdapterConnector, Any | None]]:
    """The kind of a source; in a replay, which has no adapters, each of our own."""
    try:
        source = sources.get(event.adapter)  # type: ignore[attr-defined] # else as below
    except Exception:  # noqa: BLE001 -- an event of a user's own may be anything
        source = None
    if source is not None:
        return [(source.endpoint.connector, source.adapter)]
    return [(kind, None) for kind in adapter_connectors().values() if is_ours(kind)]
