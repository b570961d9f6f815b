"""Roundcube in Chromium: sorted and threaded lists, flags, moves, search, drafts, quota."""

import imaplib
import os
import subprocess
from pathlib import Path

import pytest
from tests.interop.clients.mail import held, message, put
from tests.interop.clients.relay import relayed
from tests.interop.clients.roundcube import WAIT_SECONDS, browser, roundcube
from tests.interop.conftest import PASSWORD, USER

pytestmark = pytest.mark.slow

SCREENSHOTS = os.environ.get("SCREENSHOTS")
"""Directory for pictures of each step, to look at."""


def answer(subject: str, parent: str) -> bytes:
    return f"References: <{parent.encode().hex()}@example.org>\r\n".encode() + message(subject)


class Webmail:
    """One window of Roundcube."""

    def __init__(self, driver, url: str) -> None:
        from selenium.webdriver.common.by import By
        from selenium.webdriver.support.wait import WebDriverWait

        self.css = By.CSS_SELECTOR
        self.driver = driver
        self.url = url
        self.wait = WebDriverWait(driver, WAIT_SECONDS)

    def find(self, selector: str):
        return self.driver.find_element(self.css, selector)

    def click(self, selector: str) -> None:
        element = self.find(selector)
        self.wait.until(lambda _: element.is_displayed() and element.is_enabled())
        element.click()

    def settle(self) -> None:
        """Wait until no request is running."""
        self.wait.until(lambda driver: driver.execute_script("return !rcmail.busy"))

    def command(self, *arguments: str) -> None:
        self.driver.execute_script("rcmail.command(...arguments)", *arguments)

    def subjects(self) -> list[str]:
        """Return the subjects of the list, from the top."""
        script = """return [...document.querySelectorAll('#messagelist tr.message td.subject a')]
            .map(link => link.textContent.trim())"""
        return self.driver.execute_script(script)

    def wait_for(self, *subjects: str) -> None:
        self.wait.until(lambda _: self.subjects() == list(subjects), f"list: {self.subjects()}")

    def select(self, subject: str) -> None:
        """Click a row, which opens the message beside the list."""
        rows = self.driver.find_elements(self.css, "#messagelist tr.message")
        (row,) = [row for row in rows if row.find_element(self.css, "a").text.strip() == subject]
        row.click()

    def arrange(self, *, column: str, order: str, mode: str) -> None:
        """Set the options of the list in their dialog."""
        self.click("#listmenulink")
        for name, value in (("mode", mode), ("sort_col", column), ("sort_ord", order)):
            self.click(f".ui-dialog select[name={name}] option[value='{value}']")
        self.click(".ui-dialog button.mainaction")
        self.settle()

    def picture(self, name: str) -> None:
        if SCREENSHOTS:
            self.driver.save_screenshot(Path(SCREENSHOTS) / f"{name}.png")


@pytest.fixture
def webmail(demo, program, tmp_path):
    """Yield a window that shows INBOX after login."""
    for name in ("php", "chromium", "chromedriver"):
        program(name)
    put(demo, "INBOX", message("beta"), message("Alpha"), answer("Re: beta", "beta"))
    put(demo, "INBOX", message("gamma", "x" * 76 + "\n" * 3000))
    subprocess.run(
        [demo.program, "quota", "set", USER, "--storage", "20K", "--filepool", demo.filepool],
        check=True,
    )
    with (
        relayed(demo.imap) as relay,
        roundcube(tmp_path / "roundcube", relay.address) as url,
        browser(tmp_path / "chromium") as driver,
    ):
        window = Webmail(driver, url)
        window.relay = relay
        driver.get(url)
        window.find("[name=_user]").send_keys(USER)
        window.find("[name=_pass]").send_keys(PASSWORD)
        window.picture("1-login")
        window.click("#rcmloginsubmit")
        window.wait_for("gamma", "Re: beta", "Alpha", "beta")
        yield window


def test_lists_messages_and_drafts(webmail, demo) -> None:
    quota = webmail.find("#quotadisplay .count")
    webmail.wait.until(lambda _: quota.text.endswith("%"))
    assert 10 <= int(quota.text.removesuffix("%")) <= 60
    webmail.picture("2-inbox-and-quota")

    webmail.relay.clear()
    webmail.arrange(column="subject", order="ASC", mode="list")
    webmail.wait_for("Alpha", "beta", "Re: beta", "gamma")
    assert b"SORT (SUBJECT)" in webmail.relay.sent
    webmail.picture("3-sorted")

    webmail.arrange(column="date", order="DESC", mode="threads")
    webmail.find("#messagelist.threaded, #messagelist tr.thread")
    assert b"THREAD REFS" in webmail.relay.sent or b"THREAD REFERENCES" in webmail.relay.sent
    webmail.command("expand-all")
    webmail.wait.until(lambda _: len(webmail.subjects()) == 4)
    webmail.picture("4-threads")

    webmail.select("Alpha")
    webmail.driver.switch_to.frame("messagecontframe")
    assert "Some text." in webmail.find("#messagebody").text
    webmail.driver.switch_to.default_content()
    webmail.picture("5-message")
    webmail.command("mark", "flagged")
    webmail.wait.until(lambda _: rb"\Flagged" in held(demo, "INBOX")["Alpha"])
    assert rb"\Seen" in held(demo, "INBOX")["Alpha"]
    webmail.picture("6-flagged")
    webmail.command("move", "Archive")
    webmail.wait.until(lambda _: "Alpha" in held(demo, "Archive"))
    assert set(held(demo, "INBOX")) == {"beta", "Re: beta", "gamma"}
    webmail.picture("7-moved")

    webmail.find("#mailsearchform").send_keys("gamm\n")
    webmail.wait_for("gamma")
    webmail.picture("8-search")

    webmail.driver.get(f"{webmail.url}?_task=mail&_action=compose")
    webmail.find("#compose-subject").send_keys("Entwürfe")
    webmail.find("#composebody").send_keys("A draft.")
    webmail.click("a.save.draft")
    webmail.wait.until(lambda _: held(demo, "Drafts"))
    webmail.picture("9-draft")
    assert list(held(demo, "Drafts").values()) == [{rb"\Seen"}]


def test_shares_a_mailbox_by_the_acl_plugin(webmail, demo) -> None:
    subprocess.run(
        [demo.program, "user", "enroll", "ben", "--password-stdin", "--filepool", demo.filepool],
        input=b"other",
        check=True,
    )
    put(demo, "Archive", message("Shared"))
    webmail.driver.get(f"{webmail.url}?_task=settings&_action=edit-folder&_mbox=Archive")
    webmail.click("#acllist-footer a.create")
    webmail.find("#acluser").send_keys("ben")
    webmail.picture("10-share")
    webmail.click(".ui-dialog button.mainaction")
    assert "ben" in webmail.find("#acltable tbody tr").text
    webmail.picture("11-shared")
    with imaplib.IMAP4(*demo.imap, timeout=30) as imap:
        imap.login("ben", "other")
        assert imap.select(f'"Other Users/{USER}/Archive"', readonly=True)[0] == "OK"
        assert imap.search(None, "SUBJECT", "shared") == ("OK", [b"1"])
