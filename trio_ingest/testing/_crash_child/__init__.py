"""What runs in the process that is going to be killed.

``sitecustomize`` is found by its interpreter, ``_points`` counts the steps and dies at one of
them, ``_files`` and ``_sqlite`` tell it of the steps that nobody declares.
"""
