"""Constant POSIX sh scripts for remote machines; paths are absolute. Status 44: there is no such thing."""

READ = """\
[ -e "$1" ] && [ ! -d "$1" ] || exit 44
exec cat -- "$1"
"""

STAT = """\
[ -e "$1" ] || [ -L "$1" ] || exit 44
stat -c '%f %u %g %s' -- "$1" || exit
if [ -L "$1" ]; then readlink -n -- "$1"; fi
"""

STATS = """\
stat -c '%f %u %g %s %n' -- "$@" 2>/dev/null
for path; do
    if [ -L "$path" ]; then printf 'LINK %s\\n%s\\n' "$path" "$(readlink -- "$path")"; fi
done
exit 0
"""

READS = """\
for path; do
    shift
    if [ -e "$path" ] && [ ! -d "$path" ]; then set -- "$@" "$path"; fi
done
[ $# -gt 0 ] || exit 0
wc -c -- "$@" && echo "BYTES" && cat -- "$@"
"""

_SUM = """\
notes=$1
shift
[ -r "$notes" ] || notes=/dev/null
sums() { # sha256sum, but for files that are as they were when their sums were noted
    stat -c "%d:%i %s %.9Y %.9Z %n" -- "$@" 2>/dev/null | while IFS= read -r now; do
        sum=
        while IFS= read -r line; do
            [ "${line#* }" != "$now" ] || sum=${line%% *}
        done <"$notes"
        path=${now#* * * * }
        [ "$sum" ] || { sum=$(sha256sum 2>/dev/null <"$path") && sum=${sum%% *}; } || continue
        printf '%s  %s\\n' "$sum" "$path"
    done
}
"""

SUMS = f"""\
{_SUM}sums "$@"
exit 0
"""
"""NOTES PATH...: the sums of those that are files."""

BATCH = """\
mark=$1
shift
while [ $# -gt 0 ]; do
    count=$1
    shift
    command= at=1
    while [ "$at" -le "$count" ]; do
        command="$command \\"\\${$at}\\""
        at=$((at + 1))
    done
    eval "$command" </dev/null 2>/dev/null
    printf '%s%s\\n' "$mark" "$?"
    shift "$count"
done
"""
"""MARK (COUNT WORD...)...: runs commands, and prints after each one's output the mark and its status."""

FETCHED = "/var/lib/kubeboot/fetched"
"""Where a machine keeps what it has fetched itself, until it is reset."""

_FETCH = f"""\
fetched() {{
    printf '%s  %s\\n' "$1" "$2" | sha256sum -c --status 2>/dev/null
}}
get() {{
    if command -v curl >/dev/null; then
        curl -fsSL --connect-timeout 20 --speed-limit 1 --speed-time 60 -o "$2" -- "$1"
    elif command -v wget >/dev/null; then
        wget -q -T 60 -t 2 -O "$2" -- "$1"
    else
        echo "neither curl nor wget is there to fetch $1" >&2
        return 127
    fi
}}
fetch() {{
    sum=$1 member=$2 file={FETCHED}/$1
    shift 2
    mkdir -p -m 700 {FETCHED} && exec 9>>"$file.lock" && flock 9 || return
    for url in "$@"; do
        fetched "$sum" "$file" && break
        get "$url" "$file"
    done
    fetched "$sum" "$file" || {{ rm -f "$file"; echo "not with the sum $sum from $*" >&2; return 1; }}
    flock -u 9
    if [ "$member" = - ]; then cat "$file"; else tar -xOzf "$file" -- "$member"; fi
}}
"""

PUT_TOGETHER = (
    _FETCH
    + """\
count=$1
shift
(
    while [ "$count" -gt 0 ]; do
        if [ "$1" = data ]; then
            printf '%s' "$2" | base64 -d
        elif [ "$1" = fetch ]; then
            fetch $2
        else
            dd if="$1" iflag=skip_bytes,count_bytes skip="${2%:*}" count="${2#*:}" bs=1M status=none
        fi || exit
        shift 2
        count=$((count - 1))
    done
) | (
    shift "$((2 * count))"
    exec "$@"
)
"""
)
"""COUNT (data BASE64 | fetch "SUM MEMBER|- URL..." | PATH OFFSET:SIZE)... COMMAND...

The command's input is put together there.
"""

