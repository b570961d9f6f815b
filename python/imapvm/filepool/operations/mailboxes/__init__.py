"""Operations on mailboxes: creation, deletion, renaming, sharing, special uses, annotations."""
