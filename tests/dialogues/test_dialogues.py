"""Every dialogue file, on a whole server; and all that it says follows the grammar."""

import itertools

import pytest
import trio
from tests.dialogues import grammar, script
from tests.dialogues.elsewhere import Processes
from tests.dialogues.host import Host, Line, running
from tests.dialogues.picture import Picture
from tests.dialogues.script import Script, Step

from imapvm._core import UidSet

WAIT_SECONDS = 10  # nothing waits so long unless it is broken
QUIET_SECONDS = 0.01  # without a task that runs: what was to be said has been said


@pytest.mark.parametrize("path", script.files(), ids=lambda path: path.stem)
async def test_dialogue(path, given, trusts):
    written = script.read(path)
    async with running(given, trusts) as host:
        await play(host, written)


@pytest.fixture(scope="module")
def processes():
    processes = Processes()
    yield processes
    processes.end()


@pytest.mark.parametrize(
    "path",
    [path for path in script.files() if len(script.read(path).clients) > 1],
    ids=lambda path: path.stem,
)
async def test_dialogue_with_clients_at_several_processes(path, given, trusts, processes):
    written = script.read(path)
    others = processes.others
    async with running(given, trusts, wakeup=processes.wakeup(), elsewhere=others) as host:
        await play(host, written)


async def play(host: Host, written: Script) -> None:
    play = Play(host, written)
    with trio.fail_after(WAIT_SECONDS):
        await play.prepare()
    await play.run()


class Play:
    """One file being played."""

    def __init__(self, host: Host, written: Script) -> None:
        self.host = host
        self.script = written
        self.lines: dict[int, Line] = {}
        self.captured: dict[str, str] = {}

    async def prepare(self) -> None:
        """Bring about what `given` says."""
        for given in self.script.givens:
            if given[0].isdigit():
                clients = [int(word) for word in itertools.takewhile(str.isdigit, given)]
                for client in clients:
                    await self._bring_in(client, given[len(clients) :])
            elif "flags" in given:
                at = given.index("flags")
                uids = UidSet.of(map(int, given[1:at]))
                await self.host.flag(given[0], uids, list(given[at + 1 :]))
            else:
                await self.host.put(given[0], [int(word) for word in given[1:]])
        for client in self.script.clients:
            if client not in self.lines:
                await self._bring_in(client, ("signed", "in"))

    async def _bring_in(self, client: int, words: tuple[str, ...]) -> None:
        match words:
            case ("connects",):
                self.lines[client] = await self.host.connect()
            case ("connects", "without", "TLS"):
                self.lines[client] = await self.host.connect(plain_allowed=False, offer_tls=True)
            case ("connects", "with", "TLS"):
                self.lines[client] = await self.host.connect(
                    plain_allowed=False, offer_tls=True, tls_first=True
                )
            case ("signed", "in"):
                self.lines[client] = await self.host.connect()
                await self._quietly(client, "LOGIN alice secret")
            case ("enables", *names):
                if client not in self.lines:
                    await self._bring_in(client, ("signed", "in"))
                await self._quietly(client, f"ENABLE {' '.join(names)}")
            case ("selected" | "examined" as how, mailbox):
                if client not in self.lines:
                    await self._bring_in(client, ("signed", "in"))
                verb = "SELECT" if how == "selected" else "EXAMINE"
                await self._quietly(client, f"{verb} {mailbox}")
            case _:
                raise script.NotAScriptError(f"given {client} {' '.join(words)}")

    async def _quietly(self, client: int, command: str) -> None:
        line = self.lines[client]
        await line.send(f"given {command}\r\n".encode())
        heard = await line.hear_line()
        while heard is not None and not heard.startswith("given "):
            heard = await line.hear_line()
        assert heard is not None
        assert heard.startswith("given OK"), heard

    async def run(self) -> None:
        """Play it line by line."""
        steps = list(self.script.steps)
        while steps:
            step = steps.pop(0)
            if step.kind == "S~":
                block = [step]
                while steps and steps[0].kind == "S~" and steps[0].client == step.client:
                    block.append(steps.pop(0))
                await self._hear_in_any_order(block)
            else:
                await self._play(step)
        await self.host.quiet(QUIET_SECONDS)
        for client, line in self.lines.items():
            more = await line.overhear()
            assert not more, f"{self.script.path.name}: {client} heard more: {more}"
            picture = Picture()
            for response in grammar.Reader(bytes(line.said)).all():
                picture.hear(response)

    async def _play(self, step: Step) -> None:
        line = self.lines[step.client]
        match step.kind:
            case "C":
                text = script.filled(step.text, self.captured)
                await line.send(text.encode() + b"\r\n")
            case "C!":
                await line.send(script.octets(step.text))
            case "TLS":
                await line.shake_hands()
            case "HANGUP":
                line.close()
            case "S" if step.text == "<nothing>":
                await self.host.quiet(QUIET_SECONDS)
                heard = await line.overhear()
                assert not heard, self._where(step, heard)
            case "S":
                heard = await self._hear(step)
                ok = heard is not None and script.matches(step.text, heard, self.captured)
                assert ok or (heard is None and step.text == "<closed>"), self._where(step, heard)
            case other:
                raise AssertionError(other)

    async def _hear(self, step: Step) -> str | None:
        with trio.move_on_after(WAIT_SECONDS):
            return await self.lines[step.client].hear_line()
        raise AssertionError(self._where(step, "nothing"))

    async def _hear_in_any_order(self, block: list[Step]) -> None:
        left = list(block)
        for _ in block:
            heard = await self._hear(left[0])
            for step in left:
                if heard is not None and script.matches(step.text, heard, self.captured):
                    left.remove(step)
                    break
            else:
                raise AssertionError(self._where(left[0], heard))

    def _where(self, step: Step, heard: str | None) -> str:
        return (
            f"{self.script.path.name}:{step.number}\n"
            f"  expected: {step.client} {step.text}\n"
            f"  heard:    {step.client} {'<closed>' if heard is None else heard}"
        )
