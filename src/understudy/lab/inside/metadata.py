"""A small stand-in for the metadata service of the Compute API: tells an instance its own id.

It believes what comes signed by Neutron's metadata agent only, as Nova does (nova/api/metadata/handler.py). Run as
``metadata.py ADDRESS PORT`` with the shared secret on standard input; it ends with the process that started it.
"""

import ctypes
import hmac
import signal
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_SET_PARENT_DEATH_SIGNAL = 1


def serve(address: str, port: int, secret: bytes) -> None:
    """Answer until the end."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            instance = self.headers.get("X-Instance-ID", "")
            signature = hmac.new(secret, instance.encode(), "sha256").hexdigest()
            fits = bool(instance) and signature == self.headers.get("X-Instance-ID-Signature")
            body = instance.encode() if fits else b"not signed by the metadata agent"
            self.send_response(200 if fits else 403)
            self.send_header("Content-Type", "text/plain")  # Neutron's metadata agent fails without one
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Write nothing."""

    ThreadingHTTPServer((address, port), Handler).serve_forever()


if __name__ == "__main__":
    ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)
    serve(sys.argv[1], int(sys.argv[2]), sys.stdin.readline().strip().encode())
