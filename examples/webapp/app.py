"""A web application that answers at once and works later: `flask --app app run`.

POST /exports            {"account": "acme"}   202, Location: /exports/<id>
GET  /exports/<id>       how it goes, and what came out
GET  /exports/<id>/events    the same as server-sent events, until it has ended
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

from botocore.exceptions import ClientError
from flask import Flask, Response, jsonify, request, url_for
from work import export

import tidemill as tm

app = Flask(__name__)
ENDED = ("SUCCEEDED", "FAILED")


@app.post("/exports")
def create() -> tuple[Response, int, dict[str, str]]:
    """Hand the export over; the same Idempotency-Key within a day gives the same one."""
    body = request.get_json(silent=True)
    account = body.get("account") if isinstance(body, dict) else None
    if not isinstance(account, str) or not (account.isascii() and account.isalnum()):
        return jsonify(error="account must be of letters and digits alone."), 400, {}
    run = export.submit(account, tenant=account, key=request.headers.get("Idempotency-Key"))
    place = url_for("show", job_id=run.id)
    return jsonify(id=run.id, status_url=place), 202, {"Location": place}


@app.get("/exports/<job_id>")
def show(job_id: str) -> Response:
    """How the export goes; any process can tell, as all it needs is the id."""
    return jsonify(state_of(tm.run(job_id)))


@app.get("/exports/<job_id>/events")
def events(job_id: str) -> Response:
    """Server-sent events: one at each change."""
    run = tm.run(job_id)

    def stream() -> Iterator[str]:
        told = None
        while told is None or told["status"] not in ENDED:
            state = state_of(run)
            if state != told:
                yield f"data: {json.dumps(state)}\n\n"
                told = state
            time.sleep(0.2)

    return Response(stream(), mimetype="text/event-stream")


@app.errorhandler(tm.TidemillError)
@app.errorhandler(ClientError)
def refused(error: Exception) -> tuple[Response, int]:
    """Who asks for what is not there is told so; what can't be submitted now may be later."""
    return jsonify(error=str(error)), 503 if request.method == "POST" else 404


def state_of(run: tm.Run[Any]) -> dict[str, Any]:
    """What a browser wants to know."""
    state: dict[str, Any] = {"status": run.status, "why": run.why}
    progress = run.progress
    state |= {"done": progress.done, "total": progress.total, "note": progress.note}
    if state["status"] == "SUCCEEDED":
        state["result"] = run.result()
    return state
