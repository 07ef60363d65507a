"""Bodies out of their transfer encodings: AWS's own examples, boto3's uploads, broken ones."""

from __future__ import annotations

import base64
import gzip
import random
import zlib
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from botocore.config import Config

from tidemill.wire.checksum import ALGORITHMS
from tidemill.wire.error import WireError
from tidemill.wire.payload import INFLATED_MAX_BYTES, Receiver, inflate, receive, whole_body
from tidemill.wire.request import HttpRequest
from tidemill.wire.sign import Signed, signing_key, verify

from .client import REGION, SECRET_KEY, caught

# "Example calculations" of "Transferring payload in multiple chunks" in the S3 API reference.
SEED = "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9"
CHUNK_SIGNATURES = (
    "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
    "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
    "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
)
TRAILER_SEED = "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e"
TRAILER_SIGNATURES = (
    "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
    "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
    "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992",
    "d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435",
)
PAYLOAD = b"a" * 66560


def signed_with(seed: str) -> Signed:
    key = signing_key("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "20130524", "us-east-1", "s3")
    return Signed(
        access_key="AKIAIOSFODNN7EXAMPLE",
        region="us-east-1",
        service="s3",
        token=None,
        is_presigned=False,
        timestamp="20130524T000000Z",
        scope="20130524/us-east-1/s3/aws4_request",
        signature=seed,
        key=key,
    )


def chunked(signatures: tuple[str, ...], trailer: bytes = b"") -> bytes:
    parts = []
    for signature, chunk in zip(signatures, (PAYLOAD[:65536], PAYLOAD[65536:], b""), strict=True):
        end = b"\r\n" if chunk else b""
        parts.append(
            b"%x;chunk-signature=%s\r\n%s%s" % (len(chunk), signature.encode(), chunk, end)
        )
    return b"".join(parts) + trailer + b"\r\n"


def upload(kind: str, body: bytes, **headers: str) -> HttpRequest:
    pairs = [(b"x-amz-content-sha256", kind.encode()), (b"content-encoding", b"aws-chunked")]
    pairs += [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return HttpRequest("PUT", b"/b/k", b"", pairs, body)


SIGNED_CHUNKS = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
SIGNED_TRAILER = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
UNSIGNED_TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
AWS_TRAILER = (
    b"x-amz-checksum-crc32c:sOO8/Q==\r\nx-amz-trailer-signature:"
    + TRAILER_SIGNATURES[3].encode()
    + b"\r\n"
)


def aws_examples() -> list[tuple[HttpRequest, Signed]]:
    return [
        (
            upload(SIGNED_CHUNKS, chunked(CHUNK_SIGNATURES), x_amz_decoded_content_length="66560"),
            signed_with(SEED),
        ),
        (
            upload(
                SIGNED_TRAILER,
                chunked(TRAILER_SIGNATURES[:3], AWS_TRAILER),
                x_amz_decoded_content_length="66560",
                x_amz_trailer="x-amz-checksum-crc32c",
            ),
            signed_with(TRAILER_SEED),
        ),
    ]


@pytest.mark.parametrize("example", [0, 1])
def test_aws_s_examples_of_signed_chunks_are_read(example: int) -> None:
    request, signed = aws_examples()[example]
    received = receive(request, signed)
    assert received.body == PAYLOAD
    assert received.header(b"content-encoding") is None
    if example:
        assert received.header(b"x-amz-checksum-crc32c") == b"sOO8/Q=="


@pytest.mark.parametrize("example", [0, 1])
@pytest.mark.parametrize("size", [1, 7, 100, 65536])
def test_a_body_may_come_in_any_pieces(example: int, size: int) -> None:
    request, signed = aws_examples()[example]
    receiver = Receiver(request, signed)
    body = request.body
    if size == 1:
        body = body[:300]
    got = b"".join(receiver.feed(body[at : at + size]) for at in range(0, len(body), size))
    assert PAYLOAD.startswith(got)
    if size > 1:
        assert receiver.finish(got).body == PAYLOAD


@pytest.mark.parametrize("example", [0, 1])
def test_no_byte_of_signed_chunks_can_be_changed(example: int) -> None:
    request, signed = aws_examples()[example]
    body: bytes = request.body
    pick = random.Random(7)
    places = [pick.randrange(len(body)) for _ in range(30)] + [len(body) - 40, 3, 10, 100]
    for place in places:
        broken = body[:place] + bytes([body[place] ^ 1]) + body[place + 1 :]
        if broken.strip() == body.strip():
            continue
        with pytest.raises(WireError):
            receive(replace(request, body=broken), signed)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"5\r\nab",
        b"zz\r\nab\r\n0\r\n\r\n",
        b"-1\r\nab\r\n0\r\n\r\n",
        b"2\r\nabc\r\n0\r\n\r\n",
        b"2\r\nab\r\n",
        b"2\r\nab\r\n0\r\n\r\nmore",
        b"2\r\nab\r\n0\r\nno trailer\r\n\r\n",
        b"x" * 9000,
        b"fffffffffffffffffff\r\n",
    ],
)
def test_a_body_that_is_not_aws_chunked_is_refused(body: bytes) -> None:
    with pytest.raises(WireError) as error:
        receive(upload(UNSIGNED_TRAILER, body), None)
    assert error.value.code in ("InvalidRequest", "IncompleteBody")


