"""The application: settings in, a FastAPI application out."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from api.app_state import AppState
from api.documentation import openapi
from api.errors import error_responses
from api.limits.connections import ConnectionLimit
from api.metrics import Metrics
from api.middleware.host_and_body_limits import HostAndBodyLimits
from api.middleware.request_log import RequestLog
from api.middleware.response_headers import ResponseHeaders
from api.middleware.unexpected_errors import UnexpectedErrors
from api.routes import datasets, documentation, operation, queue, results, steering, studies, tokens, trials, workers
from api.routing import mount
from api.web.problem_pages import ProblemPages
from api.web.site import page_routes
from hpsearch import __version__
from hpsearch.service.context import Context
from hpsearch.service.operations.maintenance import Maintenance
from hpsearch.settings import Settings

# The routes workers call all day come first: they are looked for in this order.
_RESOURCES = (
    queue.routes,
    studies.routes,
    steering.routes,
    trials.routes,
    steering.trial_routes,
    results.routes,
    datasets.routes,
    workers.routes,
    tokens.routes,
    operation.routes,
    documentation.routes,
)


def create_app(
    settings: Settings | None = None,
    *,
    context: Context | None = None,
    allowed_hosts: Iterable[str] | None = None,
    access_log: bool = False,
) -> FastAPI:
    """Return the application; its database is opened when it starts and closed when it stops.

    Args:
        settings: From the environment when left out.
        context: An opened service to use; the caller closes it.
        allowed_hosts: Names accepted in Host headers, `HPSEARCH_ALLOWED_HOSTS` (separated by commas) when left out;
            without any, loopback connections must name a loopback host and others may name any.
        access_log: Whether to write a line for each response.

    Raises:
        InvalidInputError: A setting of the environment is malformed.
    """
    settings = context.settings if context is not None else settings or Settings.load()
    if allowed_hosts is None:
        allowed_hosts = [name for name in os.environ.get("HPSEARCH_ALLOWED_HOSTS", "").split(",") if name.strip()]
    metrics = Metrics()
    trusted = list(settings.trusted_proxies)
    proxies = [Middleware(ProxyHeadersMiddleware, trusted_hosts=trusted)] if trusted else []
    app = FastAPI(
        title="hpsearch",
        version=__version__,
        description=openapi.DESCRIPTION,
        openapi_tags=openapi.TAGS,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=_lifespan(settings, context),
        middleware=[
            *proxies,
            Middleware(ResponseHeaders),
            Middleware(RequestLog, metrics=metrics, access_log=access_log),
            Middleware(ProblemPages),
            Middleware(UnexpectedErrors),
            Middleware(HostAndBodyLimits, allowed_hosts=allowed_hosts),
        ],
    )
    app.state.metrics = metrics
    connections = app.state.connections = ConnectionLimit(exempt=trusted)
    metrics.gauge("hpsearch_connections", "Open connections.", lambda: connections.n_taken)
    metrics.gauge("hpsearch_event_streams", "Open event streams.", lambda: app.state.shared.streams.n_taken)
    metrics.gauge("hpsearch_uploads", "Data files being received.", lambda: app.state.shared.uploads.n_taken)
    error_responses.install(app)
    for resource in (*_RESOURCES, *page_routes(settings)):
        mount(app, resource)
    datasets.mount_upload(app, settings)
    app.openapi = openapi.describe(app)  # type: ignore[method-assign]
    return app


def _lifespan(settings: Settings, context: Context | None) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        opened: Context = await run_in_threadpool(Context.open, settings) if context is None else context
        try:
            state = app.state.shared = AppState(opened)
            maintenance = Maintenance(opened)
            await run_in_threadpool(maintenance.start)
            try:
                yield
            finally:
                state.closing.set()
                await run_in_threadpool(maintenance.stop)
        finally:
            if context is None:
                await run_in_threadpool(opened.close)

    return lifespan
