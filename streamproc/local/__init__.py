"""Real servers on this computer, as plain processes, without Docker.

Layout, from what ``streamproc up`` does to what it stands on:

``stack``     up, down and status of all servers; the only module that others call
``kafka`` ``registry`` ``redis`` ``minio``   one recipe each: where its program comes from, its files, command and probe
``server``    what a recipe is, and the description of one server that it gives
``process``   start, recognise and stop a process by its identity, which outlives whoever started it
``ports``     free ports that stay the same between runs
``state``     what is kept in ``.streamproc/``: data, logs, process records, ``local.env``
``build``     ``python -m streamproc.local.build``: get the programs ahead of time
``java`` ``maven`` ``golang``                the tools, from PATH or from Python packages
``trust``     the system's certificate authorities, for the Java that comes with a Python package
``toolbox``   run a tool with a log, and report progress
``cache``     downloads and built servers: made once, complete or not there at all
``failure``   what went wrong, the end of its log, and what to do
"""
