"""`netctl completion`: what a shell sources so that it asks `netctl.completion` on TAB."""

from isthmus.netctl.command import Call, UsageError

_BASH = """\
_netctl_complete() {
    local found
    mapfile -t found < <(_NETCTL_LINE="${COMP_LINE:0:COMP_POINT}" _NETCTL_BREAKS="$COMP_WORDBREAKS" "$1" 2>/dev/null)
    if [[ ${found[0]-} == files ]]; then
        compopt -o default
        COMPREPLY=()
    else
        COMPREPLY=("${found[@]:1}")
    fi
}
complete -F _netctl_complete netctl
"""
_ZSH = """\
#compdef netctl
_netctl_complete() {
    local -a found
    found=("${(@f)$(_NETCTL_LINE="${(j: :)words[1,CURRENT-1]} $PREFIX" "${words[1]}" 2>/dev/null)}")
    if [[ ${found[1]-} == files ]]; then
        _files
    else
        compadd -- "${(@)found[2,-1]}"
    fi
}
if [[ $zsh_eval_context == *func ]]; then
    _netctl_complete "$@"
else
    compdef _netctl_complete netctl
fi
"""
_SCRIPTS = {"bash": _BASH, "zsh": _ZSH}


def print_script(call: Call) -> None:
    """Print the script of a shell.

    Raises:
        UsageError: another shell than bash and zsh.
    """
    shell = call.only_argument("Shell required: bash or zsh")
    if shell not in _SCRIPTS:
        raise UsageError(f'shell "{shell}": it is bash or zsh')
    print(_SCRIPTS[shell], end="")
