"""Operations: changes to one environment, as frozen values with `apply(txn)`.

Each module has the operations of one IMAP command family or of one task, with their results. They
neither wait nor read a clock. Access to single tables belongs to `imapvm.filepool.tables`.
"""
