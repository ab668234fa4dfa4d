"""Channels against real receivers: what goes through, what is tried again, what never will."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, get_args

import pytest
from pydantic import TypeAdapter

from monitors import log as logs
from monitors.alert.channels import CHANNELS, Channel, ChannelError, open_channel
from monitors.alert.message import Fact, Message, Section
from monitors.config_alert_types import SecretRef
from monitors.config_channels import BaseChannel, ChannelSettings
from monitors.results import Severity
from tests.conftest import ROOT
from tests.messages import INCIDENT, MARKUP, hostile, message
from tests.receivers import (
    HttpReceiver,
    SmtpReceiver,
    http_receiver,
    self_signed,
    smtp_receiver,
)

SETTINGS: TypeAdapter[Any] = TypeAdapter(ChannelSettings)


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def http() -> Iterator[HttpReceiver]:
    with http_receiver() as receiver:
        yield receiver


def opened(kind: str, **settings: Any) -> Channel:
    return open_channel("ops", SETTINGS.validate_python({"type": kind, **settings}))


def posting(
    monkeypatch: pytest.MonkeyPatch, url: str, kind: str = "webhook", **settings: Any
) -> Channel:
    """A channel to this address, which it knows from a variable."""
    monkeypatch.setenv("CHANNEL_URL", url)
    return opened(kind, url={"env": "CHANNEL_URL"}, **settings)


def error_of(channel: Channel, sent: Message = INCIDENT) -> ChannelError:
    with pytest.raises(ChannelError) as caught:
        channel.send(sent)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("channel `ops`: ")
    return caught.value


# -------------------------------------------------------------------- webhook


def test_a_webhook_gets_the_whole_message_with_its_key(
    http: HttpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """JSON that gives the message back; the key in header and body; the same bytes at each try."""
    channel = posting(monkeypatch, f"{http.url}/200/hook?token=abc")
    channel.send(INCIDENT)
    channel.send(INCIDENT)
    first, second = http.received
    body = json.loads(first.body)

    assert ("POST", "/200/hook?token=abc") == (first.method, first.path)
    assert "application/json" == first.headers["Content-Type"]
    assert INCIDENT.key == first.headers["Idempotency-Key"] == body["key"]
    assert "opened" == first.headers["X-Rampart-Event"]
    assert 1 == body.pop("version")
    assert "select rules, count(*)" in body.pop("text")
    assert Message.from_json(body) == INCIDENT
    assert first.body == second.body


def test_a_webhook_is_signed_and_carries_further_headers(
    http: HttpReceiver, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """HMAC-SHA256 of the body under the secret, which may stand in a file."""
    (tmp_path / "secret").write_text("much-too-secret\n")
    monkeypatch.setenv("CHANNEL_AUTHORIZATION", "Bearer right")
    channel = posting(
        monkeypatch,
        http.url,
        secret={"file": str(tmp_path / "secret")},
        headers={"Authorization": {"env": "CHANNEL_AUTHORIZATION"}},
    )
    channel.send(INCIDENT)
    (request,) = http.received
    digest = hmac.new(b"much-too-secret", request.body, hashlib.sha256).hexdigest()

    assert f"sha256={digest}" == request.headers["X-Rampart-Signature"]
    assert "Bearer right" == request.headers["Authorization"]


@pytest.mark.parametrize("kind", ["webhook", "slack"])
@pytest.mark.parametrize(
    ("mood", "permanent", "said"),
    [
        ("400", True, "answered 400: said so"),
        ("401", True, "answered 401"),
        ("404", True, "answered 404"),
        ("410", True, "answered 410"),
        ("408", False, "answered 408"),
        ("425", False, "answered 425"),
        ("429", False, "answered 429"),
        ("500", False, "answered 500"),
        ("503", False, "answered 503"),
        ("close", False, "closed before an answer"),
        ("away", True, "redirects (307) to another host"),
        ("found", True, "put the address it moved to"),
        ("round", True, "redirected more than 3 times"),
        ("304", True, "answered 304"),
    ],
)
def test_what_is_tried_again_and_what_is_not(
    http: HttpReceiver,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    mood: str,
    permanent: bool,
    said: str,
) -> None:
    """4xx is permanent but for 408, 425, 429; 5xx is not; no redirect leaves the host."""
    error = error_of(posting(monkeypatch, f"{http.url}/{mood}", kind))

    assert permanent is error.permanent
    assert said in str(error)
    assert not [each for each in http.received if "stolen" in each.path]
    assert None is error.retry_after


def test_a_redirect_on_the_same_host_is_followed_with_its_body(
    http: HttpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """307 keeps method and body."""
    posting(monkeypatch, f"{http.url}/here").send(INCIDENT)
    first, second = http.received

    assert ("POST", "/200/moved", first.body) == (second.method, second.path, second.body)


@pytest.mark.parametrize("mood", ["hang", "drip"])
def test_who_hangs_is_left_in_time(
    http: HttpReceiver, monkeypatch: pytest.MonkeyPatch, mood: str
) -> None:
    """`timeout` is for the whole try, also when every single byte comes in time."""
    channel = posting(monkeypatch, f"{http.url}/{mood}", timeout="1 second")
    started = time.monotonic()
    error = error_of(channel)

    assert not error.permanent
    assert "no answer" in str(error)
    assert time.monotonic() - started < 5


def test_a_login_in_the_address_becomes_a_header(
    http: HttpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Basic authentication, as every client reads such an address."""
    address = http.url.replace("http://", "http://rampart:p%40ssword@")
    posting(monkeypatch, f"{address}/here").send(INCIDENT)

    for request in http.received:
        given = request.headers["Authorization"].removeprefix("Basic ")
        assert b"rampart:p@ssword" == base64.b64decode(given)


