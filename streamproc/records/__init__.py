"""What flows: pure values, their identity and their Avro. Knows no server."""
