"""Scenarios: what a load sends. Values, TOML files, and the built-in files in `builtin/`.

Nothing here depends on a server, a duration or a rate: those belong to `load`.
"""
