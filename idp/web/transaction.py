"""One transaction a request, also where Flask stands around it."""

from flask import Flask, Response

from idp.web.exchange import current


def register_transaction(app: Flask) -> None:
    """Commit or roll back when the response is known."""

    @app.after_request
    def end_transaction(response: Response) -> Response:
        current().end_transaction(response.status_code)
        return response
