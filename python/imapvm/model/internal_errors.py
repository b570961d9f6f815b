"""Internal errors: exceptions that end one connection or one spool file, and nothing else."""


def is_internal_error(error: BaseException) -> bool:
    """Return True for unexpected exceptions; False for cancellation, interrupts and exits.

    A panic in the extension raises `PanicException`, a `BaseException` that cannot be imported.
    """
    return isinstance(error, Exception) or type(error).__name__ == "PanicException"
