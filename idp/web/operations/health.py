"""Alive and ready: what a load balancer, a container's host or systemd asks."""

import logging

from flask import Response, jsonify
from sqlalchemy.exc import SQLAlchemyError

from idp import migrations, patience
from idp.errors import NotReadyError
from idp.serving import draining
from idp.storage.database import is_fault_of_storage
from idp.web import context
from idp.web.error_pages import not_ready

log = logging.getLogger(__name__)

PATIENCE = 1.0  # seconds for the database: whoever asks gives up after a few, and asks again all the while


def show_alive() -> Response:
    """Say that the process answers; nothing else is looked at, so that no database's fault restarts it."""
    return jsonify(status="alive")


def show_ready() -> Response:
    """Say whether requests may be sent here: the database answers, has the schema, and the keys open.

    A newer schema is well if it says so itself: while servers are replaced one by one, old ones go on.
    """
    if draining.has_begun():
        return not_ready("This server stops in a moment.")
    try:
        with patience.at_most(PATIENCE):
            migrations.check_ready(context.extension.engine)
            context.provider().key_ring  # noqa: B018 - reads the keys, unless this process has them
    except NotReadyError as fault:
        return not_ready(fault.message)
    except SQLAlchemyError as fault:
        if not is_fault_of_storage(fault):
            raise
        log.error("Not ready: the database does not answer: %s", fault)  # noqa: TRY400 - no fault of ours
        return not_ready("The database does not answer.")
    return jsonify(status="ready")
