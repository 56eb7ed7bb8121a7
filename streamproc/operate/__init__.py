"""What operators use; reads topics, never imports the worker."""
