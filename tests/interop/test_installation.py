"""docs/operations.md, followed word for word in private mount, network and process namespaces."""

import os
import pty
import sys
import sysconfig
from pathlib import Path

import pytest
from tests.ops.handbook import ROOT, blocks

UNSHARE = ("unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc")
TOOLS = ("unshare", "ip", "setpriv", "runuser", "systemd-sysusers", "systemd-tmpfiles",
         "systemd-socket-activate", "systemd-analyze")  # fmt: skip


@pytest.mark.slow
def test_installation_backup_restore_and_socket_activation(tmp_path, program):
    assert os.geteuid() == 0, "needs root, for namespaces"
    for name in TOOLS:
        program(name)
    directory = tmp_path / "blocks"
    directory.mkdir()
    first, second, *_ = blocks("Installation")
    (socket,) = blocks("**Socket activation.**")
    (backup,) = blocks("**Backup.**")
    (restore,) = blocks("**Restore.**")
    for name, block in {
        "install-0": first,
        "install-1": second,
        "socket": socket,
        "backup": backup,
        "restore": restore,
    }.items():
        (directory / name).write_text(block)
    (tmp_path / "scratch").mkdir()
    tmp_path.chmod(0o755)
    code, written = on_a_terminal(
        [*UNSHARE, "bash", str(Path(__file__).with_name("installation.sh"))],
        {
            "SCRATCH": str(tmp_path / "scratch"),
            "SITE": sysconfig.get_path("purelib"),
            "TOOL": sys.executable,
            "BASE": sys.base_prefix,
            "BLOCKS": str(directory),
            "PATH": f"{sys.base_prefix}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin"
            ":/sbin:/bin",
        },
    )
    assert code == 0, written
    assert written.rstrip().endswith("handbook followed")
    assert written.count("0 errors in 1 accounts") == 3
    assert "imapvm imapvm 700 /var/lib/imapvm/filepool" in written


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
