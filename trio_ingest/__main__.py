"""``python -m trio_ingest`` is the command line ``trio-ingest``."""

from __future__ import annotations

import sys

from trio_ingest.cli import main

if __name__ == "__main__":
    sys.exit(main())
