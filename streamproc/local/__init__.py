"""Real servers on this computer, as plain processes, without Docker."""