def test_a_proxy_is_asked_where_one_is_named(
    http: HttpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behind a firewall nothing else leads out."""
    monkeypatch.setenv("http_proxy", http.url)
    posting(monkeypatch, "http://rampart.invalid/hook").send(INCIDENT)

    assert ["http://rampart.invalid/hook"] == [each.path for each in http.received]


def test_an_untrusted_certificate_gets_no_post(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Transient: whoever renews it gets the alert; a trusted one gets it at once."""
    certificate = self_signed(tmp_path)
    with http_receiver(certificate) as receiver:
        error = error_of(posting(monkeypatch, receiver.url))
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        posting(monkeypatch, receiver.url).send(INCIDENT)

    assert not error.permanent
    assert "certificate" in str(error)
    assert 1 == len(receiver.received)


def test_an_answer_that_breaks_off_has_been_given(
    http: HttpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """200 is 200, whatever becomes of its text."""
    posting(monkeypatch, f"{http.url}/torn").send(INCIDENT)

    assert 1 == len(http.received)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://127.0.0.1:9", "the connection was refused"),
        ("https://127.0.0.1:9", "the connection was refused"),
        ("http://rampart.invalid/hook", "cannot be looked up"),
    ],
)
def test_nobody_there_is_transient(monkeypatch: pytest.MonkeyPatch, url: str, said: str) -> None:
    """A refused connection and a name that nobody knows, told apart."""
    error = error_of(posting(monkeypatch, url))

    assert not error.permanent
    assert said in str(error)


@pytest.mark.parametrize(
    ("header", "low", "high"),
    [
        ("120", 120, 120),
        ("0", 0, 0),
        ("-5", 0, 0),
        ("99999999", 86400, 86400),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0, 0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 86400, 86400),
    ],
)
def test_retry_after_is_respected(
    http: HttpReceiver, monkeypatch: pytest.MonkeyPatch, header: str, low: float, high: float
) -> None:
    """Seconds or a date, never less than nothing and never more than a day."""
    http.retry_after = header
    error = error_of(posting(monkeypatch, f"{http.url}/429"))

    assert error.retry_after is not None
    assert low <= error.retry_after <= high


@pytest.mark.parametrize("header", ["soon", "nan", "12 parsecs"])
def test_a_retry_after_that_says_nothing_counts_for_none(
    http: HttpReceiver, monkeypatch: pytest.MonkeyPatch, header: str
) -> None:
    """The outbox then waits as long as it would have."""
    http.retry_after = header

    assert None is error_of(posting(monkeypatch, f"{http.url}/503")).retry_after


