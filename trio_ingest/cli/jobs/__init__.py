"""One run or replay between its sources and its sinks."""
