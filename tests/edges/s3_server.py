"""A small server of the S3 protocol for tests: it checks signatures and digests and keeps objects in memory.

It stands for a real one at the wire: what our client sends must be signed as AWS Signature
Version 4 has it. It cannot show how a real one fails.
"""

import hashlib
import hmac
import re
from datetime import UTC, datetime
from types import TracebackType
from typing import Self
from urllib.parse import quote
from xml.sax.saxutils import escape

from aiohttp import web

ACCESS_KEY = "AKTEST"
SECRET_KEY = "not-a-secret"  # noqa: S105 - made up
BUCKET = "haidang"


class S3Server:
    """`async with S3Server() as server: server.environ` are the variables a client needs."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.fails_with: int | None = None
        self.requests: list[str] = []

    async def __aenter__(self) -> Self:
        application = web.Application(client_max_size=2**26)
        application.router.add_route("*", "/{bucket}{tail:.*}", self._answer)
        self._runner = web.AppRunner(application, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.environ = {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self._runner.addresses[0][1]}",
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_REGION": "vn-south-1",
        }
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.requests.append(f"{request.method} {request.path_qs}")
        if self.fails_with is not None:
            return web.Response(status=self.fails_with, text="<Error><Code>Trouble</Code></Error>")
        if not _signed(request, body):
            return web.Response(status=403, text="<Error><Code>SignatureDoesNotMatch</Code></Error>")
        if request.match_info["bucket"] != BUCKET:
            return web.Response(status=404, text="<Error><Code>NoSuchBucket</Code></Error>")
        key = request.match_info["tail"].strip("/")
        if key:
            return self._object(request.method, key, body)
        return self._deleted(body) if request.method == "POST" else self._listed(request)

    def _object(self, method: str, key: str, body: bytes) -> web.Response:
        if method == "PUT":
            self.objects[key] = body
            return web.Response(headers={"etag": f'"{hashlib.md5(body).hexdigest()}"'})  # noqa: S324 - what S3 does
        if key not in self.objects:
            return web.Response(status=404, text="<Error><Code>NoSuchKey</Code></Error>")
        headers = {
            "etag": '"x"',
            "content-length": str(len(self.objects[key])),
            "last-modified": datetime.now(UTC).strftime("%a, %d %b %Y %H:%M:%S GMT"),
        }
        return web.Response(body=self.objects[key], headers=headers)

    def _deleted(self, body: bytes) -> web.Response:
        """DeleteObjects."""
        keys = re.findall("<Key>([^<]*)</Key>", body.decode())
        for key in keys:
            self.objects.pop(key, None)
        gone = "".join(f"<Deleted><Key>{key}</Key></Deleted>" for key in keys)
        return web.Response(text=f"<DeleteResult>{gone}</DeleteResult>", content_type="application/xml")

    def _listed(self, request: web.Request) -> web.Response:
        """ListObjectsV2, two keys a page."""
        prefix = request.query.get("prefix", "")
        after = request.query.get("continuation-token", "")
        keys = sorted(key for key in self.objects if key.startswith(prefix) and key > after)
        page, more = keys[:2], len(keys) > 2
        contents = "".join(
            f"<Contents><Key>{escape(key)}</Key><Size>{len(self.objects[key])}</Size>"
            "<LastModified>2026-11-21T05:00:00.000Z</LastModified><ETag>&quot;x&quot;</ETag></Contents>"
            for key in page
        )
        token = f"<NextContinuationToken>{escape(page[-1])}</NextContinuationToken>" if more else ""
        return web.Response(
            text=f"<ListBucketResult><IsTruncated>{str(more).lower()}</IsTruncated>{contents}{token}"
            "</ListBucketResult>",
            content_type="application/xml",
        )


def _signed(request: web.Request, body: bytes) -> bool:
    """Whether the request carries the signature that AWS Signature Version 4 gives it."""
    authorization = request.headers.get("authorization", "")
    if not authorization.startswith("AWS4-HMAC-SHA256 "):
        return False
    fields = dict(part.strip().split("=", 1) for part in authorization[len("AWS4-HMAC-SHA256 ") :].split(","))
    access_key, day, region, service, _ = fields["Credential"].split("/")
    digest = request.headers["x-amz-content-sha256"]
    if access_key != ACCESS_KEY or digest not in {hashlib.sha256(body).hexdigest(), "UNSIGNED-PAYLOAD"}:
        return False
    names = fields["SignedHeaders"].split(";")
    query = "&".join(
        f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}"
        for name, value in sorted(request.query.items())
    )
    canonical = "\n".join(
        (
            request.method,
            request.rel_url.raw_path,
            query,
            *(f"{name}:{request.headers[name].strip()}" for name in names),
            "",
            ";".join(names),
            digest,
        )
    )
    to_sign = "\n".join(
        (
            "AWS4-HMAC-SHA256",
            request.headers["x-amz-date"],
            f"{day}/{region}/{service}/aws4_request",
            hashlib.sha256(canonical.encode()).hexdigest(),
        )
    )
    key = b"AWS4" + SECRET_KEY.encode()
    for part in (day, region, service, "aws4_request", to_sign):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.compare_digest(key.hex(), fields["Signature"])
