"""The page's site at a real socket: who is let in, what is pushed, and every limit."""

from collections.abc import Iterator

import pytest
from wsproto.events import BytesMessage, TextMessage

from terminal_agent.config import Control
from terminal_agent.page import PageConfig, PageSite
from terminal_agent.page.guard import CONNECTIONS_MAX, REQUEST_BYTES_MAX
from terminal_agent.page.session import MESSAGE_BYTES_MAX
from terminal_agent.page.site import SESSIONS_MAX
from tests.kiosk.rig import until
from tests.page.rig import GONE, Player, Tab, fetch


@pytest.fixture(scope="module")
def player() -> Iterator[Player]:
    """One kiosk without a panel for all tests here."""
    with Player() as running:
        yield running


@pytest.fixture(scope="module")
def demo() -> Iterator[Player]:
    """One with a panel."""
    with Player(panel=True) as running:
        yield running


def entered(player: Player) -> Tab:
    """A page that said its token, and its first view."""
    tab = Tab(player.port)
    tab.say({"token": player.token()})
    assert tab.hear()["terminal"] == "KIOSK001"
    return tab


def test_page_comes_with_token_and_strict_headers(player: Player) -> None:
    """The document holds this run's token; the browser may run our scripts only, in no frame."""
    status, headers, body = fetch(player.port, "/kiosk")

    assert status == 200
    assert b"{{token}}" not in body
    assert player.token() == player.token()
    policy = headers["content-security-policy"].split("; ")
    assert {"default-src 'none'", "script-src 'self'", "frame-ancestors 'none'"} <= set(policy)
    assert not [rule for rule in policy if "unsafe" in rule or "*" in rule]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("method", "path", "headers", "expected"),
    [
        ("GET", "/kiosk", {"Host": "localhost:{port}"}, 200),
        ("GET", "/kiosk", {"Host": "evil.example:{port}"}, 403),
        ("GET", "/kiosk", {"Host": "127.0.0.1"}, 403),
        ("GET", "/kiosk", {"Sec-Fetch-Site": "cross-site"}, 403),
        ("GET", "/kiosk", {"Sec-Fetch-Site": "none"}, 200),
        ("POST", "/kiosk", {}, 405),
        ("HEAD", "/kiosk", {}, 405),
        ("GET", "/static/kiosk.js", {}, 200),
        ("GET", "/static/index.html", {}, 404),
        ("GET", "/static/../site.py", {}, 404),
        ("GET", "/static/%2e%2e/site.py", {}, 404),
        ("GET", "/", {}, 404),
        ("GET", "/demo", {}, 404),
        ("GET", "/panel", {}, 404),
        ("GET", "/panel/ws", {}, 404),
        ("GET", "/panel/slip.png", {}, 404),
        ("GET", "/kiosk/ws", {"Origin": ""}, 403),
    ],
)
def test_door(
    player: Player, method: str, path: str, headers: dict[str, str], expected: int
) -> None:
    """Only GET, only under our own name, only files of the page; no panel unless configured."""
    port = player.port
    made = {name: value.format(port=port) for name, value in headers.items()}
    status, answered, _ = fetch(port, path, method, made)

    assert status == expected
    assert "content-security-policy" in answered


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": ""},
        {"Origin": "null"},
        {"Origin": "http://evil.example"},
        {"Origin": "https://127.0.0.1:{port}"},
        {"Origin": "http://localhost:{port}"},
        {"Host": "evil.example:{port}", "Origin": "http://evil.example:{port}"},
    ],
)
def test_socket_of_another_origin_is_refused(player: Player, headers: dict[str, str]) -> None:
    """A page of somewhere else, or a name rebound to this machine, opens no WebSocket."""
    made = {name: value.format(port=player.port) for name, value in headers.items()}
    with Tab(player.port, headers=made) as tab:
        assert tab.status == 403


def test_every_change_is_pushed_and_taps_arrive(player: Player) -> None:
    """Two pages see the same view; a tap of either reaches the stage as it was made."""
    with entered(player) as tab, entered(player) as other:
        revision = player.show("check")
        seen = tab.hear()
        tap = {"revision": revision, "what": "confirm", "id": ""}
        tab.say(tap)

        assert (seen["revision"], seen["screen"]) == (revision, "check")
        assert other.hear() == seen
        until(lambda: tap in player.taps)


def test_token_of_another_run_is_told_apart(player: Player) -> None:
    """4001 makes a page load itself anew; it sees nothing."""
    with Tab(player.port) as tab:
        tab.say({"token": "x" * 43})
        assert tab.hear() == 4001


def test_reload_gets_in_again(player: Player) -> None:
    """A crashed page leaves its place, and the next one sees the present view."""
    for _ in range(SESSIONS_MAX + 2):
        entered(player).close()
        until(lambda: player.order(sessions=True) == 0)


@pytest.mark.parametrize(
    "message",
    [
        '{"revision": 1}',
        '{"revision": -1, "what": "tile"}',
        '{"revision": 1, "what": "tile", "more": 1}',
        '{"revision": 1, "what": "%s"}' % ("x" * 17),
        '{"revision": 1, "what": "tile", "id": "%s"}' % ("x" * 65),
        "[]",
        "x",
        "",
    ],
)
def test_what_is_no_tap_ends_the_session(player: Player, message: str) -> None:
    """1008, and the stage hears nothing of it."""
    before = player.taps
    with entered(player) as tab:
        tab.send(TextMessage(message))
        assert tab.hear() == 1008
    assert player.taps == before


