"""Kafka in memory: what a worker and its judge can see of a cluster, without threads, sockets or real time.

Nothing here waits or draws lots. Time is the clock that was given, and acts at the beginning of each call: sessions
expire, abandoned transactions are aborted, retention passes, clients that live send their heartbeats. The adapters
wait through the ``sleep`` that they are given and name each place where others may come in between through ``point``.

``broker`` is the cluster; ``source`` and ``sink`` are what a worker sees of it. The rules are those of Kafka 4.3 and
librdkafka 2.16, read in their sources; ``tests/contract/test_source_sink.py`` plays them on the real ones too.
"""
