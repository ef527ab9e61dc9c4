"""One transaction a request: committed for every status below 500, so that refusals keep their evidence."""

from flask import Flask, Response

from idp.web import context


def register_transaction(app: Flask) -> None:
    """Commit or roll back when the response is known; the session itself is closed by Flask-SQLAlchemy."""

    @app.after_request
    def end_transaction(response: Response) -> Response:
        if context.extension.session.registry.has():
            if response.status_code < 500:
                context.database().commit()
            else:
                context.discard_transaction()
        return response
