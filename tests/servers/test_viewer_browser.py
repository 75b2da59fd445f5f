"""The viewer in Chromium: what a person clicks and types, in both themes, on a wide screen and a narrow one.

The browser is ``chromium`` with ``chromedriver`` on PATH; ``.ci/get-browser.sh`` fetches them. Set
``VIEWER_SCREENSHOTS`` to a folder to keep what the tests see.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support import expected_conditions
from selenium.webdriver.support.wait import WebDriverWait
from werkzeug.serving import WSGIRequestHandler, make_server

from peewee_conv import Project, Projects
from peewee_conv.viewer import create_app

HOSTILE = "<script>document.title = 'taken'</script><img src=x onerror=\"document.title = 'taken'\">"
FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--hide-scrollbars",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
WIDE, NARROW = (1200, 900), (400, 800)
PAGES = ("", "search?q=brake", "usage", "features", "schedules", "health")


class Browser:
    """A browser, and the address of the viewer that it looks at."""

    def __init__(self, driver: webdriver.Chrome, base: str, talk: str, folder: Path) -> None:
        self.driver, self.base, self.talk, self.folder = driver, base, talk, folder

    def go(self, page: str = "") -> None:
        self.driver.get(self.base + page)

    def resize(self, size: tuple[int, int]) -> None:
        width, height = size
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def prefer(self, theme: str) -> None:
        feature = {"name": "prefers-color-scheme", "value": theme}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})

    def one(self, selector: str) -> WebElement:
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector: str) -> list[WebElement]:
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def press(self, *keys: str) -> None:
        self.driver.switch_to.active_element.send_keys(*keys)

    def follow(self, act: Callable[..., None], *arguments: str) -> None:
        """Do what leads to another page, and wait until that one is there."""
        before = self.one("html")
        act(*arguments)
        WebDriverWait(self.driver, 20, 0.02).until(expected_conditions.staleness_of(before))
        WebDriverWait(self.driver, 20, 0.02).until(lambda _: self.run("return document.readyState") == "complete")

    def click(self, text: str) -> None:
        """Click a link with that text."""
        self.follow(self.driver.find_element(By.LINK_TEXT, text).click)

    def run(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def shoot(self, name: str) -> bytes:
        path = self.folder / f"{name}.png"
        assert self.driver.save_screenshot(str(path))
        return path.read_bytes()

    def complaints(self) -> list[str]:
        """Return what the browser's console says: errors, and what the Content-Security-Policy refused."""
        return [entry["message"] for entry in self.driver.get_log("browser")]


class Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None:
        """Keep still."""


def fill(project: Project) -> str:
    """Store what the tests look at, and return the id of a long conversation."""
    key = project.accounts.create_key()
    ada = project.accounts.sign_in({"google_id": "g", "email": "ada@x.org", "name": "Ada"}, referral_key=key).user
    bot = project.assistants.create("Mira", "You answer for a bicycle workshop.")
    talk = project.conversations.create(assistant_id=bot.id, user_id=ada.id, title="Disc brakes").id
    said = [
        ("user", "My disc brakes squeal."),
        ("assistant", "Clean them:\n\n```sh\nbrake --clean\n```"),
        ("tool", "{}"),
    ]
    project.conversations.add_messages(
        talk, [{"role": said[n % 3][0], "content": said[n % 3][1], "token_count": 8} for n in range(120)]
    )
    key, unbroken = project.accounts.create_key(), {"google_id": "w", "email": "w@x.org", "name": "W" * 255}
    wide = project.accounts.sign_in(unbroken, referral_key=key).user
    hostile = project.conversations.create(title=HOSTILE, user_id=wide.id).id
    project.conversations.add_message(hostile, "user", f"hostile {HOSTILE} words")
    for days in range(20):
        timestamp = datetime.now(UTC) - timedelta(days=days)
        project.usage.record(ada.id, 90_000 * (days % 4 + 1), 20_000, "gpt-5", timestamp=timestamp)
    first, _ = project.features.create_many([{"name": "Log in"}, {"name": "Log out", "depends_on_indices": [0]}])
    project.features.claim(first.id)
    project.schedules.create("22:30", 120)
    return talk


