"""The life of one record, put together from what the topics keep of it."""
