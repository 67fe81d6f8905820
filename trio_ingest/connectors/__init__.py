"""The description that a kind of source or sink gives of itself.

A kind is a folder with an adapter or a sink, and a ``connector.py`` that says how it is
spelled (``jsonl:PATH``), which options it has, how it is made, what it reads or writes, and
how one of its failed records is named to people. Entry points list the kinds, those of this
package like those of any other::

    [project.entry-points."trio_ingest.adapters"]
    upper = "my_package.connector:UpperConnector"

The command line, its help, ``trio-ingest adapters`` and ``sinks``, and the tables of the
documentation are made from these descriptions and know no kind by name.
"""

from __future__ import annotations

from ._description import AdapterConnector, Connector, SinkConnector, Touches
from ._installed import Connectors, adapter_connectors, sink_connectors
from ._options import NoOptions, Option, option, options_of

__all__ = [
    "AdapterConnector",
    "Connector",
    "Connectors",
    "NoOptions",
    "Option",
    "SinkConnector",
    "Touches",
    "adapter_connectors",
    "option",
    "options_of",
    "sink_connectors",
]
