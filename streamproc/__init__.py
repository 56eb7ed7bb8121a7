"""streamproc: recordings in, emotion results out, exactly once.

Layout, in the order a record meets the rooms:

``kafka``     source and transactional sink; librdkafka names live only here
``records``   what flows: recording, analysis, result, segment, ledger, dead letter, and their Avro
``storage``   the object store
``dedupe``    the tiers that remember an analysis by its content key
``audio``     bytes to 16 kHz segments, in sandboxed children
``emotion``   waveforms to scores, in a device process; the only room that imports torch
``worker``    the life of one record: pure stages, and the runtime that owns threads and processes
``wiring``    the only place that joins rooms
"""

__version__ = "0.1.0"
