"""The stand-in Telegram answers as the Bot API does.

SANDBOX names the program; build/release/sandbox when unset.
"""
import http.client
import urllib.parse

import pytest

from test_sandbox import Sandbox

TOKEN = "123456:AAF"


class Telegram:
    def __init__(self, box):
        self.box = box

    def set(self, **document):
        return self.box.control("POST", "telegram", document)

    def seen(self, query=""):
        return self.box.control("GET", "telegram" + query)

    def call(self, method="sendMessage", token=TOKEN, **parameters):
        return self.box.call("POST", f"/telegram/bot{token}/{method}", parameters, Content_Type="application/json")

    def send(self, text="hello", chat_id=42, **more):
        return self.call(chat_id=chat_id, text=text, **more)


@pytest.fixture(scope="module")
def running():
    sandbox = Sandbox()
    yield sandbox
    assert sandbox.stop() == 0


@pytest.fixture
def telegram(running):
    running.control("POST", "reset")
    return Telegram(running)


def refused(answer, code, description):
    body = answer.json()
    return (answer.status, body["ok"], body["error_code"], body["description"]) == (code, False, code, description)


def test_a_message_is_answered_and_kept(telegram):
    answer = telegram.send("🔧 <b>ORCH-1</b> &amp; more", chat_id=-100123, parse_mode="HTML")
    result = answer.json()["result"]
    assert answer.status == 200 and answer.json()["ok"] is True
    assert (result["message_id"], result["text"], result["chat"]["id"]) == (1, "🔧 ORCH-1 & more", -100123)
    kept = telegram.seen()["messages"]
    assert [(row["chat_id"], row["text"], row["parse_mode"]) for row in kept] == [
        ("-100123", "🔧 <b>ORCH-1</b> &amp; more", "HTML")]
    telegram.box.control("DELETE", "telegram")
    assert telegram.seen()["messages"] == []


def test_parameters_may_come_in_a_form_or_the_query(telegram):
    form = urllib.parse.urlencode({"chat_id": "@team", "text": "a & b = ü"})
    raw = http.client.HTTPConnection("127.0.0.1", telegram.box.port, timeout=20)
    raw.request("POST", f"/telegram/bot{TOKEN}/sendMessage", form, {"Content-Type": "application/x-www-form-urlencoded"})
    assert raw.getresponse().status == 200
    raw.close()
    assert telegram.box.call("GET", f"/telegram/bot{TOKEN}/sendmessage?{form}").status == 200
    assert [(row["chat_id"], row["text"]) for row in telegram.seen()["messages"]] == [("@team", "a & b = ü")] * 2


def test_a_wrong_token_is_401_and_what_is_none_404(telegram):
    telegram.set(token=TOKEN)
    assert telegram.send().status == 200
    assert refused(telegram.call(token="123456:other", chat_id=1, text="x"), 401, "Unauthorized")
    assert refused(telegram.call(token="nonsense", chat_id=1, text="x"), 404, "Not Found")
    assert refused(telegram.call("sendNonsense"), 404, "Not Found: method not found")
    assert telegram.call("getMe").json()["result"]["is_bot"] is True


def test_bad_requests_say_what_is_wrong(telegram):
    telegram.set(chats=[42, {"id": 7, "forbidden": "bot was blocked by the user"}, {"id": -5, "migrated_to": "-1005"}])
    assert refused(telegram.send(chat_id=43), 400, "Bad Request: chat not found")
    assert refused(telegram.send(chat_id=""), 400, "Bad Request: chat_id is empty")
    assert refused(telegram.send(text=" \n"), 400, "Bad Request: message text is empty")
    assert refused(telegram.send(text="<b></b>", parse_mode="HTML"), 400, "Bad Request: message text is empty")
    assert refused(telegram.send(parse_mode="odd"), 400, "Bad Request: unsupported parse_mode")
    assert refused(telegram.send(chat_id=7), 403, "Forbidden: bot was blocked by the user")
    assert telegram.send(chat_id=-5).json()["parameters"] == {"migrate_to_chat_id": -1005}
    assert telegram.call("getChat", chat_id=42).json()["result"] == {"id": 42, "type": "private"}
    assert (telegram.seen()["messages"], telegram.seen()["bad_requests"]) == ([], 6)


def test_a_message_has_at_most_4096_utf_16_units_once_its_html_is_gone(telegram):
    assert telegram.send("<b>" + "x" * 4096 + "</b>", parse_mode="HTML").status == 200
    assert telegram.send("ü" * 4096).status == 200
    assert refused(telegram.send("x" * 4097), 400, "Bad Request: message is too long")
    assert refused(telegram.send("🔧" * 2049), 400, "Bad Request: message is too long")


@pytest.mark.parametrize("html, words", [
    ("a<b", "Unclosed start tag at byte offset 1"), ("<x>y</x>", 'Unsupported start tag "x" at byte offset 0'),
    ("ü < 3 >", 'Unsupported start tag "" at byte offset 3'), ("<b>x", 'Can\'t find end tag corresponding to start tag "b"'),
    ("x</b>", "Unexpected end tag at byte offset 1"), ("<b>x</b", "Unclosed end tag at byte offset 4"),
    ("<b><i>x</b></i>", 'Unmatched end tag at byte offset 7, expected "</i>", found "</b>"')])
def test_html_that_cannot_be_read_is_refused_with_its_place(telegram, html, words):
    assert refused(telegram.send(html, parse_mode="HTML"), 400, "Bad Request: can't parse entities: " + words)
    assert telegram.send(html).status == 200, "without a parse_mode it is text"


def test_html_may_have_attributes_entities_and_stray_ampersands(telegram):
    answer = telegram.send("<a href=\"http://x/?a=1>2\">l</a> &lt;&#39;&nbsp; R&D <tg-spoiler>s</tg-spoiler>", parse_mode="HTML")
    assert answer.json()["result"]["text"] == "l <'&nbsp; R&D s"


def test_refusals_on_purpose_tell_how_long_to_wait(telegram):
    telegram.set(refuse=2, retry_after=7)
    for _ in range(2):
        answer = telegram.send()
        assert refused(answer, 429, "Too Many Requests: retry after 7")
        assert answer.json()["parameters"] == {"retry_after": 7} and answer.headers["retry-after"] == "7"
    assert telegram.send().status == 200
    seen = telegram.seen()
    assert (seen["refused"], seen["refused_again"], seen["refused_early"], len(seen["messages"])) == (2, 1, 1, 1)


def test_a_chat_may_have_a_limit_of_its_own(telegram):
    telegram.set(limit=2)
    assert [telegram.send().status for _ in range(3)] == [200, 200, 429]
    assert telegram.send(chat_id=43).status == 200


def test_one_may_wait_for_messages(telegram):
    telegram.send()
    assert len(telegram.seen("?until_messages=1")["messages"]) == 1
