"""The report to people: lines, a live display, sentences."""
