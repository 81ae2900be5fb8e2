"""One way to print what went wrong: what, where, the last words, a hint, the log, the exit code."""

from __future__ import annotations

import errno
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from kubeboot import errors
from kubeboot.cli.command import ENVIRONMENT_PREFIX
from kubeboot.cli.terminal import Terminal

if TYPE_CHECKING:
    from kubeboot.cli.runtime import Runtime

_LAST_LINES = 20
_SCARCE = {errno.EMFILE: "open files", errno.ENFILE: "open files", errno.ENOMEM: "memory"}
_ALSO = ", and the log has it too"
INTERRUPTED_HINT = "run the same command again; finished steps are kept"


def report(error: errors.KubebootError, runtime: Runtime) -> int:
    """Print the error for people, and with `-o json` for machines; the exit code."""
    log = str(runtime.log.path) if runtime.log is not None and runtime.log.path else None
    clean = runtime.redactor.clean
    runtime.console.say(clean(block(error, log, runtime.stderr)))
    if runtime.settings.json:
        from kubeboot.cli import report_json

        runtime.console.data(clean(report_json.line("Error", as_data(error, log))))
    return error.exit_code


def block(error: errors.KubebootError, log: str | None, terminal: Terminal) -> str:
    """The error as a person reads it."""
    lines = [f"{terminal.paint('bad', 'error:')} {error.message}"]
    where = [f"{name}   {value}" for name, value in (("host", error.host), ("step", error.step)) if value]
    lines += [f"  {'   '.join(where)}"] if where else []
    lines += [f"  {line}" for line in _output(error)]
    if error.hint:
        lines += ["", f"{terminal.paint('note', 'hint:')} {error.hint}"]
    tail = f"exit {error.exit_code}, reason {error.reason}"
    lines.append(terminal.paint("dim", f"log: {log}   {tail}" if log else tail))
    return "\n".join(lines)


def _output(error: errors.KubebootError) -> list[str]:
    lines = (error.output or "").rstrip().splitlines()
    if isinstance(error, errors.ConfigInvalid | errors.UsageProblem | errors.PreflightFailed):
        return lines
    cut = len(lines) - _LAST_LINES
    return (
        lines
        if cut <= 0
        else [f"(the first {cut} of {len(lines)} lines are left out)", *lines[-_LAST_LINES:]]
    )


def as_data(error: errors.KubebootError, log: str | None) -> dict[str, Any]:
    """The error as a machine reads it; what is not known is left out."""
    data = {
        "message": error.message,
        "hint": error.hint,
        "reason": error.reason,
        "exitCode": error.exit_code,
        "host": error.host,
        "step": error.step,
        "output": error.output,
        "log": log,
    }
    return {key: value for key, value in data.items() if value is not None}


def from_click(error: click.ClickException) -> errors.KubebootError:
    """click's own complaint in kubeboot's words."""
    message = _lower(error.message if hasattr(error, "possibilities") else error.format_message())
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "kubeboot"
    meant = _meant(error)
    if variable := _variable(error):
        hint = f"it comes from {variable} in the environment"
    elif meant:
        hint = f"did you mean `{meant}`?"
    else:
        hint = f"`{path} --help` lists what there is"
    return errors.UsageProblem(message, hint=hint)


def _meant(error: click.ClickException) -> str | None:
    """The closest of what click proposes; to click the dashes alone are half of a short option."""
    proposed: Sequence[str] = getattr(error, "possibilities", None) or ()
    if not isinstance(error, click.NoSuchOption):
        return proposed[0] if proposed else None
    import difflib

    names = {option.lstrip("-"): option for option in proposed}
    closest = difflib.get_close_matches(error.option_name.lstrip("-"), names, n=1)
    return names[closest[0]] if closest else None


def _variable(error: click.ClickException) -> str | None:
    """The environment variable that the bad value came from, if it did."""
    if not isinstance(error, click.BadParameter) or error.ctx is None or error.param is None:
        return None
    if error.ctx.get_parameter_source(error.param.name or "") is not ParameterSource.ENVIRONMENT:
        return None
    return f"{ENVIRONMENT_PREFIX}_{(error.param.name or '').upper()}"


def _lower(message: str) -> str:
    text = re.sub(r"'(-{1,2}[\w-]+)'", r"`\1`", message.strip())
    text = re.sub(r"is not a valid boolean.*", "is not true or false", text)
    text = text[:1].lower() + text[1:]
    return text.removesuffix(".").replace("no such option: ", "no such option ")


def unexpected(error: BaseException, *, logged: bool) -> errors.KubebootError:
    """A bug, or that the system gives no more, said in one sentence."""
    if scarce := _scarce(error):
        return errors.KubebootError(
            f"the system gives kubeboot no more {scarce}",
            hint="`ulimit -a` shows the limits; raise it, then run the same command again",
            reason="KB_LIMIT",
        )
    what = " ".join(str(error).split())[:300]
    return errors.KubebootError(
        f"something unexpected happened: {type(error).__name__}{f': {what}' if what else ''}",
        hint=f"this is a bug in kubeboot; `--debug` shows the traceback{_ALSO if logged else ''}",
        reason="KB_BUG",
    )


def _scarce(error: BaseException) -> str | None:
    if isinstance(error, MemoryError):
        return "memory"
    if isinstance(error, RuntimeError) and "start new thread" in str(error):
        return "threads"
    return _SCARCE.get(error.errno or 0) if isinstance(error, OSError) else None


def interrupted() -> errors.KubebootError:
    """Ctrl-C."""
    return errors.Interrupted("interrupted", hint=INTERRUPTED_HINT)
