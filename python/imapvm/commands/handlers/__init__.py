"""Handlers: one module per command family. A handler returns `Done` or raises `Refusal`.

A handler that may wait is one coroutine. It writes untagged responses to `ctx.out`, and calls
`ctx.flush` at least every 64 KiB.
"""
