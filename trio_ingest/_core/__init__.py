"""The part of the engine that decides: no I/O, no ``await``, no clock, no Trio."""