@pytest.mark.parametrize("message", ['{"revision": 1, "what": "tile"}', '{"token": 1}', "{"])
def test_first_message_must_be_the_token(player: Player, message: str) -> None:
    """A tap before the token is a bad message, however well it is formed."""
    before = player.taps
    with Tab(player.port) as tab:
        tab.send(TextMessage(message))
        assert tab.hear() == 1008
    assert player.taps == before


def test_oversize_message_ends_the_session(player: Player) -> None:
    """One byte above the limit, in one frame: 1009. Many small frames that end never: 1009 too."""
    with entered(player) as tab:
        tab.send(TextMessage("x" * (MESSAGE_BYTES_MAX + 1)))
        assert tab.hear() == 1009
    with entered(player) as tab:
        for _ in range(REQUEST_BYTES_MAX // 1000):
            tab.send(TextMessage("x" * 1000, message_finished=False))
        tab.send(TextMessage("x" * 1000, message_finished=False))
        assert tab.hear() in (1009, GONE)


def test_binary_message_ends_the_session(player: Player) -> None:
    """1003: no part of the contract."""
    with entered(player) as tab:
        tab.send(BytesMessage(b"{}"))
        assert tab.hear() == 1003


def test_pages_are_limited(player: Player) -> None:
    """The fifth is told to try later (1013); once one is gone there is room."""
    tabs = [entered(player) for _ in range(SESSIONS_MAX)]
    with Tab(player.port) as fifth:
        fifth.say({"token": player.token()})
        assert fifth.hear() == 1013
    tabs.pop().close()
    until(lambda: player.order(sessions=True) == SESSIONS_MAX - 1)
    tabs.append(entered(player))
    for tab in tabs:
        tab.close()
    until(lambda: player.order(sessions=True) == 0)


def test_big_request_is_cut_off(player: Player) -> None:
    """A body that is not asked for is not collected."""
    with pytest.raises((ConnectionError, IndexError, ValueError)):
        fetch(player.port, "/kiosk", headers={"X-Much": "x" * REQUEST_BYTES_MAX * 2})


def test_connections_are_limited(player: Player) -> None:
    """The one above the limit is closed unread; the site serves on."""
    tabs = [Tab(player.port) for _ in range(CONNECTIONS_MAX)]
    with pytest.raises((ConnectionError, IndexError, ValueError)):
        fetch(player.port, "/kiosk")
    for tab in tabs:
        tab.close()
    assert until(lambda: _served(player))


def _served(player: Player) -> bool:
    try:
        return fetch(player.port, "/kiosk")[0] == 200
    except (ConnectionError, IndexError, ValueError):
        return False


def test_slow_reader_costs_one_view(player: Player) -> None:
    """A page that does not read is no burden: nothing queues for it, and when it reads at last the
    newest view comes after at most what the sockets held."""
    player.show("attendant")
    with Tab(player.port, receive_bytes=4096) as slow:
        slow.say({"token": player.token()})
        last = [player.show("attendant") for _ in range(2000)][-1]
        seen = 0
        heard = []
        while seen != last:
            seen = slow.hear()["revision"]
            heard.append(seen)
    assert len(heard) < 1999
    assert heard == sorted(heard)


def test_panel_is_a_document_of_its_own(demo: Player) -> None:
    """Its token is not the kiosk's, and neither opens the other's socket; frames are our own."""
    kiosk, panel = demo.token("/kiosk"), demo.token("/panel")
    policies = [
        fetch(demo.port, path)[1]["content-security-policy"]
        for path in ("/demo", "/kiosk", "/panel")
    ]
    with Tab(demo.port, "/panel/ws") as tab:
        tab.say({"token": kiosk})
        refused = tab.hear()
    with Tab(demo.port, "/panel/ws") as tab:
        tab.say({"token": panel})
        first = tab.hear()
        tab.say({"what": "insert", "id": first["cards"][0]})
        second = tab.hear()
        tab.say({"what": "explode", "id": ""})
        bad = tab.hear()

    assert kiosk != panel
    assert ["frame-src 'self'" in policy for policy in policies] == [True, False, False]
    assert all("frame-ancestors 'self'" in policy for policy in policies)
    assert (refused, bad) == (4001, 1008)
    assert second["inside"] == first["cards"][0]


def test_slip_is_a_picture_once_there_is_one(demo: Player) -> None:
    """404 before, a PNG after."""
    before = fetch(demo.port, "/panel/slip.png")[0]
    with Tab(demo.port, "/panel/ws") as tab:
        tab.say({"token": demo.token("/panel")})
        tab.hear()
        tab.say({"what": "pull"})
        number = tab.hear()["slip"]
    status, headers, body = fetch(demo.port, f"/panel/slip.png?{number}")

    assert before == 404
    assert (status, headers["content-type"]) == (200, "image/png")
    assert body.startswith(b"\x89PNG")


@pytest.mark.parametrize("bind", ["0.0.0.0", "192.168.1.2", "localhost", "", "::"])
def test_only_a_loopback_address_is_configured(bind: str) -> None:
    """Nobody in the hospital's network reaches a kiosk's page, nor its control port."""
    with pytest.raises(ValueError, match="loopback"):
        PageConfig(bind=bind, port=0, panel=False)
    with pytest.raises(ValueError, match="loopback"):
        Control(bind=bind, port=0)


def test_panel_needs_hands() -> None:
    """A real kiosk cannot be given a panel by a line of configuration."""
    config = PageConfig(bind="127.0.0.1", port=0, panel=True)
    with pytest.raises(ValueError, match="emulated"):
        PageSite(config, None, None, None)  # type: ignore[arg-type]