# -------------------------------------------------------------------- secrets

SECRET = "http://127.0.0.1:9/services/T0AAAAAAA/B0BBBBBBB/veryverysecret?key=alsoverysecret"


def test_no_error_shows_an_address_or_a_part_of_it(
    http: HttpReceiver, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Not of our own making, not what a receiver echoes, not in a repr, not in a log."""
    logs.configure(level="debug", pretty=False)
    path = "/echo/services/T0AAAAAAA/B0BBBBBBB/veryverysecret?key=alsoverysecret"
    for url in (SECRET, f"{http.url}{path}"):
        channel = posting(monkeypatch, url)
        error = error_of(channel)
        logs.get_logger("Test").error("it failed", why=str(error), channel=repr(channel), url=url)
        for text in (str(error), repr(error), repr(channel), capfd.readouterr().err):
            assert "verysecret" not in text
            assert "T0AAAAAAA" not in text


def test_a_secret_that_a_failure_said_does_not_go_out(
    http: HttpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A password in an error's text is masked in the message, too; the key stays as it is."""
    logs.hide("hunter2hunter2")
    leaky = message(
        key="hunter2hunter2-1",
        title="job failed: --password=hunter2hunter2",
        lead=(Fact("why", "hunter2hunter2"),),
        sections=(Section("log", statement="psql hunter2hunter2"),),
    )
    posting(monkeypatch, http.url).send(leaky)
    values = json.loads(http.received[0].body)

    assert "hunter2hunter2-1" == values.pop("key")
    assert "hunter2" not in json.dumps(values)
    assert 3 <= json.dumps(values).count("***")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "`url`: the variable CHANNEL_URL is not set"),
        (" \n", "`url`: the variable CHANNEL_URL is empty"),
        ("ftp://host/secretsecret", "`url`: what it names is not an http or https URL"),
        ("https:///secretsecret", "`url`: what it names is not an http or https URL"),
        ("https://host:99999/secretsecret", "`url`: what it names is not an http or https URL"),
        ("https://host/secretsecret\nX: y", "`url`: what it names is not one line of ASCII"),
    ],
)
def test_a_secret_that_cannot_be_used_is_named_not_shown(
    monkeypatch: pytest.MonkeyPatch, value: str | None, said: str
) -> None:
    """Permanent: somebody has to set it."""
    if value is not None:
        monkeypatch.setenv("CHANNEL_URL", value)
    with pytest.raises(ChannelError) as caught:
        opened("slack", url={"env": "CHANNEL_URL"})

    assert f"channel `ops`: {said}" == str(caught.value)
    assert caught.value.permanent


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """With the reason of the operating system."""
    with pytest.raises(
        ChannelError, match=r"the file .*/gone cannot be read: No such file"
    ) as caught:
        opened("slack", url={"file": str(tmp_path / "gone")})

    assert caught.value.permanent


@pytest.mark.parametrize(
    ("kind", "module", "extra", "settings"),
    [
        ("apprise", "apprise", "apprise", {"url": {"env": "CHANNEL_URL"}}),
        ("sns", "boto3", "aws", {"topic_arn": "arn:aws:sns:eu-central-1:123456789012:alerts"}),
    ],
)
def test_a_missing_extra_says_what_to_type(
    monkeypatch: pytest.MonkeyPatch, kind: str, module: str, extra: str, settings: Any
) -> None:
    """Whoever has not installed it reads the command that does."""
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ChannelError) as caught:
        opened(kind, **settings)

    said = f"channel `ops`: {module} is not installed: pip install 'rampart[{extra}]'"
    assert said == str(caught.value)
    assert caught.value.permanent


