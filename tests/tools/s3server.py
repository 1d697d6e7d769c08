#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the guestdump authors
"""usage: s3server.py DIRECTORY [FAULT] - as much of S3 as uploads in parts and reading need, with faults

Objects are DIRECTORY/BUCKET/KEY; the bucket exists if its directory does. Parts of an upload are in
DIRECTORY/uploads/ID. DIRECTORY/log has a line for each request, DIRECTORY/sent the size of
each range that was read, DIRECTORY/port the port. The
signature and Content-MD5 of each request are checked, by Amazon's description, with the access key
AKID and the secret key "SECRET/KEY+1"; if DIRECTORY/token exists, with that session token. The
bucket "open" needs no signature; if DIRECTORY/sig exists, the query must be sig= and that.
/moved/... leads to /open/....

Each fault happens to the first attempt of each part, if it is not "every-...":
    500, 503, every-500, expired, close, every-close   what a part is answered with
    etag, every-etag        the checksum of other bytes
    hang                    no part is answered
    slow                    each part takes a second
    die                     the server ends at the third part
    late-error              completing: status 200, and then an error in the answer
    lost-answer             completing: the object is made, but nothing is answered
    skew, no-get            the first request is refused: the clock; no permission to read
Reading, of which the first request for each object is answered well:
    get-500, get-503, get-close, every-get-close        the first, or each, request for a range
    get-expired             the token has expired
    get-replaced            another object has been put there
    get-shorter             a part of the range, as if that had been asked for
    no-ranges               Range is ignored, also by the first answer
    no-etag                 no answer has an ETag
"""

import base64
import hashlib
import hmac
import http.server
import os
import pathlib
import shutil
import sys
import threading
import time
import urllib.parse

ROOT = pathlib.Path(sys.argv[1])
FAULT = sys.argv[2] if len(sys.argv) > 2 else "none"
SECRET = "SECRET/KEY+1"

lock = threading.Lock()
attempts = {}
etags = {}


def first_time(what):
    with lock:
        attempts[what] = attempts.get(what, 0) + 1
        return attempts[what] == 1


def parts_so_far():
    with lock:
        return len(attempts)


