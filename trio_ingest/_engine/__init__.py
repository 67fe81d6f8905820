"""The part of the engine that moves records and events: tasks, channel, runtime."""
