"""Bytes to plain dicts and back, for every AWS protocol, from botocore's service models.

The order of one call: `route.identify` says which operation a request asks for, `sign.verify` who
asks, `payload.decode` takes transfer encodings off a body, `parse.parse` makes the dict of
parameters, and `serialize.serialize` or `serialize.serialize_error` writes the answer. A codec is
a locator (where a member travels: body, header, path, query string) times a form (JSON, CBOR, XML,
form), compiled once per shape into closures. Nothing here knows what an operation does.
"""
