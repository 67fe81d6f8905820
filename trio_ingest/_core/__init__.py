"""Decisions of the engine: events, checkpoints, order, retries. No I/O, await or clock."""
