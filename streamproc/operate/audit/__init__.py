"""The proof, from the logs alone, that each input offset reached exactly one end."""
