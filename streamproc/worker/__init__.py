"""The life of one record, from poll to commit."""
