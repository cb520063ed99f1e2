"""A proxy in front of an S3 service that does to requests what networks and services do: it answers 500s and 503s in the service's place,
says 200 with an error inside, cuts, resets, changes bytes, or says nothing at all.

The `host` header is passed on as it came, so signatures stay good. What the errors look like is from the S3 API reference,
"Error responses".
"""

import collections
import http.client
import http.server
import random
import socket
import struct
import threading

ANSWER_SECONDS_MAX = 60
ERROR = ('<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{}</Code><Message>as the proxy was told</Message>'
         "<RequestId>1</RequestId></Error>")
FAULTS = ("500", "503", "200-error", "truncated", "reset", "changed", "lost")


class Proxy:
    """Of each method's requests every `nth` meets with one of `faults`, in turn; `met` counts them."""

    def __init__(self, port, behind, seed=1):
        self.behind, self.random, self.lock = behind, random.Random(seed), threading.Lock()
        self.nth, self.faults, self.met, self.asked = 0, (), collections.Counter(), collections.Counter()
        self.released = threading.Event()
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), self.handler())
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)

    def set(self, nth, *faults):
        with self.lock:
            self.nth, self.faults = nth, faults

    def draw(self, method):
        with self.lock:
            self.asked[method] += 1
            if not self.faults or self.asked[method] % self.nth != 0:
                return None
            # An object may hold what it likes, and only bodies of ours are compared by the service.
            fit = [each for each in self.faults if method == "PUT" or each not in ("changed", "200-error")]
            fault = min(fit, key=lambda each: self.met[each])
            self.met[fault] += 1
            return fault

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.released.set()
        self.server.shutdown()
        self.server.server_close()

    def handler(proxy):
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def pass_on(self):
                proxy.serve(self)

            do_GET = do_PUT = do_DELETE = do_HEAD = do_POST = pass_on

        return Handler

    def serve(self, asked):
        body = asked.rfile.read(int(asked.headers.get("content-length") or 0))
        fault = self.draw(asked.command)
        if fault in ("500", "503", "200-error"):
            code = {"500": "InternalError", "503": "SlowDown", "200-error": "InternalError"}[fault]
            return self.answer(asked, int(fault[:3]), {"content-type": "application/xml"}, ERROR.format(code).encode())
        if fault == "hang":
            self.released.wait(ANSWER_SECONDS_MAX)
            asked.close_connection = True
            return
        if fault == "reset":
            return self.cut(asked)
        if fault == "changed" and body:
            at = self.random.randrange(len(body))
            body = body[:at] + bytes([body[at] ^ 1]) + body[at + 1:]
        try:
            status, headers, answer = self.ask(asked, body)
        except OSError:
            return self.cut(asked)
        if fault == "lost":
            return self.cut(asked)
        self.answer(asked, status, headers, answer, truncated=fault == "truncated")

    def ask(self, asked, body):
        link = http.client.HTTPConnection(*self.behind, timeout=ANSWER_SECONDS_MAX)
        try:
            link.putrequest(asked.command, asked.path, skip_host=True, skip_accept_encoding=True)
            for name, value in asked.headers.items():
                if name.lower() != "connection":
                    link.putheader(name, value)
            link.endheaders(body)
            answer = link.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        except http.client.HTTPException as error:
            raise OSError(str(error)) from error
        finally:
            link.close()

    def answer(self, asked, status, headers, body, truncated=False):
        try:
            asked.send_response_only(status)
            for name, value in headers.items():
                if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                    asked.send_header(name, value)
            asked.send_header("content-length", str(len(body) + (1 if truncated and not body else 0)))
            asked.end_headers()
            asked.wfile.write(body[:len(body) // 2] if truncated else body)
        except OSError:
            asked.close_connection = True
        if truncated:
            self.cut(asked)

    @staticmethod
    def cut(asked):
        """A reset, not an end."""
        asked.close_connection = True
        try:
            asked.wfile.flush()
            asked.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            asked.connection.close()
        except OSError:
            pass
