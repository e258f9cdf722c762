"""The only importer of httpx, for its types: changing to httpx2 is a change of this file."""

from __future__ import annotations

from httpx import URL, AsyncBaseTransport, Headers, InvalidURL, Request, Response

__all__ = ["URL", "AsyncBaseTransport", "Headers", "InvalidURL", "Request", "Response"]
