"""What is said to the user: the keys for --help; of an exception one line and an exit code, or a bug's traceback.

The exceptions of Hydra, OmegaConf and PyYAML carry what is needed (the key, the value, the options), in Hydra 1.3 as in
1.4. Where they do not, their own words are shown.
"""

import errno
import os
import re
import shutil
import textwrap
import traceback
from collections.abc import Iterable, Mapping
from pathlib import Path

import yaml
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException

from fashion_softmax.config.checking import RANGES, suggest
from fashion_softmax.config.schema import COMPONENTS, CONFIG_DIR
from fashion_softmax.errors import ConfigError, FashionSoftmaxError, MachineError, one_line

MAX_LENGTH = 10_000  # of a message
MAX_ALIASES = 10  # in a YAML file; each may repeat all that stands before it
ADDED = re.compile(r"file://([^\[\],'\"\n]+)")  # a folder in `hydra.searchpath`, in a file or on the command line
# These errors of files are bugs of ours; all others are the machine's.
BUG_ERRNOS = (None, errno.ENOENT, errno.EBADF, errno.EINVAL)
EXTRAS = {"joblib": "joblib", "ray": "ray", "submitit_local": "slurm", "submitit_slurm": "slurm"}
OUR_WORDS = {
    r"Ambiguous value for argument '(.*)'": r"\1 has several values: add -m for a job each, or write key=[...]",
    "Config group override must be": "the option of a group must be a name, not null or a number; --help lists them",
}


def translate(error: BaseException) -> FashionSoftmaxError | None:
    """Find the user's error in anything that was raised; None for a bug."""
    if isinstance(error, FashionSoftmaxError):
        return error
    for cause in (error, error.__cause__):  # a log that cannot be opened is only the cause of a ValueError
        if isinstance(cause, OSError) and cause.errno not in BUG_ERRNOS:
            return MachineError(str(cause) if cause.filename else f"{cause}, while the run's folder was written")
    if isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and "alloc" in str(error)):
        return MachineError(f"not enough memory: {str(error).splitlines()[0] if str(error) else 'no details given'}")
    message = _explain(error)
    if message is None and _is_raised_by_hydra(error):
        message = f"Hydra cannot use this command line ({type(error).__name__}: {one_line(error)})"
    return ConfigError(message) if message else None


def describe(error: BaseException) -> str:
    """Word an error in a line, with its class where it is none of ours."""
    is_ours = isinstance(error, FashionSoftmaxError | KeyboardInterrupt) and str(error)
    text = str(error) if is_ours else f"{type(error).__name__}: {error}"
    return text[:MAX_LENGTH].encode(errors="replace").decode()  # a name of a file may be no Unicode


def _explain(error: BaseException) -> str | None:
    """Say in a line why a configuration could not be composed; None when the error is none of composition."""
    text = str(error).partition("\n\nConfig search path")[0]
    if isinstance(error, MissingConfigException) and error.options:
        group, _, option = str(error.missing_cfg_file).rpartition("/")
        if group == "hydra/launcher" and (extra := EXTRAS.get(option)):
            return f"{group}={option} is not installed; pip install 'fashion-softmax[{extra}]' brings it"
        return f"{group}={option} is no option{suggest(option, error.options)}"
    if isinstance(error, OverrideParseException):
        return (
            f"cannot read the argument {error.override!r}: expected key=value; a value with special characters needs "
            "quotes inside the shell's own, such as \"dataset.root='/a b (c)'\""
        )
    for cause in (error, error.__cause__, error.__context__) if isinstance(error, HydraException) else (error,):
        if isinstance(cause, OmegaConfBaseException):
            return _explain_value(cause)
    if (isinstance(error, RecursionError) and _is_raised_by_hydra(error)) or "maximum nesting depth" in text:
        return "the configuration is nested too deeply, or its defaults include themselves"
    if isinstance(error, yaml.MarkedYAMLError) and (mark := error.problem_mark):
        return f"{mark.name}, line {mark.line + 1}: is no valid YAML: {error.problem}"
    for pattern, words in OUR_WORDS.items():
        if found := re.search(pattern, text) if isinstance(error, HydraException | ValueError) else None:
            return found.expand(words)
    return one_line(text, None) if isinstance(error, HydraException | yaml.YAMLError) else None


def _explain_value(error: OmegaConfBaseException) -> str:
    key = str(error.full_key)
    if isinstance(error, ConfigAttributeError | ConfigKeyError):
        prefix = key.removesuffix(str(error.key))
        allowed = [f"{prefix}{name}" for name in (error.parent_node or ()) if name not in ("hydra", "_target_")]
        return f"{key} is unknown{suggest(key, allowed, RANGES)}"
    reason = str(error.msg or error).splitlines()[0]
    return f"{key}: {reason}" if error.full_key else reason


def _is_raised_by_hydra(error: BaseException) -> bool:
    """Tell whether Hydra or OmegaConf raised the error, not our own code."""
    names = [frame.f_globals.get("__name__", "") for frame, _ in traceback.walk_tb(error.__traceback__)]
    packages = [name.partition(".")[0] for name in names if name.startswith(("fashion_softmax", "hydra", "omegaconf"))]
    return packages[-1:] in (["hydra"], ["omegaconf"])


def show_keys(choices: Mapping[str, str]) -> str:
    """Show the keys as the files of the options do, by group, comments included, in the template of --help."""
    shown = []
    for group in COMPONENTS:
        path = CONFIG_DIR / group / f"{choices[group]}.yaml"
        if path.exists():  # one of the user's own lies elsewhere
            keys = re.sub(r"^(#|_target_).*\n", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
            shown.append(f"{group}: # {choices[group]}\n{textwrap.indent(keys, '  ')}")
    shown += re.findall(r"(?ms)^seed: .*(?=^hydra:)", (CONFIG_DIR / "config.yaml").read_text(encoding="utf-8"))
    wrap = textwrap.TextWrapper(shutil.get_terminal_size().columns, subsequent_indent=" " * 8, break_long_words=False)
    return "\n".join(map(wrap.fill, "".join(shown).replace("$", "$$").splitlines()))


def check_files(folders: Iterable[str], overrides: Iterable[str] = ()) -> None:
    """Refuse configuration files that Hydra would not name, or on whose aliases OmegaConf 2.3 would hang.

    Args:
        folders: searched for `*.yaml` with their subfolders, and with those that `hydra.searchpath` adds.
        overrides: of the command line.

    Raises:
        ConfigError: names the file.
    """
    known = [*folders, *ADDED.findall("\n".join(overrides))]
    for folder in known:  # which grows
        paths = [Path(parent, name) for parent, _, names in os.walk(folder, followlinks=True) for name in names]
        for path in sorted(path for path in paths if path.suffix == ".yaml"):
            try:
                text = path.read_text(encoding="utf-8")
                events = yaml.parse(text) if text.count("*") > MAX_ALIASES else ()
                num_aliases = sum(isinstance(event, yaml.AliasEvent) for event in events)
            except UnicodeDecodeError as error:
                raise ConfigError(f"{path}: is not UTF-8 ({error})") from error
            except yaml.YAMLError:
                continue  # reported when Hydra reads it, if it does
            if num_aliases > MAX_ALIASES:
                raise ConfigError(
                    f"{path}: its {num_aliases} aliases are too many, allowed are {MAX_ALIASES}; write them out"
                )
            known += [added for added in ADDED.findall(text) if added not in known]
