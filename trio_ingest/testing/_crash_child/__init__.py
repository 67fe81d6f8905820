"""The code that runs in a process that is going to be killed.

``sitecustomize`` is loaded by its interpreter, ``_steps`` counts the steps and dies at one of
them, ``_files`` and ``_sqlite`` make steps of calls of the standard library.
"""
