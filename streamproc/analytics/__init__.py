"""Trends and alerts over the results: windows per agent, queue and tenant, kept right by late and repeated rows.

What is computed is pure and knows neither Kafka nor Faust; ``app`` feeds it, ``member`` and ``emission`` tell others.

observation -> tally -> fold (one partition) -> partial -> view (all partitions) -> trend, alert
"""
