"""A live view of workers, from what they expose."""
