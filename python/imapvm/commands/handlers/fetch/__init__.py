"""FETCH: handler, stream of responses, decoded parts, changes since a MODSEQ."""
