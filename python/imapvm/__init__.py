"""imapvm: an IMAP server. Trio decides, Rust speaks, LMDB keeps."""