def hmac_of(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


class Refused(Exception):
    def __init__(self, status, code, message):
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def answer(self, status, text="", **headers):
        body = text.encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def check_signature(self):
        auth = self.headers.get("Authorization", "")
        if not auth.startswith("AWS4-HMAC-SHA256 "):
            raise Refused(403, "AccessDenied", "no signature")
        fields = dict(f.strip().split("=", 1) for f in auth.split(" ", 1)[1].split(","))
        key, date, region, service, end = fields["Credential"].split("/")
        names = fields["SignedHeaders"].split(";")
        path, _, query = self.path.partition("?")
        query = "&".join(sorted(query.split("&")))
        canonical = "\n".join(
            [self.command, path, query] +
            ["%s:%s" % (n, (self.headers[n] or "").strip()) for n in names] +
            ["", ";".join(names), self.headers["x-amz-content-sha256"]])
        scope = "/".join([date, region, service, end])
        text = "\n".join(["AWS4-HMAC-SHA256", self.headers["x-amz-date"], scope,
                          hashlib.sha256(canonical.encode()).hexdigest()])
        secret = ("AWS4" + SECRET).encode()
        for step in (date, region, service, "aws4_request"):
            secret = hmac_of(secret, step)
        if key != "AKID" or hmac_of(secret, text).hex() != fields["Signature"]:
            raise Refused(403, "SignatureDoesNotMatch", "the signature is not that of the request")
        needed = {h.lower() for h in self.headers if h.lower().startswith("x-amz-")} | {"host"}
        needed |= {"content-md5"} if "Content-MD5" in self.headers else set()
        if not needed <= set(names):
            raise Refused(403, "AccessDenied", "not signed: %s" % (needed - set(names)))
        token = ROOT / "token"
        if token.exists() and self.headers.get("x-amz-security-token") != token.read_text():
            raise Refused(403, "InvalidToken", "another token")

    def check_access(self):
        sig = ROOT / "sig"
        if self.bucket != "open":
            self.check_signature()
        elif "Authorization" in self.headers:
            raise Refused(400, "InvalidArgument", "a signature where none is needed")
        elif sig.exists() and self.query.get("sig") != sig.read_text():
            raise Refused(403, "AccessDenied", "another signature")

    def read_body(self):
        length = int(self.headers.get("Content-Length", 0))
        if FAULT == "close" and self.command == "PUT" and first_time(self.path):
            self.rfile.read(length // 2)
            self.close_connection = True
            return None
        body = self.rfile.read(length)
        if len(body) < length:
            self.close_connection = True
            return None
        return body

    def handle_any(self):
        url = urllib.parse.urlsplit(self.path)
        self.query = dict(urllib.parse.parse_qsl(url.query, keep_blank_values=True))
        self.bucket, _, self.key = urllib.parse.unquote(url.path).lstrip("/").partition("/")
        with lock:
            with open(ROOT / "log", "a", encoding="utf-8") as log:
                print(self.command, self.path, file=log)
        body = self.read_body()
        if body is None:
            return
        if self.bucket == "moved":
            self.answer(302, Location="/open/" + self.key)
            return
        try:
            self.check_access()
            if not (ROOT / self.bucket).is_dir():
                raise Refused(404, "NoSuchBucket", "The specified bucket does not exist")
            getattr(self, "handle_" + self.command)(body)
        except Refused as r:
            self.answer(r.status, '<?xml version="1.0"?>\n<Error><Code>%s</Code><Message>%s</Message></Error>'
                        % (r.code, r.message))

    do_GET = do_PUT = do_POST = do_DELETE = handle_any

    def upload(self):
        path = ROOT / "uploads" / self.query["uploadId"].replace("/", "_")
        if not path.is_dir():
            raise Refused(404, "NoSuchUpload", "The specified upload does not exist")
        return path

    def etag_of(self, path):
        with lock:
            return etags.get(path) or "%x" % path.stat().st_mtime_ns

    # What a range is answered with; returns whether that was all
    def fail_range(self, first, data):
        again = "" if first_time(self.path + self.headers["Range"]) else "every-"
        if FAULT in ("get-500", "get-503") and not again:
            raise Refused(int(FAULT[4:]), "SlowDown" if FAULT == "get-503" else "InternalError", "later")
        if FAULT == "get-expired":
            raise Refused(403, "ExpiredToken", "The provided token has expired.")
        if FAULT == "every-get-close" or (FAULT == "get-close" and not again):
            self.send_response(206)
            self.send_header("Content-Range", "bytes %d-%d/%d" % (first, first + len(data) - 1, 1 << 30))
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data[:len(data) // 2])
            self.close_connection = True
            return True
        return False

    def send_range(self, path, first, last):
        size = path.stat().st_size
        etag = {} if FAULT == "no-etag" else {"ETag": '"%s"' % self.etag_of(path)}
        if first >= size:
            raise Refused(416, "InvalidRange", "The requested range is not satisfiable")
        with open(path, "rb") as f:
            f.seek(first)
            data = f.read(min(last, size - 1) - first + 1)
        with lock:
            with open(ROOT / "sent", "a", encoding="utf-8") as sent:
                print(len(data), file=sent)
        if first and self.fail_range(first, data):
            return
        if FAULT == "get-replaced" and first:
            etag = {"ETag": '"another"'}
        if FAULT == "get-shorter" and first:
            data = data[:100]
        if self.headers.get("If-Match", etag.get("ETag")) != etag.get("ETag"):
            raise Refused(412, "PreconditionFailed", "another object")
        self.send_response(206)
        self.send_header("Content-Range", "bytes %d-%d/%d" % (first, first + len(data) - 1, size))
        self.send_header("Content-Length", str(len(data)))
        for name, value in etag.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def handle_GET(self, _):
        path = ROOT / self.bucket / self.key
        if FAULT == "skew":
            raise Refused(403, "RequestTimeTooSkewed", "the difference is too large")
        if FAULT == "no-get":
            raise Refused(403, "AccessDenied", "Access Denied")
        if not path.exists():
            raise Refused(404, "NoSuchKey", "The specified key does not exist.")
        first, _, last = self.headers["Range"][len("bytes="):].partition("-")
        if FAULT == "no-ranges":
            self.answer(200, "x" * 100000, ETag='"%s"' % self.etag_of(path))
        else:
            self.send_range(path, int(first), int(last))

    def handle_PUT(self, body):
        digest = hashlib.md5(body).digest()
        if base64.b64encode(digest).decode() != self.headers["Content-MD5"]:
            raise Refused(400, "BadDigest", "the bytes have another checksum")
        if FAULT == "hang":
            time.sleep(1000)
        if FAULT == "slow":
            time.sleep(1)
        if FAULT == "expired":
            raise Refused(403, "ExpiredToken", "The provided token has expired.")
        if FAULT == "every-500" or (FAULT == "500" and first_time(self.path)):
            raise Refused(500, "InternalError", "We encountered an internal error.")
        if FAULT == "503" and first_time(self.path):
            raise Refused(503, "SlowDown", "Please reduce your request rate.")
        if FAULT == "every-close":
            self.close_connection = True
            return
        if FAULT == "die" and first_time(self.path) and parts_so_far() >= 3:
            os._exit(0)
        if "uploadId" not in self.query:
            self.put_whole(body, digest)
            return
        number = int(self.query["partNumber"])
        (self.upload() / ("%05d" % number)).write_bytes(body)
        wrong = FAULT == "every-etag" or (FAULT == "etag" and first_time(self.path))
        self.answer(200, ETag='"%s"' % (digest[::-1] if wrong else digest).hex())

    def put_whole(self, body, digest):
        path = ROOT / self.bucket / self.key
        if path.exists() and self.headers.get("If-None-Match") == "*":
            raise Refused(412, "PreconditionFailed", "the object exists")
        path.write_bytes(body)
        self.answer(201, ETag='"%s"' % digest.hex())

    def handle_POST(self, body):
        if "uploads" in self.query:
            name = "id+%d/%s" % (time.time_ns(), os.getpid())
            (ROOT / "uploads" / name.replace("/", "_")).mkdir(parents=True)
            self.answer(200, '<?xml version="1.0"?>\n<InitiateMultipartUploadResult><UploadId>%s'
                        "</UploadId></InitiateMultipartUploadResult>" % name)
            return
        upload, target = self.upload(), ROOT / self.bucket / self.key
        if target.exists() and self.headers.get("If-None-Match") == "*":
            raise Refused(412, "PreconditionFailed", "the object exists")
        if FAULT == "late-error" and first_time("complete"):
            self.answer(200, " \n <Error><Code>InternalError</Code><Message>try again</Message></Error>")
            return
        etag = self.assemble(upload, target, body.decode())
        with lock:
            etags[target] = etag
        if FAULT == "lost-answer" and first_time("complete"):
            self.close_connection = True
            return
        self.answer(200, '<?xml version="1.0"?>\n<CompleteMultipartUploadResult xmlns="x"><ETag>&quot;%s&quot;'
                    "</ETag></CompleteMultipartUploadResult>" % etag)

    def assemble(self, upload, target, wanted):
        names = sorted(p.name for p in upload.iterdir())
        digests = []
        target.parent.mkdir(parents=True, exist_ok=True)
        with open(upload / "all", "wb") as out:
            for i, name in enumerate(names):
                data = (upload / name).read_bytes()
                digest = hashlib.md5(data)
                digests.append(digest.digest())
                part = "<Part><PartNumber>%d</PartNumber><ETag>&quot;%s&quot;</ETag></Part>" % (
                    i + 1, digest.hexdigest())
                if part not in wanted:
                    raise Refused(400, "InvalidPart", "part %d" % (i + 1))
                if i + 1 < len(names) and len(data) < 5 << 20:
                    raise Refused(400, "EntityTooSmall", "part %d" % (i + 1))
                out.write(data)
        os.rename(upload / "all", target)
        shutil.rmtree(upload)
        return hashlib.md5(b"".join(digests)).hexdigest() + "-%d" % len(names)

    def handle_DELETE(self, _):
        shutil.rmtree(self.upload())
        self.answer(204)


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True


server = Server(("127.0.0.1", 0), Handler)
(ROOT / "port.new").write_text(str(server.server_port))
os.rename(ROOT / "port.new", ROOT / "port")
server.serve_forever()
