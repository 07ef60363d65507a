"""Who sends a request, and that its body is what was signed: nothing is parsed before this.

With `--auth off` nothing is checked but the body's own checksums; who it is from is taken as said.
"""

from __future__ import annotations

import asyncio
import hmac
from dataclasses import dataclass
from datetime import UTC, datetime

from tidemill.platform.body import SpooledBody
from tidemill.platform.clock import Clock, Now
from tidemill.server.credential import CredentialMaker
from tidemill.wire.error import WireError
from tidemill.wire.payload import Receiver, receive
from tidemill.wire.request import HttpRequest
from tidemill.wire.route import presume
from tidemill.wire.sign import Signed, read_claim, verify

ANONYMOUS = "anonymous"
ADMIN_SERVICE = "tidemill"
_PART_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Sender:
    """The key behind a request and the service that it is signed for, where it says one."""

    access_key: str
    service: str | None


class Authentication:
    """Checks requests against the server's credentials and region."""

    def __init__(
        self, credentials: CredentialMaker, clock: Clock, region: str, *, is_open: bool
    ) -> None:
        self._credentials = credentials
        self._clock = clock
        self._region = region
        self._is_open = is_open

    async def check(
        self, request: HttpRequest, body_sha256: str | None
    ) -> tuple[HttpRequest, Sender]:
        """The request with its body decoded, and its sender; `WireError` when it is refused."""
        if self._is_open:
            claim = read_claim(request)
            sender = Sender(claim.access_key, claim.service) if claim else Sender(ANONYMOUS, None)
            return await self._received(request, None, sender), sender
        signed = self._verify(request, body_sha256)
        sender = Sender(signed.access_key, signed.service)
        return await self._received(request, signed, sender), sender

    def check_head(self, head: HttpRequest) -> str | None:
        """The service that a request is for whose body has yet to come; `WireError` without a key.

        S3 signs the hash that the head declares, so its signature can be checked already. To any
        other service such a body is too large anyway.
        """
        claim = read_claim(head)
        if claim is not None and (self._is_open or claim.service != "s3"):
            return claim.service
        if self._is_open:
            return None
        declared = head.header(b"x-amz-content-sha256") or b""
        return self._verify(head, declared.decode("latin-1")).service

    def may_administer(self, request: HttpRequest) -> bool:
        """Whether the server's own key signed this request for the service `tidemill`."""
        try:
            signed = self._verify(request, None)
        except WireError:
            return False
        return signed.service == ADMIN_SERVICE and hmac.compare_digest(
            signed.access_key, self._credentials.access_key_id
        )

    def _verify(self, request: HttpRequest, body_sha256: str | None) -> Signed:
        # Signatures age by the real calendar, whatever clock the cores run under.
        now: Now = self._clock.now()
        now_s = now.wall_ms / 1000
        return verify(
            request,
            lambda key, token: self._credentials.secret_for(key, token, now_s),
            self._region,
            datetime.fromtimestamp(now_s, UTC),
            body_sha256=body_sha256,
        )

    async def _received(
        self, request: HttpRequest, signed: Signed | None, sender: Sender
    ) -> HttpRequest:
        body = request.body
        try:
            if not isinstance(body, SpooledBody):
                return receive(request, signed)
            receiver = Receiver(request, signed)
            if receiver.is_idle:
                return request
            work = _rewrite if receiver.rewrites else _check
            return await asyncio.get_running_loop().run_in_executor(None, work, receiver, body)
        except WireError as error:
            error.route = error.route or presume(request, sender.service)
            raise


def _check(receiver: Receiver, body: SpooledBody) -> HttpRequest:
    """Feed a body in a file to `receiver`, which finds it as it should be."""
    with body.path.open("rb") as source:
        while part := source.read(_PART_BYTES):
            receiver.feed(part)
    return receiver.finish(body)


def _rewrite(receiver: Receiver, body: SpooledBody) -> HttpRequest:
    """Feed a body in a file to `receiver`; what it decodes to takes the file's place."""
    plain = body.path.with_name(body.path.name + ".plain")
    size = 0
    try:
        with body.path.open("rb") as source, plain.open("wb") as target:
            while part := source.read(_PART_BYTES):
                size += target.write(receiver.feed(part))
        request = receiver.finish(body)
    except BaseException:
        plain.unlink(missing_ok=True)
        raise
    plain.replace(body.path)
    body.size = size
    return request
