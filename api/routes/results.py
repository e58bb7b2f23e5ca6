"""Results of a study: leaderboard, events, history, exports, models."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from functools import partial
from typing import Annotated, Literal

import asyncio
from fastapi import Header, Query
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from api.edge import Edge, Service, Shared
from api.exports import export_reply
from api.guard import Asker
from api.parameters import Page, StudyId, TrialId
from api.replies import file_reply, is_current, json_reply, not_modified, tagged
from api.routing import Routes
from api.streams import EventStream, event_frames, leaderboard_frames, look
from hpsearch.service import events, models, results, studies
from hpsearch.wire.pages import HistoryPoint, LeaderboardPage

routes = Routes("results")

_STREAM = {200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}, "description": "An endless stream."}}
_BYTES = {200: {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}}
