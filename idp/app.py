"""The composition root: reads top to bottom, and tells the whole story of the web application."""

from functools import partial
from typing import TYPE_CHECKING

from flask import Flask
from sqlalchemy import event
from werkzeug.middleware.proxy_fix import ProxyFix

from idp import crypto, logs, metrics, settings
from idp.oidc import session_ends
from idp.oidc.server import compose
from idp.serving import threads
from idp.settings import Settings
from idp.storage import database, sqlite
from idp.storage.lean_session import SessionPool
from idp.web import context
from idp.web.api import register_api
from idp.web.application import Application
from idp.web.at_hand import AtHand
from idp.web.direct import Direct
from idp.web.error_pages import register_error_pages
from idp.web.exchange import BODY_MOST, Exchanges, Site, cookie_names
from idp.web.front_door import FrontDoor
from idp.web.observation import Observation
from idp.web.one_at_a_time import OneAtATime
from idp.web.operations import register_operations
from idp.web.pages import DIRECT, register_pages
from idp.web.protocol import BELOW, ENDPOINTS, register_protocol
from idp.web.protocol.cross_origin import cross_origin_headers
from idp.web.reception import Reception
from idp.web.security import register_security
from idp.web.transaction import register_transaction

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication


def create_app(in_force: Settings | None = None) -> Flask:
    """Build the provider's web application.

    Args:
        in_force: the settings; read from environment and instance folder when left out.

    Raises:
        SettingsError: the configuration has faults.
    """
    in_force = in_force or settings.load()
    logs.configure(in_force.log_level, in_force.log_format)
    if in_force.metrics_token:
        metrics.counters.open_shared(in_force.instance / settings.METRICS_NAME, f"web-{crypto.new_id()}")

    app = Application("idp.web")
    app.config["MAX_CONTENT_LENGTH"] = BODY_MOST
    app.config["SQLALCHEMY_DATABASE_URI"] = in_force.sqlalchemy_url
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = database.engine_options(in_force)
    app.extensions["idp_settings"] = in_force

    # Storage, and what happens when a session ends.
    context.extension.init_app(app)
    with app.app_context():
        engine = context.extension.engine
    database.prepare_engine(engine)
    sqlite.keep_to_file(engine)
    session_ends.listen()

    # The protocol, the pages for people, the API for apps.
    provider = app.extensions["idp_provider"] = compose(in_force, engine)
    register_protocol(app)
    register_pages(app)
    register_api(app)
    register_operations(app)
    register_error_pages(app)

    # Around every response, the innermost first: Flask runs what was registered last before the others.
    register_security(app)
    register_transaction(app)
    endpoints = {**ENDPOINTS, **DIRECT}
    way: WSGIApplication = Direct(app.wsgi_app, in_force, endpoints, BELOW, cross_origin_headers)
    databases = SessionPool(partial(context.extension.session.session_factory, on=engine))
    event.listen(engine, "engine_disposed", lambda _: databases.disconnect())  # it closes what nobody has borrowed
    site = Site(in_force, provider, databases, cookie_names(in_force))
    way = FrontDoor(Exchanges(way, site), in_force)
    if in_force.is_sqlite:  # another database is waited for, and meanwhile other requests go on
        way = OneAtATime(way)
    way = Reception(way, body_most=BODY_MOST)
    way = AtHand(way, most=threads.AT_HAND, spare=threads.SPARE, issuer_path=in_force.issuer_path)
    if in_force.proxy_hops:
        way = ProxyFix(way, x_for=in_force.proxy_hops, x_proto=0)
    app.wsgi_app = Observation(way, in_force, app.url_map)  # type: ignore[method-assign]
    return app
