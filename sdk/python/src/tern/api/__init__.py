"""The hub's REST API: `types` (what is said) and `calls` (one method each), both written by `generate.py`."""
