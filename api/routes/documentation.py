"""The documentation page, without any other host: its scripts and styles come from this server."""

from __future__ import annotations

import importlib.resources
from html import escape
from pathlib import Path
from typing import Final

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response

from api.errors.problem_documents import ProblemError
from api.routing import PUBLIC, Routes

# Swagger UI sets styles from script and draws its icons from data: addresses; scripts come from here alone.
_POLICY: Final = (
    "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; "
    "frame-ancestors 'none'; base-uri 'none'"
)
_ASSETS: Final = {
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
    "favicon.png": "image/png",
}
# Swagger UI does not know of x-codeSamples, but shows Markdown in descriptions.
_START: Final = """\
fetch("/openapi.json").then((answer) => answer.json()).then((spec) => {
  for (const operation of Object.values(spec.paths).flatMap(Object.values)) {
    for (const { lang, label, source } of operation["x-codeSamples"] ?? []) {
      operation.description += "\\n\\n" + label + ":\\n\\n```" + lang.toLowerCase() + "\\n" + source + "```";
    }
  }
  window.ui = SwaggerUIBundle({
    spec,
    dom_id: "#swagger-ui",
    deepLinking: true,
    persistAuthorization: false,
    validatorUrl: null,
    presets: [SwaggerUIBundle.presets.apis, SwaggerUIBundle.SwaggerUIStandalonePreset],
  });
});
"""

routes = Routes("operation")


@routes.get("/openapi.json", scope=PUBLIC, hidden=True)
async def openapi_document(request: Request) -> Response:
    """Return the OpenAPI document."""
    app: FastAPI = request.app
    return JSONResponse(app.openapi())


@routes.get("/docs", scope=PUBLIC, hidden=True)
async def docs_page(request: Request) -> Response:
    """Return the documentation page."""
    app: FastAPI = request.app
    page = f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(app.title)}: API</title>
<link rel="icon" href="/docs/favicon.png">
<link rel="stylesheet" href="/docs/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
"""
    return HTMLResponse(page, headers={"Content-Security-Policy": _POLICY})


@routes.get("/docs/{asset}", scope=PUBLIC, hidden=True)
def docs_asset(asset: str) -> Response:
    """Return a script, style or picture of the documentation page."""
    cached = {"Cache-Control": "private, max-age=3600"}
    if asset == "start.js":
        return Response(_START, media_type="text/javascript", headers=cached)
    if asset not in _ASSETS:
        raise ProblemError(404, "route.not_found", "there is no such file of the documentation page")
    path = Path(str(importlib.resources.files("fastapi_offline"))) / "static" / asset
    return FileResponse(path, media_type=_ASSETS[asset], headers=cached, stat_result=path.stat())
