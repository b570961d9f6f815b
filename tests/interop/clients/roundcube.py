"""Roundcube from Debian's packages in PHP's own web server, and Chromium in front of it."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

Address = tuple[str, int]

ROOT: Final = Path("/var/lib/roundcube")
DEFAULTS: Final = Path("/etc/roundcube")
CONFIGURATION: Final = """<?php
$config['db_dsnw'] = 'sqlite:///{home}/roundcube.db?mode=0600';
$config['imap_host'] = '{host}:{port}';
$config['log_dir'] = '{home}/logs/';
$config['temp_dir'] = '{home}/temp/';
$config['des_key'] = '0123456789abcdef01234567';
$config['language'] = 'en_US';
$config['timezone'] = 'UTC';
$config['plugins'] = ['acl'];
$config['draft_autosave'] = 0;
$config['refresh_interval'] = 3600;
"""
CHROMIUM: Final = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage", "--window-size=1300,900",
)  # fmt: skip
WAIT_SECONDS: Final = 30


@contextmanager
def roundcube(home: Path, imap: Address) -> Iterator[str]:
    """Run Roundcube for an IMAP server; yield its URL."""
    configuration = home / "config"
    for directory in (home, configuration, home / "logs", home / "temp"):
        directory.mkdir()
    for name in ("defaults.inc.php", "mimetypes.php"):
        shutil.copy(DEFAULTS / name, configuration)
    host, port = imap
    text = CONFIGURATION.format(home=home, host=host, port=port)
    (configuration / "config.inc.php").write_text(text)
    with socket.create_server(("127.0.0.1", 0)) as free:
        web = free.getsockname()[1]
    environment = {
        **os.environ,
        "ROUNDCUBE_CONFIG_DIR": str(configuration),
        "PHP_CLI_SERVER_WORKERS": "3",
    }
    with (home / "php.log").open("wb") as log:
        server = subprocess.Popen(
            ["php", "-S", f"127.0.0.1:{web}", "-t", str(ROOT)],
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            _wait_for_port(web)
            yield f"http://127.0.0.1:{web}/"
        finally:
            os.killpg(server.pid, signal.SIGTERM)  # its workers do not end with it
            server.wait()


def _wait_for_port(port: int) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            assert time.monotonic() < deadline, "PHP does not listen"
            time.sleep(0.05)
        else:
            return


@contextmanager
def browser(home: Path):
    """Run Chromium; yield its driver, whose look-ups wait until an element is there."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for argument in (*CHROMIUM, f"--user-data-dir={home}"):
        options.add_argument(argument)
    driver = webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))
    driver.implicitly_wait(WAIT_SECONDS)
    try:
        yield driver
    finally:
        driver.quit()
