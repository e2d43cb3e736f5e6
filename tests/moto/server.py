"""Moto's AWS on a free port of loopback. It says where, and ends when its standard input does,
which is when whoever started it ends, however that comes about."""

import logging
import sys

from moto.server import ThreadedMotoServer

# A line for each request would hide what a test says.
logging.getLogger("werkzeug").setLevel(logging.ERROR)
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
host, port = server.get_host_and_port()
print(f"http://{host}:{port}", flush=True)
sys.stdin.read()
server.stop()
