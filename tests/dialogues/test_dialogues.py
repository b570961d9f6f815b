"""Dialogue files, played with a whole server; all responses have to follow the grammar."""

import itertools

import pytest
import trio
from tests.dialogues import script
from tests.dialogues.host import ClientStream, Host, running
from tests.dialogues.processes import Processes
from tests.dialogues.responses import grammar
from tests.dialogues.responses.client_state import ClientState
from tests.dialogues.script import Script, Step

from imapvm._core import UidSet

WAIT_SECONDS = 10  # only a broken server needs so long
CHANGES_COMPRESSION = ("COMPRESS", "UNAUTHENTICATE")
SETTLE_SECONDS = 0.01  # all tasks have been waiting so long: all responses have been sent


@pytest.mark.parametrize("path", script.files(), ids=lambda path: path.stem)
async def test_dialogue(path, server_files, client_tls):
    dialogue = script.read(path)
    async with running(server_files, client_tls) as host:
        await play(host, dialogue)


@pytest.fixture(scope="module")
def processes():
    processes = Processes()
    yield processes
    processes.end()


@pytest.mark.slow
@pytest.mark.parametrize(
    "path",
    [path for path in script.files() if len(script.read(path).clients) > 1],
    ids=lambda path: path.stem,
)
async def test_dialogue_with_clients_at_several_processes(
    path, server_files, client_tls, processes
):
    dialogue = script.read(path)
    others = processes.others
    async with running(server_files, client_tls, wakeup=processes.wakeup(), others=others) as host:
        await play(host, dialogue)


@pytest.mark.slow
@pytest.mark.parametrize(
    "path",
    [
        path
        for path in script.files()
        if not any(command in path.read_text() for command in CHANGES_COMPRESSION)
    ],
    ids=lambda path: path.stem,
)
async def test_dialogue_of_compressed_clients(path, server_files, client_tls):
    """All clients that have signed in compress both directions (RFC 4978)."""
    async with running(server_files, client_tls) as host:
        await play(host, script.read(path), compressed=True)


async def play(host: Host, dialogue: Script, *, compressed: bool = False) -> None:
    play = Play(host, dialogue, compressed=compressed)
    with trio.fail_after(WAIT_SECONDS):
        await play.prepare()
    await play.run()


