"""The proof of the analytics app, with its figures."""