@contextmanager
def serving(root: Path) -> Iterator[str]:
    server = make_server("127.0.0.1", 0, create_app(Projects(root)), threaded=True, request_handler=Quiet)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="module")
def driver() -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or "chromium"
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    for flag in FLAGS:
        options.add_argument(flag)
    driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver") or "chromedriver"))
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def viewer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    root = tmp_path_factory.mktemp("projects")
    project = Projects(root, durability="normal").create("aurora")
    talk = fill(project)
    project.dispose()
    with serving(root) as base:
        yield base, talk


@pytest.fixture
def browser(driver: webdriver.Chrome, viewer: tuple[str, str], tmp_path: Path) -> Iterator[Browser]:
    folder = Path(os.environ.get("VIEWER_SCREENSHOTS", tmp_path))
    folder.mkdir(parents=True, exist_ok=True)
    browser = Browser(driver, *viewer, folder)
    browser.resize(WIDE)
    browser.prefer("light")
    browser.complaints()
    yield browser
    assert browser.complaints() == []
    driver.delete_all_cookies()


def test_a_reader_clicks_from_the_projects_to_a_message(browser: Browser) -> None:
    browser.go()
    browser.follow(browser.one(".project a").click)
    browser.click("Disc brakes")

    shown = [article.get_attribute("id") for article in browser.all("article")]
    assert shown == [f"m-{sequence}" for sequence in range(71, 121)]
    assert browser.one("#window").text == "The model sees from here on"
    assert len(browser.all("article.seen")) == 20

    browser.click("Earlier")
    assert browser.one("article").get_attribute("id") == "m-21"
    assert not browser.all("article.seen")


def test_a_window_can_be_tried_out(browser: Browser) -> None:
    browser.go(f"p/aurora/conversation?id={browser.talk}")
    field = browser.one("input[name=max_tokens]")
    field.send_keys("33")
    browser.one("input[name=instructions]").click()
    browser.follow(browser.one(".window button").click)

    assert "3 of 120 messages" in browser.one(".window p").text
    assert "You answer for a bicycle workshop." in browser.one("article.seen").text
    assert "max_tokens=33" in browser.driver.current_url


def test_hostile_text_is_shown_and_does_nothing(browser: Browser) -> None:
    browser.go("p/aurora/")
    browser.follow(browser.one("#find").send_keys, "hostile", Keys.ENTER)

    assert browser.one("mark").text == "hostile"
    assert HOSTILE in browser.one(".hit h2").text
    browser.follow(browser.one(".hit a").click)
    assert HOSTILE in browser.one("article .body").text
    assert browser.one("h1").text == HOSTILE
    assert browser.driver.title == f"{HOSTILE} · aurora · peewee_conv"
    assert browser.run("return document.querySelectorAll('script').length") == 0

    browser.go("p/aurora/")
    browser.follow(browser.one("#find").send_keys, "NEAR( " + HOSTILE, Keys.ENTER)
    assert browser.one("input[name=q][value]").get_attribute("value").startswith("NEAR( <script>")
    assert browser.one("h1").text == "Search"


def test_a_chart_is_drawn_inside_its_card(browser: Browser) -> None:
    browser.go("p/aurora/usage")

    card = browser.one(".chart").rect
    bars = [bar.rect for bar in browser.all(".plot rect.input")]
    assert len(bars) == 20
    assert all(card["x"] < bar["x"] and bar["x"] + bar["width"] < card["x"] + card["width"] for bar in bars)
    assert max(bar["height"] for bar in bars) > 100
    labels = [label.rect for label in browser.all(".scaled .tick[text-anchor=end][dy]")]
    assert len(labels) == 3
    assert all(label["x"] + label["width"] < min(bar["x"] for bar in bars) for label in labels)
    of_legend = "return getComputedStyle(document.querySelector('.key.input'), '::before').backgroundColor"
    assert browser.run(of_legend) == browser.run("return getComputedStyle(document.querySelector('.plot .input')).fill")