class Play:
    """One file that is played."""

    def __init__(self, host: Host, dialogue: Script, *, compressed: bool = False) -> None:
        self.compressed = compressed
        self.host = host
        self.script = dialogue
        self.streams: dict[int, ClientStream] = {}
        self.captured: dict[str, str] = {}

    async def prepare(self) -> None:
        """Carry out the `given` lines."""
        for given in self.script.givens:
            if given[0] == "user":
                await self.host.enroll(given[1])
            elif given[0] == "group":
                await self.host.add_group(given[1], given[2:])
            elif given[:2] == ("shared", "account"):
                await self.host.choose_shared_account(given[2])
            elif given[0].isdigit():
                clients = [int(word) for word in itertools.takewhile(str.isdigit, given)]
                for client in clients:
                    await self._connect(client, given[len(clients) :])
            elif "flags" in given:
                at = given.index("flags")
                uids = UidSet.of(map(int, given[1:at]))
                await self.host.flag(given[0], uids, list(given[at + 1 :]))
            elif given[0] in {"administrator", "quota", "user"}:
                await self._set(*given)
            else:
                await self.host.put(given[0], [int(word) for word in given[1:]])
        for client in self.script.clients:
            if client not in self.streams:
                await self._connect(client, ("signed", "in"))

    async def _set(self, what: str, *words: str) -> None:
        services = self.host.services
        if what == "administrator":
            await self.host.choose_administrators(words)
        elif what == "user":
            await services.pool.accounts.enroll(words[0], "x")
        else:
            limits = dict(zip(words[::2], map(int, words[1::2]), strict=True))
            await self.host.store.set_quota(limits)

    async def _connect(self, client: int, words: tuple[str, ...]) -> None:
        match words:
            case ("connects",):
                self.streams[client] = await self.host.connect()
            case ("connects", "without", "TLS"):
                self.streams[client] = await self.host.connect(plain_allowed=False, offer_tls=True)
            case ("connects", "with", "TLS"):
                self.streams[client] = await self.host.connect(
                    plain_allowed=False, offer_tls=True, tls_first=True
                )
            case ("signed", "in", *as_user):
                self.streams[client] = await self.host.connect()
                name = as_user[1] if as_user else "alice"
                await self._run(client, f"LOGIN {name} secret")
                if self.compressed:
                    await self._run(client, "COMPRESS DEFLATE")
                    self.streams[client].start_compression()
            case ("enables", *names):
                if client not in self.streams:
                    await self._connect(client, ("signed", "in"))
                await self._run(client, f"ENABLE {' '.join(names)}")
            case ("selected" | "examined" as how, mailbox):
                if client not in self.streams:
                    await self._connect(client, ("signed", "in"))
                verb = "SELECT" if how == "selected" else "EXAMINE"
                await self._run(client, f"{verb} {mailbox}")
            case _:
                raise script.ScriptError(f"given {client} {' '.join(words)}")

    async def _run(self, client: int, command: str) -> None:
        stream = self.streams[client]
        await stream.send(f"given {command}\r\n".encode())
        line = await stream.read_line()
        while line is not None and not line.startswith("given "):
            line = await stream.read_line()
        assert line is not None
        assert line.startswith("given OK"), line

    async def run(self) -> None:
        """Play it line by line."""
        steps = list(self.script.steps)
        while steps:
            step = steps.pop(0)
            if step.kind == "S~":
                block = [step]
                while steps and steps[0].kind == "S~" and steps[0].client == step.client:
                    block.append(steps.pop(0))
                await self._receive_in_any_order(block)
            else:
                await self._play(step)
        await self.host.settle(SETTLE_SECONDS)
        for client, stream in self.streams.items():
            more = await stream.read_pending()
            assert not more, f"{self.script.path.name}: client {client} received more: {more}"
            state = ClientState()
            for response in grammar.Reader(bytes(stream.received)).all():
                state.apply(response)

    async def _play(self, step: Step) -> None:
        stream = self.streams[step.client]
        match step.kind:
            case "C":
                text = script.substitute(step.text, self.captured)
                await stream.send(text.encode() + b"\r\n")
            case "C!":
                await stream.send(script.unescape(step.text))
            case "TLS":
                await stream.start_tls()
            case "DEFLATE":
                stream.start_compression()
            case "PLAIN":
                stream.stop_compression()
            case "HANGUP":
                stream.close()
            case "S" if step.text == "<nothing>":
                await self.host.settle(SETTLE_SECONDS)
                pending = await stream.read_pending()
                assert not pending, self._where(step, pending)
            case "S":
                line = await self._receive(step)
                ok = line is not None and script.matches(step.text, line, self.captured)
                assert ok or (line is None and step.text == "<closed>"), self._where(step, line)
            case other:
                raise AssertionError(other)

    async def _receive(self, step: Step) -> str | None:
        with trio.move_on_after(WAIT_SECONDS):
            return await self.streams[step.client].read_line()
        raise AssertionError(self._where(step, "nothing"))

    async def _receive_in_any_order(self, block: list[Step]) -> None:
        left = list(block)
        for _ in block:
            line = await self._receive(left[0])
            for step in left:
                if line is not None and script.matches(step.text, line, self.captured):
                    left.remove(step)
                    break
            else:
                raise AssertionError(self._where(left[0], line))

    def _where(self, step: Step, line: str | None) -> str:
        return (
            f"{self.script.path.name}:{step.number}\n"
            f"  expected: {step.client} {step.text}\n"
            f"  received: {step.client} {'<closed>' if line is None else line}"
        )
