"""docs/operations.md, followed word for word in private mount, network and process namespaces."""

import os
import pty
import re
import sys
import sysconfig
from pathlib import Path

import pytest
from tests.ops.handbook import HANDBOOK, ROOT, blocks

pytestmark = pytest.mark.slow

UNSHARE = ("unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc")
TOOLS = ("unshare", "ip", "setpriv", "runuser", "useradd", "systemd-sysusers", "systemd-tmpfiles",
         "systemd-socket-activate", "systemd-analyze")  # fmt: skip


@pytest.fixture
def follow(tmp_path, program):
    """Return a function that follows the handbook, and returns exit code and output."""
    assert os.geteuid() == 0, "needs root, for namespaces"
    for name in TOOLS:
        program(name)
    tmp_path.chmod(0o755)
    (tmp_path / "scratch").mkdir()

    def run(steps: dict[str, str], *, until: str = "end") -> tuple[int, str]:
        (tmp_path / "blocks").mkdir()
        for name, text in steps.items():
            (tmp_path / "blocks" / name).write_text(text)
        return on_a_terminal(
            [*UNSHARE, "bash", str(Path(__file__).with_name("installation.sh"))],
            {
                "SCRATCH": str(tmp_path / "scratch"),
                "SITE": sysconfig.get_path("purelib"),
                "TOOL": sys.executable,
                "BASE": sys.base_prefix,
                "BLOCKS": str(tmp_path / "blocks"),
                "UNTIL": until,
                "PATH": f"{sys.base_prefix}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin"
                ":/sbin:/bin",
            },
        )

    return run


@pytest.fixture
def steps() -> dict[str, str]:
    """Blocks of the handbook, and the command for the group of a mail system."""
    first, second, *_ = blocks("Installation")
    (socket,) = blocks("**Socket activation.**")
    (backup,) = blocks("**Backup.**")
    (restore,) = blocks("**Restore.**")
    return {
        "install-0": first,
        "install-1": second,
        "socket": socket,
        "backup": backup,
        "restore": restore,
        "group": command("usermod"),
    }


def command(name: str) -> str:
    """Return a command that the handbook has in a sentence."""
    (found,) = re.findall(rf"`({name} [^`]*)`", HANDBOOK.read_text())
    return found + "\n"


def test_installation_backup_restore_and_socket_activation(follow, steps):
    code, written = follow(steps)
    assert code == 0, written
    assert written.rstrip().endswith("handbook followed")
    assert written.count("0 errors in 1 accounts") == 3
    for line in (
        "imapvm imapvm 700 /var/lib/imapvm",
        "imapvm imapvm 700 /var/spool/imapvm",
        "imapvm imapvm 700 /var/spool/imapvm/new",
        "imapvm imapvm 700 /var/lib/imapvm/filepool",
        "imapvm imapvm 750 /run/imapvm",
        "imapvm imapvm 660 /run/imapvm/lmtp",
    ):
        assert f"{line}\r\n" in written


def test_commands_for_a_system_without_systemd_have_the_same_effect(follow, steps):
    block = steps["install-1"]
    for old, new in {
        "systemd-sysusers": command("useradd"),
        "systemd-tmpfiles": command("install -d"),
    }.items():
        block, count = re.subn(rf"^{old} .*\n", new, block, flags=re.MULTILINE)
        assert count == 1
    code, written = follow(steps | {"install-1": block}, until="installation")
    assert code == 0, written
    assert "imapvm imapvm 700 /var/spool/imapvm\r\n" in written


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("runuser -u imapvm -- imapvm filepool create", "imapvm filepool create"),
        ("runuser -u imapvm -- imapvm user enroll ada", "runuser -u imapvm -- imapvm user list"),
        ("systemd-tmpfiles --create /etc/tmpfiles.d/imapvm.conf", "true"),
        ("docs/*.md", "docs/storage.md"),
    ],
)
def test_wrong_step_is_detected(follow, steps, old, new):
    block = steps["install-1"]
    assert block.count(old) == 1
    code, _ = follow(steps | {"install-1": block.replace(old, new)}, until="installation")
    assert code != 0


def on_a_terminal(command: list[str], environment: dict[str, str]) -> tuple[int, str]:
    """Run a command on a terminal of its own, and type the password when it is asked for.

    Returns:
        Exit code and all output.
    """
    child, terminal = pty.fork()
    if not child:
        os.chdir(ROOT)
        os.execvpe(command[0], command, environment)
    written = b""
    answered = 0
    while True:
        try:
            data = os.read(terminal, 65536)
        except OSError:  # the other side is closed
            break
        if not data:
            break
        written += data
        while answered < written.lower().count(b"password: "):
            os.write(terminal, b"secret\n")
            answered += 1
    os.close(terminal)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), written.decode(errors="replace")
