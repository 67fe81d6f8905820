"""The bytes of a source: opened, decompressed by content, cut into lines, resumed by position.

Shared by the kinds of adapters; nothing here knows what a record or a document is.

    opening        a file or standard input, opened so that no thread is held
    decompression  compressed bytes in, bounded pieces of plain bytes out
    reader         chunks of a file, opened and decompressed on the way
    positions      places in a plain file, and the check that it is still the same file
    lines          chunks in, whole lines out
    line_reader    the numbered lines of a file, and the errors of damaged files
    line_count     the number of lines in a file, counted or estimated
    marks          byte order marks
"""
