#!/usr/bin/env python3
"""
Show a tracked camera or video in a browser, without more than the standard library.

`python3 examples/web_server.py 0` shows camera 0 at http://127.0.0.1:8000.
"""

from __future__ import annotations

import sys
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import cv2

from persontrack_ros import PersonTracker, annotate

PART = b'--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%s\r\n'


class Newest:
    """The newest image, which one thread writes and others wait for."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._number = 0
        self._jpeg = b''

    def put(self, jpeg: bytes) -> None:
        """Replace the image."""
        with self._changed:
            self._number, self._jpeg = self._number + 1, jpeg
            self._changed.notify_all()

    def after(self, number: int) -> tuple[int, bytes]:
        """Wait for an image after that with a number; return it with its number."""
        with self._changed:
            self._changed.wait_for(lambda: self._number > number)
            return self._number, self._jpeg


class Handler(BaseHTTPRequestHandler):
    """Sends the images as a stream of JPEG, which browsers show."""

    newest = Newest()

    def do_GET(self) -> None:
        """Answer a request until the browser closes the page."""
        self.send_response(200)
        self.send_header('Content-Type', 'multipart/x-mixed-replace; boundary=frame')
        self.end_headers()
        number = 0
        # The browser closes the connection.
        with suppress(ConnectionError):
            while True:
                number, jpeg = self.newest.after(number)
                self.wfile.write(PART % (len(jpeg), jpeg))


def main() -> None:
    """Track the source that the command line names, at the port behind it."""
    source, port = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 8000
    server = ThreadingHTTPServer(('127.0.0.1', port), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f'http://127.0.0.1:{server.server_port}', flush=True)
    for result in PersonTracker().watch(source, online=True):
        _, jpeg = cv2.imencode('.jpg', annotate(result.image, result.tracks))
        Handler.newest.put(jpeg.tobytes())


if __name__ == '__main__':
    main()
