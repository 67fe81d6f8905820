"""``trio-ingest demo``: a run that is killed, resumed and proved."""
