"""The life of one record, one file a step, in the order of that life."""
