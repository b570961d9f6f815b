"""FETCH: handler, stream of responses, decoded parts."""
