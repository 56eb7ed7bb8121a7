"""Preflight: what has to be right before a worker starts, one noun a file."""
