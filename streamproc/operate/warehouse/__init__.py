"""Results in a warehouse: connectors of Kafka Connect, and what an analyst asks the database."""