def test_the_keyboard_reaches_everything(browser: Browser) -> None:
    browser.go("p/aurora/")

    browser.press(Keys.TAB)
    skip = browser.driver.switch_to.active_element
    assert skip.text == "Skip to the content"
    assert skip.rect["y"] >= 0
    browser.press(Keys.ENTER)
    browser.press(Keys.TAB)
    assert browser.driver.switch_to.active_element.get_attribute("name") == "q"

    seen = []
    for _ in range(40):
        active = browser.driver.switch_to.active_element
        seen.append(active.text)
        if active.text == "Disc brakes":
            break
        browser.press(Keys.TAB)
    assert seen[-1] == "Disc brakes"
    assert browser.run("return getComputedStyle(document.activeElement, '::after').outlineStyle") == "solid"
    browser.follow(browser.press, Keys.ENTER)
    assert browser.one("h1").text == "Disc brakes"


def test_the_theme_follows_the_system_or_the_choice(browser: Browser) -> None:
    def background() -> str:
        return str(browser.run("return getComputedStyle(document.body).backgroundColor"))

    browser.go("p/aurora/")
    light = background()
    browser.prefer("dark")
    dark = background()
    browser.click("Light")
    chosen = background()
    browser.go("p/aurora/usage")

    assert (light, dark) == ("rgb(244, 246, 250)", "rgb(15, 19, 26)")
    assert chosen == background() == light


CONTRASTS = """
const channel = c => { c /= 255; return c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4; };
const parse = s => s.match(/[\\d.]+/g).map(Number);
const light = c => 0.2126 * channel(c[0]) + 0.7152 * channel(c[1]) + 0.0722 * channel(c[2]);
const behind = element => {
  for (let e = element; e; e = e.parentElement) {
    const c = parse(getComputedStyle(e).backgroundColor);
    if (c.length < 4 || c[3] === 1) return c;
  }
  return [255, 255, 255];
};
const poor = [];
for (const element of document.querySelectorAll("body *")) {
  const own = [...element.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
  const box = element.getBoundingClientRect();
  if (!own || !box.width || element.closest("svg, option, .hidden, [aria-hidden]")) continue;
  const [a, b] = [light(parse(getComputedStyle(element).color)), light(behind(element))];
  const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  if (ratio < 4.5) poor.push([element.outerHTML.slice(0, 80), ratio]);
}
return poor;
"""


OUTSIDE = """
const beyond = (e, card) => e.getBoundingClientRect().right > card.getBoundingClientRect().right + 1;
return [...document.querySelectorAll(".card *")]
  .filter(e => !e.closest("svg, pre, .scroll, .hidden") && beyond(e, e.closest(".card")))
  .map(e => e.outerHTML.slice(0, 80));
"""


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_every_page_fits_and_can_be_read(browser: Browser, theme: str, size: tuple[int, int]) -> None:
    browser.prefer(theme)
    browser.resize(size)

    for page in ("", *(f"p/aurora/{page}" for page in PAGES), f"p/aurora/conversation?id={browser.talk}"):
        browser.go(page)
        assert browser.run("return document.documentElement.scrollWidth") == size[0], page
        assert browser.run(OUTSIDE) == [], page
        assert browser.run(CONTRASTS) == [], page
        name = page.split("?")[0].removeprefix("p/aurora/") or ("list" if page else "projects")
        assert len(browser.shoot(f"{name}-{theme}-{size[0]}")) > 5_000


def test_a_printed_conversation_has_no_controls(browser: Browser) -> None:
    browser.go(f"p/aurora/conversation?id={browser.talk}")
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})

    visible = [
        element.tag_name for element in browser.all("header.top, footer, form, .pager") if element.is_displayed()
    ]

    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    assert visible == []
