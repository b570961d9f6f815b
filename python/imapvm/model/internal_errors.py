"""What counts as our own bug, where one connection or one spool file must not take others along."""


def is_internal_error(error: BaseException) -> bool:
    """True for exceptions nobody foresaw; False for cancellation, interrupts and exits.

    A panic in the extension arrives as `PanicException`, a `BaseException` that cannot be imported.
    """
    return isinstance(error, Exception) or type(error).__name__ == "PanicException"
