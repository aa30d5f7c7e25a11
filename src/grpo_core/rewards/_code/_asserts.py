"""Python assert scripts: two confined processes, and the caller who carries messages between them.

One holds the candidate, the other the script. The caller never reads what they say to each other,
but for the word of the script's process that it came to its end, which no message of the
candidate's can be: those that the script sends begin with `V` for that word and with `M` otherwise,
and the candidate's go to the script alone.
"""

import secrets
from contextlib import ExitStack

from grpo_core.rewards._code._frames import Ended, Line
from grpo_core.rewards._code._program import Program
from grpo_core.rewards._code._results import Ran, Settings, raised
from grpo_core.rewards._code._tests import AssertTest
from grpo_core.rewards._code._wire import WireError, decode, encode


def run_script(program: Program, test: AssertTest, settings: Settings) -> Ran:
    """Runs the script against the candidate, and says how it ended."""
    nonce = secrets.token_bytes(16)
    source = program.source.decode("utf-8", "surrogatepass")
    script = (test.script, test.names(), test.modules(), test.entry_point, nonce)
    with ExitStack() as stack:
        try:
            candidate = stack.enter_context(Line("_candidate", settings))
            tester = stack.enter_context(Line("_tester", settings))
            candidate.send(encode(("ask", "load", source)))
            match decode(candidate.receive()):
                case ("value", None):
                    pass
                case ("raise", [str(name), *_], arguments):
                    return raised(name, arguments)
                case _:
                    return Ran("runtime_error", note={"error": "ended before the script did"})
            tester.send(encode(script))
            while (message := tester.receive())[:1] != b"V":
                candidate.send(message[1:])
                tester.send(candidate.receive())
            return _verdict(message[1:], nonce)
        except Ended as ended:
            return ended.done
        except WireError:
            return Ran("runtime_error", note={"error": "no message"})


def _verdict(word: bytes, nonce: bytes) -> Ran:
    given, how, error, line = decode(word)
    if given != nonce:
        return Ran("infrastructure", note={"error": "a script without its nonce"})
    if how == "passed":
        return Ran("correct")
    done = raised(error) if how == "raised" or error == "MemoryError" else Ran("wrong_answer")
    note = {**done.note, "line": str(line)}
    return Ran(done.reason, note=note)
