"""The way from a stand-in plugin to DigitalOcean's API: requests with a token, failures as the provider shows them."""

import asyncio
import os
from typing import Any

from lab.clouds import api
from lab.clouds.api import ApiError
from lab.namespaces import LabError
from lab.plugins.calls import Call, RefusedError
from lab.plugins.values import plain

URL = "https://api.digitalocean.com"
# digitalocean/terraform-provider-digitalocean, digitalocean/provider.go
_TOKENS = ("DIGITALOCEAN_TOKEN", "DIGITALOCEAN_ACCESS_TOKEN")


class RequestError(RefusedError):
    """The API refused; `status` is its own."""

    def __init__(self, status: str, text: str) -> None:
        super().__init__(text)
        self.status = status


def failure(text: str) -> str:
    """A failure of the provider as the bridge shows it."""
    return f"1 error occurred:\n\t* {text}\n\n"


async def ask(call: Call, what: str, request: str, **body: Any) -> dict[str, Any]:
    """The answer to a request like `GET /v2/tags/a`; `what` says what failed. Raises RequestError.

    The text is that of digitalocean/godo, godo.go, ErrorResponse.Error, after the provider's own words.
    """
    token = plain(call.config.get("token")) or next((os.environ[name] for name in _TOKENS if os.environ.get(name)), "")
    try:
        return await asyncio.to_thread(api.call, "digitalocean", request, token=token, **body)
    except ApiError as error:
        method, _, path = request.partition(" ")
        text = f"{what}: {method} {URL}{path}: {error.code} {error.message}"
        raise RequestError(error.code, failure(text)) from None
    except LabError as error:
        raise RefusedError(str(error)) from None


async def seen(call: Call, what: str, request: str) -> dict[str, Any] | None:
    """The answer to a request that reads; None where there is no such thing any more. Raises RequestError."""
    try:
        return await ask(call, what, request)
    except RequestError as error:
        if error.status == "404":
            return None
        raise