def test_the_stated_size_must_be_the_size() -> None:
    request = upload(UNSIGNED_TRAILER, b"2\r\nab\r\n0\r\n\r\n", x_amz_decoded_content_length="3")
    with pytest.raises(WireError, match="x-amz-decoded-content-length says 3"):
        receive(request, None)


@pytest.mark.parametrize("algorithm", ["CRC32", "SHA1", "SHA256"])
@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:5057", "https://127.0.0.1:5057"])
def test_boto3_s_checksums_of_content_reach_the_service(algorithm: str, endpoint: str) -> None:
    """Over TLS boto3 sends them as a trailer of an aws-chunked body, else as a header."""
    body = bytes(range(256)) * 300
    request = caught(
        "s3", "put_object", endpoint, Bucket="b", Key="k", Body=body, ChecksumAlgorithm=algorithm
    )
    signed = verify(request, lambda *_: SECRET_KEY, REGION, datetime.now(UTC))
    is_chunked = request.header(b"x-amz-trailer") is not None
    assert is_chunked == endpoint.startswith("https")
    received = receive(request, signed)
    assert received.body == body
    assert received.header(f"x-amz-checksum-{algorithm.lower()}".encode())


@pytest.mark.parametrize("algorithm", ["CRC32", "CRC32C", "SHA1", "SHA256"])
def test_checksums_of_documents_are_checked(algorithm: str) -> None:
    request = caught(
        "s3",
        "put_object_tagging",
        Bucket="b",
        Key="k",
        Tagging={"TagSet": [{"Key": "a", "Value": "b"}]},
        ChecksumAlgorithm="CRC32" if algorithm == "CRC32C" else algorithm,
    )
    if algorithm == "CRC32C":  # which boto3 has only beside awscrt
        check = ALGORITHMS["crc32c"]()
        check.update(request.body)
        name, value = b"x-amz-checksum-crc32c", base64.b64encode(check.digest())
        headers = [pair for pair in request.headers if pair[0] != b"x-amz-checksum-crc32"]
        request = replace(request, headers=[*headers, (name, value)])
    assert receive(request, None) is request
    with pytest.raises(WireError) as error:
        receive(replace(request, body=request.body.replace(b"<Key>a", b"<Key>c")), None)
    assert error.value.code == "BadDigest"


