"""The meaning of SOURCE and SINK."""
