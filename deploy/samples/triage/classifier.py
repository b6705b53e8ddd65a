"""A stand-in for a classifier: POST /classify takes a ticket's text and answers one word.

It takes its time with a long one: what is beyond 200 characters is read at 500 a second.
"""

import os
import signal
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

WORDS = {"outage": ("down", "outage", "unreachable"), "billing": ("invoice", "charged", "refund")}


def label(ticket: str) -> str:
    """The first label with a word in the ticket, else `other`."""
    text = ticket.lower()
    return next((name for name, words in WORDS.items() if any(w in text for w in words)), "other")


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.answer("ok")

    def do_POST(self) -> None:
        size = min(int(self.headers.get("Content-Length") or 0), 64 * 1024)
        ticket = self.rfile.read(size).decode(errors="replace")
        time.sleep(max(0, len(ticket) - 200) / 500)
        self.answer(label(ticket))

    def answer(self, text: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None: ...


def main() -> None:
    server = ThreadingHTTPServer(("", int(os.environ.get("PORT", "8080"))), Handler)
    server.daemon_threads = False
    stop = threading.Thread(target=server.shutdown)
    signal.signal(signal.SIGTERM, lambda *_: stop.start())
    server.serve_forever()
    server.server_close()


if __name__ == "__main__":
    main()
