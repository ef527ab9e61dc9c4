"""mozilla-django-oidc in a small Django project, set up as `docs/clients/django.md` tells."""

import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.clients.how_to import HowTo
from tests.clients.person import Person
from tests.clients.processes import running
from tests.journeys.conftest import House
from tests.waiting import until

# The smallest project around what the how-to adds.
SETTINGS = """
from oidc_settings import *

SECRET_KEY = "only for this test"
DEBUG = True
ALLOWED_HOSTS = ["127.0.0.1"]
ROOT_URLCONF = "urls"
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "db.sqlite3"}}
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates"}]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "mozilla_django_oidc.middleware.SessionRefresh",
]
OIDC_RENEW_ID_TOKEN_EXPIRY_SECONDS = 2
"""
URLS = """
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.template import engines
from django.urls import path

from oidc_urls import urlpatterns

OUTSIDE = 'Hello stranger'
INSIDE = '''{{ user.get_full_name }}, {{ user.email }}, staff: {{ user.is_staff }}
<form method="post" action="{% url "oidc_logout" %}">{% csrf_token %}<button>Sign out</button></form>'''


def start(request):
    text = INSIDE if request.user.is_authenticated else OUTSIDE
    return HttpResponse(engines["django"].from_string(text).render({"user": request.user}, request))


urlpatterns += [path("", start), path("shelf", login_required(start))]
"""


@pytest.fixture(scope="module")
def library(provider: House, app_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The project, and its server."""
    folder = tmp_path_factory.mktemp("library")
    how_to = HowTo("django", provider.issuer, app_url)
    how_to.register(provider)
    how_to.write(folder, "oidc_settings.py", "people.py", "oidc_urls.py")
    (folder / "settings.py").write_text(SETTINGS, "utf-8")
    (folder / "urls.py").write_text(URLS, "utf-8")
    django = [sys.executable, "-m", "django"]
    project = ["--settings=settings", f"--pythonpath={folder}"]
    subprocess.run([*django, "migrate", "-v0", *project], cwd=folder, check=True, timeout=120)
    command = [*django, "runserver", "--noreload", app_url.removeprefix("http://"), *project]
    with running(command, folder, f"{app_url}/"):
        yield app_url


def test_login_with_pkce(library: str, person: Person) -> None:
    page = person.walk(f"{library}/shelf")
    assert str(page.url) == f"{library}/shelf"
    assert page.text.startswith("Ada Lovelace, ada@example.org, staff: True")


def test_roles_of_somebody_else(library: str, provider: House) -> None:
    with Person(provider.issuer, "bob") as other:
        assert other.walk(f"{library}/shelf").text.startswith("Bob Builder, bob@example.org, staff: False")


def test_logout(library: str, person: Person) -> None:
    page = person.walk(f"{library}/shelf")
    after = person.press(page)
    assert (str(after.url), after.text) == (f"{library}/", "Hello stranger")
    assert not person.is_signed_in()


def test_a_sign_out_elsewhere_is_noticed_when_the_middleware_asks(library: str, person: Person) -> None:
    person.walk(f"{library}/shelf")
    person.sign_out()
    until(lambda: person.http.get(f"{library}/shelf").is_redirect, "the middleware does not ask")
    question = person.http.get(f"{library}/shelf").headers["Location"]
    assert "prompt=none" in question
    answer = person.http.get(question)
    assert "error=login_required" in answer.headers["Location"]
    person.http.get(answer.headers["Location"])
    assert person.http.get(f"{library}/").text == "Hello stranger"
