"""Source, transactional sink, registry, admin. librdkafka's names live only here."""
