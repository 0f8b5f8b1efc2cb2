"""`sgdlab completion`: tab completion for bash, zsh and fish."""

import argparse
import contextlib
import io
import os
import sys
from collections.abc import Sequence

from sgdlab.base.errors import UsageError, did_you_mean

# A script asks `sgdlab -sc query=SHELL` with the line in COMP_LINE and gets one candidate a line, each the
# whole word. Readline replaces only what follows the last = or : where these break words.
_BASH = """\
_sgdlab() {
    local word="${COMP_LINE:0:COMP_POINT}" kept="" mark head line
    word="${word##*[[:space:]]}"
    for mark in "=" ":"; do
        if [[ $COMP_WORDBREAKS == *"$mark"* && $word == *"$mark"* ]]; then
            head="${word%"${word##*"$mark"}"}"
            (( ${#head} > ${#kept} )) && kept="$head"
        fi
    done
    COMPREPLY=()
    while IFS= read -r line; do
        COMPREPLY+=("${line#"$kept"}")
    done < <(COMP_LINE="$COMP_LINE" COMP_POINT="$COMP_POINT" "${1/#\\~/$HOME}" -sc query=bash 2>/dev/null)
}
complete -o default -o nospace -F _sgdlab sgdlab
"""

_ZSH = """\
_sgdlab() {
    local line program="${(Q)words[1]/#\\~/$HOME}"
    local -a open whole
    while IFS= read -r line; do
        case $line in
            *[=./]) open+=("$line") ;;
            ?*) whole+=("$line") ;;
        esac
    done < <(COMP_LINE="${(j: :)words[1,CURRENT-1]} $PREFIX" "$program" -sc query=zsh 2>/dev/null)
    (( $#open + $#whole )) || { _files; return }
    compadd -S '' -a open
    compadd -a whole
}
(( $+functions[compdef] )) || { autoload -Uz compinit && compinit }
compdef _sgdlab sgdlab
"""

_FISH = """\
function __sgdlab_complete
    set -lx COMP_LINE (commandline -cp)
    set -l program (commandline -opc)[1]
    set -l found ($program -sc query=fish 2>/dev/null)
    if test (count $found) -gt 0
        printf '%s\\n' $found
    else
        __fish_complete_path (commandline -ct)
    end
end
complete -c sgdlab -f -a '(__sgdlab_complete)'
"""

SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}

LINES = """\
Tab completion of commands, groups, options, settings and runs. Put this line into your shell's startup file:

  bash  eval "$(sgdlab completion bash)"   ~/.bashrc
  zsh   eval "$(sgdlab completion zsh)"    ~/.zshrc
  fish  sgdlab completion fish | source    ~/.config/fish/config.fish
"""


def main(argv: list[str]) -> int:
    """Print a shell's script, or without a shell's name the line that runs it. Raises UsageError."""
    parser = argparse.ArgumentParser(
        prog="sgdlab completion",
        description=LINES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("shell", nargs="?", metavar="SHELL", help="bash, zsh or fish: print its script")
    shell = parser.parse_args(argv).shell
    if shell is not None and shell not in SCRIPTS:
        raise UsageError(f"{shell}: no completion for this shell; {did_you_mean(shell, SCRIPTS)}")
    print(LINES if shell is None else SCRIPTS[shell], end="")
    return 0


def answer(words: Sequence[str]) -> int:
    """Answer a shell: `query=SHELL` prints the candidates for the line in COMP_LINE, up to COMP_POINT.

    Whatever goes wrong, nothing is printed but candidates: a message would land in the middle of the line
    that a person is writing.
    """
    shell = words[0].removeprefix("query=") if words else ""
    line = os.environ.get("COMP_LINE", "")
    point = os.environ.get("COMP_POINT", "")
    line = line[: int(point)] if point.isdecimal() else line
    candidates: list[str] = []
    if shell in SCRIPTS:
        with contextlib.suppress(Exception), contextlib.redirect_stderr(io.StringIO()):
            from sgdlab.cli.completion import complete

            candidates = complete(line)
    for name in candidates:
        # bash is told not to add the space that ends a word, as it would add one after `lr=` too.
        ending = " " if shell == "bash" and not name.endswith(("=", ".", "/")) else ""
        sys.stdout.write(f"{name}{ending}\n")
    return 0
