"""Pictures for the documentation: ``python -m tools.pictures`` makes them, nobody draws them."""
