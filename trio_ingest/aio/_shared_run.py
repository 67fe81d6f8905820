"""The run state machine for two threads: the engine's, and the consumer's."""

from __future__ import annotations

import threading
from typing import Any

from trio_ingest import BatchProgress, Checkpoint
from trio_ingest._core.adapter_run import AdapterRun
from trio_ingest._core.run import Run


class SharedRun(Run):
    """A run whose checkpoints may be asked for from another thread.

    The lock is never held for longer than it takes to make a checkpoint, so the consumer does
    not wait for an adapter that holds the engine's thread. The facts about ordinary documents
    need no lock, since they only add to what waits to be settled.
    """

    __slots__ = ("_lock",)

    def __init__(self, *args: Any, **options: Any) -> None:
        self._lock = threading.RLock()
        super().__init__(*args, **options)

    def acknowledge(self, acknowledged: int) -> None:
        with self._lock:
            super().acknowledge(acknowledged)

    def checkpoint(self, acknowledged: int) -> Checkpoint:
        with self._lock:
            return super().checkpoint(acknowledged)

    def progress(
        self, now: float, timestamp: float, queue_depth: int, *, checkpoint: bool = False
    ) -> BatchProgress:
        with self._lock:
            return super().progress(now, timestamp, queue_depth, checkpoint=checkpoint)

    def already_done(
        self, adapter_run: AdapterRun, record_number: int, *, resumed: bool = False
    ) -> None:
        with self._lock:
            super().already_done(adapter_run, record_number, resumed=resumed)

    def cursor_yielded(self, adapter_run: AdapterRun, value: Any) -> None:
        with self._lock:
            super().cursor_yielded(adapter_run, value)

    def exhausted(self, adapter_run: AdapterRun) -> None:
        with self._lock:
            super().exhausted(adapter_run)
