"""The files of a model directory, by name. Free of torch."""

CONFIG, CONFIGURATION, WEIGHTS, TOKENS = "config.yaml", "configuration.json", "model.pt", "tokens.txt"
"""What FunASR publishes and inference needs; a hub holds pictures and an example beside it."""
MANIFEST = "manifest.json"
"""Written by ``model pull``: where the files came from and what each has to hash to."""
CHECKED = "checked.json"
"""Written by a load: which weights file was hashed and looked through, so that the next load need not."""