def test_content_md5_is_checked() -> None:
    request = caught(
        "s3",
        "put_bucket_policy",
        Bucket="b",
        Policy="{}",
        config=Config(request_checksum_calculation="when_required"),
    )
    md5 = base64.b64encode(b"0" * 16)
    for value, code in ((md5, "BadDigest"), (b"no", "InvalidDigest")):
        headers = [*request.headers, (b"content-md5", value)]
        with pytest.raises(WireError) as error:
            receive(replace(request, headers=headers), None)
        assert error.value.code == code


def test_a_trailer_that_was_announced_must_come() -> None:
    request = upload(
        UNSIGNED_TRAILER, b"2\r\nab\r\n0\r\n\r\n\r\n", x_amz_trailer="x-amz-checksum-crc32"
    )
    with pytest.raises(WireError, match="x-amz-checksum-crc32 was announced but did not come"):
        receive(request, None)


def test_a_checksum_we_do_not_know_is_refused_by_name() -> None:
    request = HttpRequest("PUT", b"/b/k", b"", [(b"x-amz-checksum-xxhash64", b"AA==")], b"x")
    with pytest.raises(WireError, match="xxhash64 is not supported; supported are crc32"):
        receive(request, None)


def test_a_finished_multipart_upload_states_the_checksum_of_its_object() -> None:
    request = caught(
        "s3",
        "complete_multipart_upload",
        Bucket="b",
        Key="k",
        UploadId="u",
        MultipartUpload={"Parts": []},
        ChecksumCRC32="AAAAAA==",
    )
    assert receive(request, None) is request


def test_other_encodings_stay() -> None:
    request = upload(UNSIGNED_TRAILER, b"2\r\nab\r\n0\r\n\r\n")
    headers = [
        (n, b"aws-chunked, gzip" if n == b"content-encoding" else v) for n, v in request.headers
    ]
    assert receive(replace(request, headers=headers), None).header(b"content-encoding") == b"gzip"


def test_a_plain_body_is_left_alone() -> None:
    request = HttpRequest("PUT", b"/b/k", b"", [(b"content-length", b"1")], b"x")
    assert Receiver(request, None).is_idle
    assert receive(request, None) is request


@pytest.mark.parametrize(
    ("algorithm", "expected"),
    [
        ("crc32", "cbf43926"),
        ("crc32c", "e3069283"),
        ("crc64nvme", "ae8b14860a799888"),
        ("sha1", "f7c3bc1d808e04732adf679965ccc34ca7ae3441"),
        ("md5", "25f9e794323b453885f5181f1b624d0b"),
    ],
)
def test_checksums_have_their_published_check_values(algorithm: str, expected: str) -> None:
    """The value of "123456789", as the catalogues of CRCs give it; fed whole and in pieces."""
    for pieces in ([b"123456789"], [b"1", b"2345678", b"", b"9"]):
        checksum = ALGORITHMS[algorithm]()
        for piece in pieces:
            checksum.update(piece)
        assert checksum.digest().hex() == expected


def test_gzip_is_taken_off_and_bounded() -> None:
    def request(body: bytes) -> HttpRequest:
        return HttpRequest("POST", b"/", b"", [(b"content-encoding", b"gzip")], body)

    assert inflate(request(b""), gzip.compress(b"text")) == b"text"
    bomb = gzip.compress(b"\0" * (INFLATED_MAX_BYTES + 1))
    for body in (b"not gzip", bomb, gzip.compress(b"text")[:-9], zlib.compress(b"text")):
        with pytest.raises(WireError):
            inflate(request(b""), body)
    assert inflate(HttpRequest("POST", b"/", b"", [], b""), b"as it is") == b"as it is"


def test_a_spooled_document_is_read_whole(tmp_path: Path) -> None:
    class Spooled:
        path = tmp_path / "body"
        size = 4

    Spooled.path.write_bytes(b"text")
    body: Any = Spooled()
    assert whole_body(HttpRequest("POST", b"/", b"", [], body)) == b"text"
    Spooled.size = 10**12
    with pytest.raises(WireError, match="1000000000000 bytes"):
        whole_body(HttpRequest("POST", b"/", b"", [], body))