RELAY = """\
command -v bash >/dev/null || exit 44
exec bash -c '
exec 3<>"/dev/tcp/$1/$2" 4<&0 || exit 1
trap "kill \\$(jobs -p) 2>/dev/null" EXIT
echo open
cat <&3 &
cat <&4 >&3 &
wait -n
' relay "$1" "$2"
"""
"""ADDRESS PORT: a TCP connection on standard input and output, after the word `open`; 44 without bash."""

LISTDIR = """\
[ -d "$1" ] && cd -- "$1" || exit 44
for name in * .[!.]* ..?*; do
    if [ -e "$name" ] || [ -L "$name" ]; then printf '%s\\0' "$name"; fi
done
"""

SHA256 = f"""\
{_SUM}[ -e "$1" ] && [ ! -d "$1" ] || exit 44
found=$(sums "$1") && [ "$found" ] || exec sha256sum <"$1"
echo "$found"
"""
"""NOTES PATH: a file's sum."""

REAL_PATH = """\
exec readlink -f -- "$1"
"""

UNIT = """\
shown=$(systemctl show --property="$2" -- "$1") || exit
printf '%s\\nENVIRON\\n' "$shown"
pid=${shown#*MainPID=}
pid=${pid%%[!0-9]*}
[ "${pid:-0}" -eq 0 ] || cat "/proc/$pid/environ" 2>/dev/null
exit 0
"""

MODULE = """\
[ -e "/sys/module/$1" ] || { [ "$2" ] && [ -e "$2" ]; } ||
    grep -q "$3" "/lib/modules/$(uname -r)/modules.builtin" 2>/dev/null || exit 44
"""

LISTENERS = """\
for name in tcp tcp6 udp udp6; do
    echo "NET $name"
    cat "/proc/net/$name" 2>/dev/null
done
echo "OWNERS"
ls -l /proc/[0-9]*/fd 2>/dev/null | grep -e '^/proc/' -e 'socket:'
echo "NAMES"
for folder in /proc/[0-9]*; do
    { IFS= read -r name <"$folder/comm"; } 2>/dev/null && printf '%s %s\\n' "${folder#/proc/}" "$name"
done
exit 0
"""

PROCESSES = """\
for folder in /proc/[0-9]*; do
    { IFS= read -r name <"$folder/comm"; } 2>/dev/null || continue
    printf '%s\\0%s\\0' "${folder#/proc/}" "$name"
    { while IFS= read -r line; do printf '%s\\n' "$line"; done <"$folder/cgroup"; } 2>/dev/null
    printf '\\0'
    { tr '\\0' '\\1' <"$folder/cmdline"; } 2>/dev/null
    printf '\\0'
done
"""

FREE = """\
path=$1
while [ ! -e "$path" ]; do path=$(dirname -- "$path"); done
exec stat -f -c '%a %S' -- "$path"
"""

REPLACE = """\
umask 022
folder=${1%/*}/
[ -d "$folder" ] || mkdir -p -- "$folder" || exit
umask 077
temporary=$(mktemp -- "$folder.${1##*/}.kubeboot-XXXXXXXX") || exit
trap 'rm -f -- "$temporary"' EXIT
trap 'exit 1' HUP INT TERM
cat >"$temporary" && sum=$(sha256sum <"$temporary") || exit
[ "${sum%% *}" = "$2" ] || { echo "$1: the bytes that came do not have the sha256 $2" >&2; exit 1; }
[ -z "$4" ] || chown -- "$4" "$temporary" || exit
chmod -- "$3" "$temporary" && sync -- "$temporary" && mv -fT -- "$temporary" "$1" && sync -- "$folder" || exit
[ -d "${5%/*}" ] || exit 0
printf '%s %s\\n' "$2" "$(stat -c "%d:%i %s %.9Y %.9Z %n" -- "$1")" >>"$5"
"""
"""PATH SHA256 MODE OWNER NOTES: a connection that breaks off leaves nothing, because the sum is wrong then.

The sum is noted, where there are notes.
"""

PART = """\
if [ -f "$1" ] && flock -n "$1" true; then exec stat -c %s -- "$1"; fi
echo 0
"""
"""How many bytes of an upload are there; none of one that somebody still writes."""

