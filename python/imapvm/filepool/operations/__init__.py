"""Operations: changes to the filepool as frozen values with `apply(txn)`."""
