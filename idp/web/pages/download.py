"""Everything that is stored about a person, as a file for them."""

import json

from flask import Response

from idp.accounts import data_export
from idp.web import context
from idp.web.pages.account import signed_in

FILE_NAME = "account.json"


def download_data() -> Response:
    """Send the file."""
    session = signed_in()
    data = data_export.export_account(context.database(), session.user_id)
    response = Response(json.dumps(data, indent=2, ensure_ascii=False) + "\n", mimetype="application/json")
    response.headers["Content-Disposition"] = f'attachment; filename="{FILE_NAME}"'
    return response
