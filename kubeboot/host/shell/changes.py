"""Scripts that change a machine."""

from kubeboot.host.shell.looks import STATE

_FOLDER = """\
umask 022
folder=${1%/*}/
[ -d "$folder" ] || mkdir -p -- "$folder" || exit
"""

_SENT = """\
sent() { # FILE SHA256 PATH [LARGE]: openssl, where it is there, takes a fifth of the time
    [ -z "$4" ] || {
        sum=$(openssl dgst -sha256 -r <"$1" 2>/dev/null) && [ "${sum%% *}" = "$2" ] && return
    }
    sum=$(sha256sum <"$1") || return
    [ "${sum%% *}" = "$2" ] || { echo "$3: the bytes that came do not have the sha256 $2" >&2; return 1; }
}
"""

_TEMPORARY = """\
umask 077
temporary=0000000$$
temporary=$folder.${1##*/}.kubeboot-${temporary#"${temporary%????????}"}
[ ! -e "$temporary" ] && [ ! -L "$temporary" ] || rm -f -- "$temporary" || exit
"""
"""PATH: a name beside it that no process but this one has; what has it is left from one that was killed."""

_INPUT = f"""\
{_SENT}{_TEMPORARY}trap 'rm -f -- "$temporary"' EXIT
trap 'exit 1' HUP INT TERM
set -C
: >"$temporary" || exit
set +C
"""
"""PATH: an empty file, which goes with the script."""

_PLACE = (
    STATE
    + """\
place() { # FILE PATH MODE
    chmod -- "$3" "$1" && sync -- "$1" && mv -fT -- "$1" "$2" && sync -- "${2%/*}/"
}
note() { # SHA256 PATH NOTES: where there are notes
    [ -d "${3%/*}" ] || return 0
    printf '%s %s\\n' "$1" "$(state "$2")" >>"$3"
}
"""
)

REPLACE = f"""\
{_PLACE}{_FOLDER}{_INPUT}[ -z "$4" ] || chown -- "$4" "$temporary" || exit
chmod -- "$3" "$temporary" && dd of="$temporary" bs=1M conv=notrunc,fsync status=none || exit
sent "$temporary" "$2" "$1" "$5" && mv -fT -- "$temporary" "$1" || exit
trap - EXIT
sync -- "$folder" && note "$2" "$1" "$5"
"""
"""PATH SHA256 MODE OWNER NOTES: a connection that breaks off leaves nothing, because the sum is wrong then.

The sum is noted, where there are notes.
"""

PART = """\
if [ -f "$1" ] && flock -n "$1" true; then exec stat -c %s -- "$1"; fi
echo 0
"""
"""How many bytes of an upload are there; none of one that someone still writes."""

RECEIVE = (
    _FOLDER
    + """\
umask 077
for old in "$folder.${1##*/}.kubeboot-part-"*; do
    { [ "$old" = "$2" ] && [ "$3" -gt 0 ]; } || rm -f -- "$old" || exit
done
exec 9>>"$2" && flock -n 9 && truncate -s "$3" -- "/proc/$$/fd/9" && exec cat >&9
"""
)
"""PATH PART OFFSET: what comes is added to PART after so many bytes: more may have come late, by an earlier
connection. A connection that breaks off looks like an end."""

COMMIT = f"""\
{_SENT}{_PLACE}
[ "$(stat -c %s -- "$4")" = "$5" ] || {{ echo "$1: not all of its $5 bytes have come" >&2; exit 1; }}
[ -z "$6" ] || sent "$4" "$2" "$1" large || exit
place "$4" "$1" "$3" && note "$2" "$1" "$7"
"""
"""PATH SHA256 MODE PART SIZE READ NOTES: PART becomes the file. With READ its bytes are read once more: they
came by several connections. The sum is noted, where there are notes."""

APPEND = f"""\
{_FOLDER}{_INPUT}cat >"$temporary" && sent "$temporary" "$2" "$1" || exit
[ -e "$1" ] || {{ : >>"$1" && chmod -- "$3" "$1" && sync -- "$folder"; }} || exit
size=$(stat -L -c %s -- "$1") || exit
dd if="$temporary" of="$1" bs=1M oflag=append conv=notrunc,fsync status=none || {{
    truncate -s "$size" -- "$1"
    exit 1
}}
"""

MKDIR = """\
umask 022
mkdir -p -- "$1" && chmod -- "$2" "$1" && sync -- "${1%/*}/"
"""

SYMLINK = f"""\
{_FOLDER}{_TEMPORARY}ln -s -- "$2" "$temporary" || exit
mv -fT -- "$temporary" "$1" && sync -- "$folder" || {{ rm -f -- "$temporary"; exit 1; }}
"""

CHMOD = """\
[ ! -L "$1" ] || { echo "$1: too many levels of symbolic links" >&2; exit 1; }
chown -- "$3" "$1" && chmod -- "$2" "$1"
"""

REMOVE = """\
[ -e "$1" ] || [ -L "$1" ] || exit 0
if [ -d "$1" ] && [ ! -L "$1" ]; then rmdir -- "$1"; else rm -f -- "$1"; fi && sync -- "${1%/*}/"
"""

REMOVE_TREE = """\
holds() { # ENTRY POINT...: a mount point is at or below the entry
    entry=$1
    shift
    for point; do case $point in "$entry" | "$entry"/*) return 0 ;; esac; done
    return 1
}
clear() { # ENTRY POINT...
    [ -e "$1" ] || [ -L "$1" ] || return 0
    holds "$@" || { rm -rf -- "$1"; return; }
    top=$1
    shift
    for point; do [ "$point" != "$top" ] || return 0; done
    for below in "$top"/* "$top"/.[!.]* "$top"/..?*; do (clear "$below" "$@") || exit; done
}
clear "$@"
"""

RENAME = """\
[ -e "$1" ] || [ ! -e "$2" ] || exit 0
mv -T -- "$1" "$2" && sync -- "${1%/*}/" "${2%/*}/"
"""

COPY_TREE = """\
cp -a --reflink=auto -T -- "$1" "$2" && sync -f -- "$2"
"""

REMOVE_CGROUP = """
[ ! -d "$1" ] || find "$1" -depth -type d -exec rmdir {} ';'
"""

SET_SYSCTL = """\
[ -e "$1" ] || { echo "there is no sysctl $3" >&2; exit 1; }
printf '%s' "$2" >"$1"
"""

KILL = """\
kill "-$2" "$1" 2>/dev/null || [ ! -e "/proc/$1" ] || { echo "process $1 cannot be signalled" >&2; exit 1; }
"""
