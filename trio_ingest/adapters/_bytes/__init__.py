"""The bytes of a source: opened, decompressed by content, cut into lines, resumed by position.

``opening`` and ``decompression`` serve ``reader``, which gives chunks; ``lines`` cuts them,
and ``line_reader`` numbers the lines and words the errors of damaged files. Nothing here
knows of records or documents.
"""
