"""What every answer tells the browser: run nothing that is not a file of ours, tell nobody, be framed by none
but Airflow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

FRAMED_BY_AIRFLOW = "frame-ancestors 'self'"
CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "font-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        FRAMED_BY_AIRFLOW,
    )
)
HEADERS: Mapping[str, str] = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "SAMEORIGIN",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
PRIVATE = "no-store"
"""What a page shows is not for whoever uses the browser next."""


class SecurityHeaders:
    """ASGI middleware that adds :data:`HEADERS`; files apart, nothing is kept by a browser."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        # Of the path below the mount: a target may be called static.
        path = str(scope["path"]).removeprefix(str(scope.get("root_path", "")))
        kept = path.startswith("/static/")

        async def answer(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                present = {name.lower() for name, _ in message["headers"]}
                added = {**HEADERS, **({} if kept else {"cache-control": PRIVATE})}
                message["headers"] = [
                    *message["headers"],
                    *(
                        (name.encode(), value.encode())
                        for name, value in added.items()
                        if name.encode() not in present
                    ),
                ]
            await send(message)

        await self._app(scope, receive, answer)
