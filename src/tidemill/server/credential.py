"""Who may call: the server's own access key, and short-lived credentials that need no table.

The access key is made at the first start and kept in the data folder, readable by its owner
alone. Temporary credentials carry their own proof: the session token names the subject and the
end of its life, signed with the server's secret; the secret key is derived from the token. So
nothing is stored, and a restarted server knows the credentials it gave out before.
"""

from __future__ import annotations

import base64
import hmac
import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from tidemill.server.config import StartError

ATTEMPT_CREDENTIALS_S = 3600
_KEY_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessKey:
    """The permanent key of this server, and the secret from which the temporary ones come."""

    access_key_id: str
    secret_access_key: str
    server_secret: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Temporary:
    """Credentials that end at `expires_s` (Unix time)."""

    access_key_id: str
    secret_access_key: str
    token: str
    expires_s: int


def load_or_make(folder: Path) -> AccessKey:
    """The access key of the data folder, made at the first start; file mode 0600."""
    path = folder / "access-key.json"
    try:
        key = AccessKey(**json.loads(path.read_text("utf-8")))
        bytes.fromhex(key.server_secret)
        return key
    except FileNotFoundError:
        return _make(path)
    except (OSError, ValueError, TypeError) as error:
        raise StartError(
            f"The access key in {path} can't be read ({error}); restore it from a backup, or "
            f"delete it to have a new one made (clients then need `tidemill config` again)."
        ) from error


def _make(path: Path) -> AccessKey:
    key = AccessKey(
        access_key_id="AKIA" + "".join(secrets.choice(_KEY_ALPHABET) for _ in range(16)),
        secret_access_key=secrets.token_urlsafe(30),
        server_secret=secrets.token_hex(32),
    )
    text = json.dumps({name: getattr(key, name) for name in AccessKey.__slots__}, indent=2)
    staged = path.with_suffix(".new")
    descriptor = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())
    staged.rename(path)
    return key


class CredentialMaker:
    """Makes and recognises credentials. All methods are pure but for the key handed in."""

    def __init__(self, key: AccessKey) -> None:
        self._key = key
        self._secret = bytes.fromhex(key.server_secret)

    @property
    def access_key_id(self) -> str:
        """The id of the server's own key."""
        return self._key.access_key_id

    def secret_for(self, access_key_id: str, token: str | None, now_s: float) -> str | None:
        """The secret behind an access key, or None when there is no such key (any more)."""
        if token is None:
            known = hmac.compare_digest(access_key_id.encode(), self._key.access_key_id.encode())
            return self._key.secret_access_key if known else None
        temporary = self._open(token)
        if temporary is None or temporary.expires_s <= now_s:
            return None
        known = hmac.compare_digest(access_key_id.encode(), temporary.access_key_id.encode())
        return temporary.secret_access_key if known else None

    def is_expired(self, token: str, now_s: float) -> bool:
        """Whether `token` is ours and its time is over."""
        temporary = self._open(token)
        return temporary is not None and temporary.expires_s <= now_s

    def issue(self, subject: str, expires_s: int) -> Temporary:
        """Credentials for `subject` (an attempt, a session) until `expires_s`."""
        payload = json.dumps([subject, expires_s], separators=(",", ":")).encode()
        signature = self._sign(b"session", payload)
        token = base64.urlsafe_b64encode(signature + payload).decode()
        return self._derive(token, expires_s)

    def attempt_token(self, attempt_id: str) -> str:
        """What an attempt shows to the credentials endpoint."""
        proof = self._sign(b"attempt", attempt_id.encode())
        return f"{attempt_id} {base64.urlsafe_b64encode(proof).decode()}"

    def attempt_of(self, token: str) -> str | None:
        """The attempt that `token` was made for, or None when it is not ours."""
        attempt_id, _, _ = token.rpartition(" ")
        expected = self.attempt_token(attempt_id)
        return attempt_id if hmac.compare_digest(token.encode(), expected.encode()) else None

    def _open(self, token: str) -> Temporary | None:
        try:
            raw = base64.urlsafe_b64decode(token.encode())
            if base64.urlsafe_b64encode(raw).decode() != token:
                return None  # the decoder overlooks what is no base64
            signature, payload = raw[:32], raw[32:]
            if not hmac.compare_digest(signature, self._sign(b"session", payload)):
                return None
            _, expires_s = json.loads(payload)
        except ValueError:
            return None
        return self._derive(token, expires_s)

    def _derive(self, token: str, expires_s: int) -> Temporary:
        digest = self._sign(b"keys", token.encode())
        letters = "".join(_KEY_ALPHABET[byte & 31] for byte in digest[:16])
        return Temporary(
            access_key_id="ASIA" + letters,
            secret_access_key=base64.urlsafe_b64encode(self._sign(b"secret", digest)).decode()[:40],
            token=token,
            expires_s=expires_s,
        )

    def _sign(self, purpose: bytes, payload: bytes) -> bytes:
        return hmac.digest(self._secret, purpose + b"\0" + payload, "sha256")