def test_what_nobody_foresaw_is_one_line_and_tried_again(
    http: HttpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault in a channel loses no alert and shows no traceback."""

    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError(f"no way to {http.url}/verysecretpath")

    monkeypatch.setattr("monitors.alert.channels.webhook.deliver", broken)
    error = error_of(posting(monkeypatch, f"{http.url}/verysecretpath"))

    assert "channel `ops`: RuntimeError: no way to ***" == str(error)
    assert not error.permanent


def test_every_type_of_channel_has_a_class() -> None:
    """The dict and the settings name the same types."""
    (union, *_) = get_args(ChannelSettings)
    types = [get_args(each.model_fields["type"].annotation)[0] for each in get_args(union)]

    assert list(CHANNELS) == types


def test_the_documented_example_of_a_new_channel_works(
    http: HttpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """docs/alerts.md: a settings class, a module, a line; masking and errors come by themselves."""
    text = (ROOT / "docs" / "alerts.md").read_text().split("## Adding a channel")[1]
    settings, module, line = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    ntfy = ModuleType("monitors.alert.channels.ntfy")
    names = {"BaseChannel": BaseChannel, "Literal": Literal, "SecretRef": SecretRef}
    vars(ntfy).update(names)
    exec(settings + module, vars(ntfy))
    monkeypatch.setitem(sys.modules, ntfy.__name__, ntfy)
    monkeypatch.setattr("monitors.alert.channels.CHANNELS", eval("{" + line + "}"))
    logs.hide("hunter3hunter3")
    outcomes = []
    for mood in ("200", "404"):
        monkeypatch.setenv("CHANNEL_URL", f"{http.url}/{mood}/topictopic")
        given = {"type": "ntfy", "url": {"env": "CHANNEL_URL"}}
        channel = open_channel("ops", ntfy.NtfySettings.model_validate(given))
        try:
            outcomes.append(channel.send(message(title="password hunter3hunter3")))
        except ChannelError as error:
            outcomes.append(error.permanent)

    assert [None, True] == outcomes
    assert "HIGH: password ***" == http.received[0].headers["Title"]


# -------------------------------------------------------------------- slack, log, apprise


def test_slack_gets_blocks(http: HttpReceiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """Through its incoming webhook."""
    posting(monkeypatch, f"{http.url}/services/T0/B0/x", "slack").send(hostile())
    body = json.loads(http.received[0].body)

    assert "header" == body["blocks"][0]["type"]
    assert "<!channel>" not in body["text"]


def test_the_log_gets_one_line(tmp_path: Path) -> None:
    """With everything in it, and a level by severity."""
    logs.configure(level="error", log_file=tmp_path / "log", file_level="info", pretty=False)
    opened("log").send(hostile())
    opened("log").send(message(event="resolved"))
    first, second = (json.loads(line) for line in (tmp_path / "log").read_text().splitlines())

    assert ("error", "Alert", "alert") == (first["level"], first["component"], first["message"])
    assert MARKUP == first["alert"]["title"]
    assert ("warning", "resolved") == (second["level"], second["alert"]["event"])


def test_apprise_sends_or_says_why_not(http: HttpReceiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """Through its own JSON plug-in; what it refuses to know is permanent, a failure is not."""
    address = http.url.removeprefix("http")
    posting(monkeypatch, f"json{address}/200/appriseappriseapprise", "apprise").send(INCIDENT)
    body = json.loads(http.received[0].body)
    failing = error_of(posting(monkeypatch, f"json{address}/500/secretsecret", "apprise"))
    unknown = error_of(posting(monkeypatch, "nonsense://secretsecret", "apprise"))

    assert "[prod] HIGH: few events of the latest load" in body["title"]
    assert "select rules, count(*)" in body["message"]
    assert (False, True) == (failing.permanent, unknown.permanent)
    assert "secretsecret" not in f"{failing}{unknown}"


# -------------------------------------------------------------------- mail


def mailing(receiver: SmtpReceiver, **settings: Any) -> Channel:
    return opened(
        "email",
        **{
            "host": "127.0.0.1",
            "port": receiver.port,
            "security": "none",
            "from": "Rampart <rampart@example.com>",
            "to": ["On call <oncall@example.com>", "data@example.com"],
            **settings,
        },
    )


def test_a_mail_has_both_parts_and_is_threaded() -> None:
    """HTML and text; the same key gives the same id; one incident is one thread."""
    with smtp_receiver() as receiver:
        channel = mailing(receiver)
        for sent in (INCIDENT, INCIDENT, message(key="12-resolved", event="resolved")):
            channel.send(sent)
    first, again, resolved = receiver.mails
    parts = [part.get_content_type() for part in first.walk()]

    assert ["multipart/alternative", "text/plain", "text/html"] == parts
    assert ["oncall@example.com", "data@example.com"] == receiver.recipients[0]
    assert "On call <oncall@example.com>, data@example.com" == first["To"]
    assert first["Message-ID"] == again["Message-ID"] != resolved["Message-ID"]
    assert first["References"] == resolved["References"]
    assert resolved["Subject"].startswith("[prod] Resolved: few events")
    assert "auto-generated" == first["Auto-Submitted"]


def test_no_text_of_others_makes_a_header_or_markup() -> None:
    """A line break in a title starts no header; tags arrive as text."""
    with smtp_receiver() as receiver:
        mailing(receiver).send(hostile())
    (mail,) = receiver.mails
    html = mail.get_body(("html",))
    assert html is not None

    assert None is mail["Bcc"]
    assert "<script" not in html.get_content()
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html.get_content()
    assert 'href="javascript' not in html.get_content()
    assert "{{ 7*7 }}" in html.get_content()


def test_mail_is_encrypted_and_logs_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """STARTTLS and TLS with a trusted certificate; a wrong password is permanent and not shown."""
    certificate = self_signed(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    monkeypatch.setenv("MAIL_PASSWORD", "right-password")
    login = {"username": "rampart", "password": {"env": "MAIL_PASSWORD"}}
    with smtp_receiver(certificate) as receiver:
        mailing(receiver, security="starttls", **login).send(INCIDENT)
        monkeypatch.setenv("MAIL_PASSWORD", "wrong-password")
        error = error_of(mailing(receiver, security="starttls", **login))
    with smtp_receiver(certificate, tls=True) as other:
        mailing(other, security="tls").send(INCIDENT)

    assert [True] == receiver.encrypted
    assert 1 == len(other.mails)
    assert error.permanent
    assert "535" in str(error)
    assert "wrong-password" not in str(error)


def test_an_untrusted_certificate_gets_no_mail(tmp_path: Path) -> None:
    """Nor a server that offers no encryption although it was asked for."""
    with smtp_receiver(self_signed(tmp_path)) as receiver:
        untrusted = error_of(mailing(receiver, security="starttls"))
    with smtp_receiver() as plain:
        unencrypted = error_of(mailing(plain, security="starttls"))

    assert [] == receiver.mails == plain.mails
    assert (False, True) == (untrusted.permanent, unencrypted.permanent)
    assert "not trusted" in str(untrusted)
    assert "STARTTLS" in str(unencrypted)


@pytest.mark.parametrize(
    ("answer", "permanent"),
    [("550 no such thing", True), ("554 spam", True), ("451 try later", False)],
)
def test_5xx_of_a_mail_server_is_permanent(answer: str, permanent: bool) -> None:
    """4xx is not: greylisting is how many servers greet."""
    with smtp_receiver() as receiver:
        receiver.answer = answer
        error = error_of(mailing(receiver))
        receiver.answer = "250 fine"
        receiver.refuse = lambda _address: answer
        refused = error_of(mailing(receiver))

    assert permanent is error.permanent is refused.permanent
    assert answer[:3] in str(error)
    assert "2 of 2 recipients refused" in str(refused)


def test_who_was_refused_is_not_forgotten_and_the_others_get_it_once() -> None:
    """Permanent even for 4xx: another try would reach those who have it."""
    with smtp_receiver() as receiver:
        receiver.refuse = lambda address: "450 later" if address.startswith("data") else None
        error = error_of(mailing(receiver))

    assert [["oncall@example.com"]] == receiver.recipients
    assert error.permanent
    assert "1 of 2 recipients refused: data@example.com: 450 later" in str(error)


def test_a_mail_server_that_hangs_or_is_not_there_is_transient() -> None:
    """Within the time that the channel has."""
    with smtp_receiver() as receiver:
        receiver.wait = 1.5
        slow = error_of(mailing(receiver, timeout="1 second"))
        time.sleep(1)
    gone = error_of(mailing(receiver))

    assert (False, False) == (slow.permanent, gone.permanent)


# -------------------------------------------------------------------- SNS


@pytest.fixture(scope="module")
def aws() -> Iterator[str]:
    """moto's stand-in for AWS, spoken to over HTTP."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def client(aws: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """boto3 clients by service, with credentials that are none."""
    import boto3

    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return lambda service: boto3.client(service, region_name="eu-central-1", endpoint_url=aws)


def subscribed(client: Any, name: str) -> tuple[str, str]:
    """A topic and the queue that takes what is published on it."""
    fifo = {"FifoTopic": "true"} if name.endswith(".fifo") else {}
    queue = {"FifoQueue": "true"} if fifo else {}
    topic = client("sns").create_topic(Name=name, Attributes=fifo)["TopicArn"]
    url = client("sqs").create_queue(QueueName=name, Attributes=queue)["QueueUrl"]
    arn = client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn["Attributes"]["QueueArn"])
    return topic, url


