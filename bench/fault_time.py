"""Clocks that jump, and a server that is told to stop in the middle of things."""

import os
import signal
import threading
import time
from pathlib import Path

import requests
from disks import clock_library
from people import Person, csrf_of
from stage import Stage

from instance import AWAY, PASSWORD, REDIRECT_URI, Instance

HOUR, DAY = 3600, 86_400
IDLE, LONGEST = 4 * HOUR, 12 * HOUR  # a session's lifetimes


# Python sleeps until a time of a clock that only goes forward; libfaketime takes it for a time of day, and refuses it.
SLEEP = "import select, time; time.sleep = lambda seconds: select.select([], [], [], seconds) and None"


class Clock:
    """The time of day of the provider's processes, by libfaketime; other clocks go on as they are."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "clock"
        self.set(0)
        (folder / "sitecustomize.py").write_text(SLEEP)
        self.environ = {
            "PYTHONPATH": os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]),
            "LD_PRELOAD": clock_library(),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_DONT_RESET": "1",
        }

    def set(self, offset: float) -> None:
        """Set it so many seconds ahead of the real one, or behind."""
        draft = self._file.with_suffix(".new")
        draft.write_text(f"{offset:+.3f}\n")
        draft.replace(self._file)
        self.offset = offset

    def now(self) -> float:
        """Return what it shows."""
        return time.time() + self.offset


def jumping_clock(folder: Path) -> Stage:
    """An hour forward, a day forward and back again, and small steps to and fro."""
    stage = Stage(
        folder,
        {
            "IDP_SESSION_IDLE_LIFETIME": str(IDLE),
            "IDP_SESSION_LIFETIME": str(LONGEST),
            "IDP_THROTTLE_ACCOUNT_BURST": "5",
            "IDP_THROTTLE_ACCOUNT_INTERVAL": "5",
        },
    )
    instance = stage.instance
    clock = Clock(folder)
    instance.server_environ = clock.environ
    try:
        stage.begin()
        with stage.load():
            stage.wait_for("refresh", 5, 60)
        stage.check_all("no jump")
        _an_hour_forward(stage, clock)
        _a_day_forward_and_back(stage, clock)
        stage.new_people()
        with stage.load():
            for offset in (2, -3, 0.5, -1, 4, -4, 1, 0):
                clock.set(offset)
                time.sleep(0.7)
        stage.check_all("small steps", but=("time",))
    finally:
        instance.stop()
    return stage


def _an_hour_forward(stage: Stage, clock: Clock) -> None:
    person = stage.people[0]
    person.log_in()
    code, token = _fresh_code(person), _fresh_tokens(person)
    clock.set(HOUR)
    _expect_refused(stage, person, code, "a code of an hour ago")
    active = _introspect(person, token["access_token"]).get("active")
    is_due = int(token["expires_in"]) > HOUR
    stage.expect(active is is_due, f"an access token for {token['expires_in']} s is active={active} after an hour")
    stage.expect(person.send("GET", "/account").status_code == 200, "a session is over after an idle hour, not four")
    answer = person.token({"grant_type": "refresh_token", "refresh_token": token["refresh_token"]})
    stage.expect(answer.status_code == 200, f"a refresh token is refused after an hour: {answer.text[:200]}")
    stage.new_people()
    with stage.load():
        stage.wait_for("refresh", 5, 60)
    stage.check_all("an hour forward", but=("time",))


def _a_day_forward_and_back(stage: Stage, clock: Clock) -> None:
    instance = stage.instance
    person, before = stage.people[1], stage.people[2]
    before.sign_in()
    clock.set(DAY)
    stage.expect(before.send("GET", "/account").status_code != 200, "a session outlives its idle and absolute age")
    person.sign_in()
    redeemed, waiting = _fresh_code(person), _fresh_code(person)
    person.redeem(redeemed)
    used = person.unused[-1]
    person.refresh()
    refused = 0
    while stage.try_sign_in(3, "wrong").status_code != 429 and refused < 30:
        refused += 1
    (worker,) = instance.processes()["worker"]
    os.kill(worker, signal.SIGSTOP)
    mails = _mails(instance)
    Person(instance, stage.ledger, 0, seed=77).register()
    stage.people[0].made = max(each.made for each in stage.people) + 1
    for each in stage.people:
        each.made = stage.people[0].made + 1
    clock.set(0)
    os.kill(worker, signal.SIGCONT)
    # -- a day back
    begin = time.monotonic()
    while stage.try_sign_in(3, PASSWORD).status_code == 429 and time.monotonic() < begin + 90:
        time.sleep(1)
    took = time.monotonic() - begin
    stage.expect(took < 60, "a throttle of tomorrow keeps somebody out")
    stage.tell(f"a throttle that was exhausted a day ahead admits somebody {took:.0f} s after the clock was set back")
    while _mails(instance) <= mails and time.monotonic() < begin + 150:
        time.sleep(1)
    took = time.monotonic() - begin
    stage.expect(_mails(instance) > mails, "a mail that was posted a day ahead does not go")
    stage.tell(f"a mail that was posted a day ahead went {took:.0f} s after the clock was set back")
    _expect_refused(stage, person, redeemed, "a code that was redeemed a day ahead")
    answer = person.token({"grant_type": "refresh_token", "refresh_token": used})
    stage.expect(answer.status_code == 400, "a refresh token that was used a day ahead is good again")
    first = person.token(_redemption(waiting)).status_code
    second = person.token(_redemption(waiting)).status_code
    stage.expect(second == 400, "a code that came a day ahead is redeemed twice")
    stage.tell(f"a code that came a day ahead and was not used is answered with {first}, then {second}")
    stage.new_people()
    with stage.load():
        stage.wait_for("refresh", 5, 60)
    stage.check_all("a day back", but=("time",))
    # The session that began a day ahead ends when it would have ended there: no later.
    clock.set(DAY + IDLE + HOUR)
    stage.expect(person.send("GET", "/account").status_code != 200, "a session that began a day ahead does not end")
    clock.set(0)


def _fresh_code(person: Person) -> str:
    """Have a code that nobody uses."""
    for _ in range(200):
        person.unredeemed.clear()
        person.log_in()
        if person.unredeemed:
            return person.unredeemed.pop()[1]
    raise SystemExit("no code is kept")


def _redemption(code: str) -> dict[str, str]:
    return {"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT_URI}


def _fresh_tokens(person: Person) -> dict[str, str]:
    tokens: dict[str, str] = person.token(_redemption(_fresh_code(person))).json()
    return tokens


def _expect_refused(stage: Stage, person: Person, code: str, what: str) -> None:
    stage.expect(person.token(_redemption(code)).status_code == 400, f"{what} is redeemed")


def _introspect(person: Person, token: str) -> dict[str, object]:
    web = person.instance.web
    form = {"token": token, "client_id": web["client_id"], "client_secret": web["client_secret"]}
    told: dict[str, object] = person.send("POST", "/oauth/introspect", data=form).json()
    return told


def _mails(instance: Instance) -> int:
    return len(list((instance.folder / "outbox").glob("*.eml")))


def told_to_stop(folder: Path, times: int = 5) -> Stage:
    """SIGTERM while passwords are being hashed: whoever was let in is answered."""
    stage = Stage(folder, {"IDP_BCRYPT_COST": "12"})
    instance = stage.instance
    answered, cut, refused = 0, 0, 0
    try:
        stage.begin()
        for number in range(times):
            sent: dict[int, float] = {}
            came: dict[int, int] = {}

            def sign_in(who: int, sent: dict[int, float] = sent, came: dict[int, int] = came) -> None:
                with requests.Session() as browser:
                    page = browser.get(f"{instance.issuer}/sign-in", timeout=60)
                    form = {"username": f"p{who % instance.people}", "password": PASSWORD, "csrf_token": csrf_of(page)}
                    sent[who] = time.monotonic()
                    try:
                        answer = browser.post(
                            f"{instance.issuer}/sign-in", data=form, allow_redirects=False, timeout=60
                        )
                        came[who] = answer.status_code
                    except AWAY:
                        came[who] = 0

            threads = [threading.Thread(target=sign_in, args=(who,)) for who in range(8)]
            for thread in threads:
                thread.start()
            give_up_at = time.monotonic() + 30
            while len(sent) < len(threads) and time.monotonic() < give_up_at:
                time.sleep(0.01)
            time.sleep(0.15)
            assert instance.server is not None
            stopped_at = time.monotonic()
            pending = set(sent) - set(came)
            instance.server.send_signal(signal.SIGTERM)
            for thread in threads:
                thread.join()
            code = instance.server.wait(60)
            took = time.monotonic() - stopped_at
            answered += sum(came[who] == 303 for who in pending)
            cut += sum(came[who] == 0 for who in pending)
            refused += sum(came[who] not in (0, 303) for who in pending)
            stage.expect(code == 0, f"the server ends with {code}")
            stage.expect(took < 25, f"it took {took:.0f} s to stop")
            for who in pending:
                stage.expect(came[who] == 303, f"stop {number}: a sign-in under way is answered with {came[who]}")
            instance.start()
        stage.expect(answered > 0, "nothing was under way: this has shown nothing")
        stage.tell(
            f"{times} stops: of the sign-ins under way {answered} were answered, {refused} refused, {cut} cut off"
        )
        stage.check_all("stops")
    finally:
        instance.stop()
    return stage
