"""The bytes of a source: opened, decompressed by content, cut into lines, placed."""
