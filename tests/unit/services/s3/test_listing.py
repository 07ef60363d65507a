"""Listings give every entry once, in the order of bytes, whatever the pages' size."""

from __future__ import annotations

from typing import Any

import pytest

KEYS = [
    "a", "a/", "a/1", "a/2", "a/b/1", "a0", "b//x", "b/y", "c", "photos/2024/01.jpg",
    "photos/2024/02.jpg", "photos/2025/01.jpg", "photos/index", "z z/+&<>", "é/1", "\U0001f680",
]  # fmt: skip


@pytest.fixture
def full(s3: Any) -> Any:
    for key in KEYS:
        s3.put(key, b"1")
    return s3


def pages(s3: Any, size: int, **params: Any) -> tuple[list[str], list[str]]:
    keys: list[str] = []
    prefixes: list[str] = []
    token: dict[str, str] = {}
    while True:
        page = s3.call("ListObjectsV2", Bucket="bucket", MaxKeys=size, **params, **token)
        assert page["KeyCount"] <= size
        keys += [entry["Key"] for entry in page.get("Contents", ())]
        prefixes += [entry["Prefix"] for entry in page.get("CommonPrefixes", ())]
        if not page["IsTruncated"]:
            assert "NextContinuationToken" not in page
            return keys, prefixes
        token = {"ContinuationToken": page["NextContinuationToken"]}


def expected(prefix: str, delimiter: str) -> tuple[list[str], list[str]]:
    keys: list[str] = []
    prefixes: dict[str, None] = {}
    for key in sorted(KEYS, key=str.encode):
        if not key.startswith(prefix):
            continue
        at = key.find(delimiter, len(prefix)) if delimiter else -1
        if at < 0:
            keys.append(key)
        else:
            prefixes[key[: at + len(delimiter)]] = None
    return keys, list(prefixes)


@pytest.mark.parametrize("size", [1, 2, 3, 1000])
@pytest.mark.parametrize("delimiter", ["", "/", "0", "//", "photos"])
@pytest.mark.parametrize("prefix", ["", "a", "a/", "photos/", "photos/2024/", "nothing", "é"])
def test_pages_hold_every_entry_once(full: Any, prefix: str, delimiter: str, size: int) -> None:
    found = pages(full, size, Prefix=prefix, Delimiter=delimiter)
    assert found == expected(prefix, delimiter)


def test_start_after_leaves_out_what_comes_before(full: Any) -> None:
    assert full.keys(StartAfter="photos/2024/01.jpg", Prefix="photos/") == [
        "photos/2024/02.jpg",
        "photos/2025/01.jpg",
        "photos/index",
    ]
    assert full.keys(StartAfter="zzzz", Prefix="photos/") == []
    assert full.keys(StartAfter="a", Prefix="photos/index") == ["photos/index"]


def test_the_first_version_goes_on_from_markers(full: Any) -> None:
    params = {"Bucket": "bucket", "Delimiter": "/", "MaxKeys": 2}
    page = full.call("ListObjects", **params)
    assert [entry["Key"] for entry in page["Contents"]] == ["a"]
    assert page["CommonPrefixes"] == [{"Prefix": "a/"}]
    assert page["NextMarker"] == "a/"
    page = full.call("ListObjects", Marker=page["NextMarker"], **params)
    assert [entry["Key"] for entry in page["Contents"]] == ["a0"]
    assert page["CommonPrefixes"] == [{"Prefix": "b/"}]


def test_names_are_encoded_when_asked_for(full: Any) -> None:
    page = full.call("ListObjectsV2", Bucket="bucket", Prefix="z ", EncodingType="url")
    assert page["Contents"][0]["Key"] == "z%20z/%2B%26%3C%3E"
    assert (page["Prefix"], page["EncodingType"]) == ("z%20", "url")


def test_a_page_of_nothing_and_bad_arguments(full: Any) -> None:
    page = full.call("ListObjectsV2", Bucket="bucket", MaxKeys=0)
    assert (page["KeyCount"], page["IsTruncated"]) == (0, False)
    for params in ({"MaxKeys": -1}, {"ContinuationToken": "?"}, {"EncodingType": "rot13"}):
        assert full.refused("ListObjectsV2", Bucket="bucket", **params).code == "InvalidArgument"
    assert full.refused("ListObjectsV2", Bucket="nobody").code == "NoSuchBucket"


def test_a_large_folder_is_passed_by_one_seek(s3: Any) -> None:
    for i in range(400):
        s3.put(f"folder-{i // 200}/{i}", b"")
    s3.put("top", b"")
    fetched = 0
    fetch = s3.store.fetch

    async def counting(sql: str, params: tuple[Any, ...] = ()) -> Any:
        nonlocal fetched
        rows = await fetch(sql, params)
        fetched += len(rows)
        return rows

    s3.store.fetch = counting
    assert pages(s3, 1000, Delimiter="/") == (["top"], ["folder-0/", "folder-1/"])
    assert fetched < 100, "objects under a common prefix are not read"


def test_owners_are_listed_when_asked_for_and_versions_are_null(full: Any) -> None:
    plain = full.call("ListObjectsV2", Bucket="bucket", Prefix="a0")["Contents"][0]
    assert "Owner" not in plain
    owned = full.call("ListObjectsV2", Bucket="bucket", Prefix="a0", FetchOwner=True)
    assert len(owned["Contents"][0]["Owner"]["ID"]) == 64
    versions = full.call("ListObjectVersions", Bucket="bucket", MaxKeys=3)
    assert [v["VersionId"] for v in versions["Versions"]] == ["null"] * 3
    rest = full.call("ListObjectVersions", Bucket="bucket", KeyMarker=versions["NextKeyMarker"])
    assert len(rest["Versions"]) == len(KEYS) - 3