def taken(client: Any, url: str) -> list[dict[str, Any]]:
    got = client("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10)
    return [json.loads(each["Body"]) for each in got.get("Messages", [])]


def test_sns_publishes_the_message_with_attributes(client: Any, aws: str) -> None:
    """A queue gets the JSON, and can filter by severity, kind, owner."""
    topic, url = subscribed(client, "alerts")
    opened("sns", topic_arn=topic, endpoint_url=aws).send(INCIDENT)
    (got,) = taken(client, url)
    attributes = {name: each["Value"] for name, each in got["MessageAttributes"].items()}

    assert Message.from_json(json.loads(got["Message"])) == INCIDENT
    assert "prod HIGH: few events of the latest load are rejected" in got["Subject"]
    assert ("high", "data_quality_failure", "web-data", INCIDENT.key) == tuple(
        attributes[name] for name in ("severity", "kind", "owner", "key")
    )


def test_a_fifo_topic_drops_the_repeat_of_a_key(client: Any, aws: str) -> None:
    """Sent twice with one key, it arrives once, in the group of its incident."""
    topic, url = subscribed(client, "alerts.fifo")
    channel = opened("sns", topic_arn=topic, endpoint_url=aws)
    for sent in (INCIDENT, INCIDENT, message(key="12-resolved", event="resolved")):
        channel.send(sent)
    keys = [json.loads(each["Message"])["key"] for each in taken(client, url)]

    assert [INCIDENT.key] == keys[:1]
    assert 1 == keys.count(INCIDENT.key)


def test_a_message_larger_than_sns_takes_is_shortened_not_lost(client: Any, aws: str) -> None:
    """Sections go from the end, and the message says so."""
    topic, url = subscribed(client, "large")
    sections = tuple(Section(f"part {number}", text="ä" * 7000) for number in range(40))
    opened("sns", topic_arn=topic, endpoint_url=aws).send(message(sections=sections))
    (got,) = taken(client, url)
    titles = [section.title for section in Message.from_json(json.loads(got["Message"])).sections]

    assert "part 0" == titles[0]
    assert "Shortened" == titles[-1]
    assert len(titles) < 40


def test_a_topic_that_is_not_there_is_permanent_and_a_dead_host_is_not(
    client: Any, aws: str
) -> None:
    """AWS's own words are passed on."""
    arn = "arn:aws:sns:eu-central-1:123456789012:nowhere"
    gone = error_of(opened("sns", topic_arn=arn, endpoint_url=aws))
    dead = error_of(opened("sns", topic_arn=arn, endpoint_url="http://127.0.0.1:9"))

    assert (True, False) == (gone.permanent, dead.permanent)
    assert "AWS answered NotFound" in str(gone)
    assert "AWS cannot be reached" in str(dead)


def test_hostile_text_passes_sns(client: Any, aws: str) -> None:
    """Subjects are ASCII without line breaks; attributes hold no line breaks either."""
    topic, url = subscribed(client, "hostile")
    opened("sns", topic_arn=topic, endpoint_url=aws).send(hostile())
    (got,) = taken(client, url)

    assert "\n" not in got["Subject"]
    assert MARKUP == json.loads(got["Message"])["lead"][0]["text"]
    assert Severity.HIGH.value == got["MessageAttributes"]["severity"]["Value"]
