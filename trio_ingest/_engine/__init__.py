"""Motion of records and events: tasks, channel, runtime; ``_core`` decides."""