RECEIVE = """\
umask 022
folder=${1%/*}/ name=${1##*/}
[ -d "$folder" ] || mkdir -p -- "$folder" || exit
umask 077
for old in "$folder.$name.kubeboot-part-"*; do
    { [ "$old" = "$2" ] && [ "$3" -gt 0 ]; } || rm -f -- "$old" || exit
done
exec 9>>"$2" && flock -n 9 && truncate -s "$3" -- "/proc/$$/fd/9" && exec cat >&9
"""
"""PATH PART OFFSET: what comes is added to PART after so many bytes: more may have come late, by an earlier
connection. A connection that breaks off looks like an end."""

COMMIT = """\
[ "$(stat -c %s -- "$4")" = "$5" ] || { echo "$1: not all of its $5 bytes have come" >&2; exit 1; }
if [ "$6" ]; then
    sum=$(sha256sum <"$4") || exit
    [ "${sum%% *}" = "$2" ] || { echo "$1: the bytes that came do not have the sha256 $2" >&2; exit 1; }
fi
chmod -- "$3" "$4" && sync -- "$4" && mv -fT -- "$4" "$1" && sync -- "${1%/*}/" || exit
[ -d "${7%/*}" ] || exit 0
printf '%s %s\\n' "$2" "$(stat -c "%d:%i %s %.9Y %.9Z %n" -- "$1")" >>"$7"
"""
"""PATH SHA256 MODE PART SIZE READ NOTES: PART becomes the file. With READ its bytes are read once more: they
came by several connections. The sum is noted, where there are notes."""

APPEND = """\
umask 022
folder=${1%/*}/
[ -d "$folder" ] || mkdir -p -- "$folder" || exit
umask 077
temporary=$(mktemp) || exit
trap 'rm -f -- "$temporary"' EXIT
trap 'exit 1' HUP INT TERM
cat >"$temporary" && sum=$(sha256sum <"$temporary") || exit
[ "${sum%% *}" = "$2" ] || { echo "$1: the bytes that came do not have the sha256 $2" >&2; exit 1; }
[ -e "$1" ] || { : >>"$1" && chmod -- "$3" "$1" && sync -- "$folder"; } || exit
size=$(stat -L -c %s -- "$1") || exit
cat "$temporary" >>"$1" && sync -- "$1" || { truncate -s "$size" -- "$1"; exit 1; }
"""

MKDIR = """\
umask 022
mkdir -p -- "$1" && chmod -- "$2" "$1" && sync -- "${1%/*}/"
"""

SYMLINK = """\
umask 022
folder=${1%/*}/
[ -d "$folder" ] || mkdir -p -- "$folder" || exit
temporary=$(mktemp -u -- "$folder.${1##*/}.kubeboot-XXXXXXXX") || exit
ln -s -- "$2" "$temporary" || exit
mv -fT -- "$temporary" "$1" && sync -- "$folder" || { rm -f -- "$temporary"; exit 1; }
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

LOCK = """\
umask 022
mkdir -p -- "${1%/*}/" || exit
lost() { # who has it is of this run too, by a connection that was lost: that one ends
  { read -r who && read -r mark pid; } <"$1" && [ "$mark" = "$3" ] &&
    [ "/proc/$pid/fd/9" -ef "$1" ] && kill -9 "$pid"
}
say() {
  printf '%s\n%s\n' "$1" "$2 $$" >/proc/$$/fd/9
}
while
  exec 9<>"$1" || exit
  flock -n 9 || { lost "$@" && flock -w 10 9; } || { [ -s "$1" ] || sleep 0.2; cat <&9; exit 75; }
  [ "$(stat -L -c %d:%i /proc/$$/fd/9)" != "$(stat -c %d:%i -- "$1" 2>/dev/null)" ]
do :; done
say "$2" "$3"
echo "held"
while words=$(exec 9>&- && exec timeout "$4" sh -c 'IFS= read -r line && printf "%s\n" "$line"'); do
  [ -z "$words" ] || say "$2, $words" "$3"
done
[ ! -e "$1" ] || : >"$1"
"""
"""PATH HOLDER MARK SECONDS: held until stdin ends, which it does when the connection is closed, or no line
comes for so long: nobody tells a machine of one that is lost. Who has the same mark takes it from there. A
file that a reset removed meanwhile is not the lock any more."""
