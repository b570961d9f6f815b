"""Handlers: one file per command family. A handler returns `Done` or raises `Refusal`."""
