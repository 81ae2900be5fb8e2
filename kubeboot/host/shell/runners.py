"""Scripts that run other commands, or run on until their input ends."""

BATCH = """\
IFS= read -r mark || exit
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
"""(COUNT WORD...)...: runs commands, and prints after each one's output the mark and its status.

The mark is what comes: among the words, a list of the machine's processes would have it.
"""

STANDING = """\
IFS= read -r mark || exit
while IFS= read -r size; do
    command=$(head -c "$size")
    case $command in *"#$mark") ;; *) exit 1 ;; esac
    (eval "$command") </dev/null
    printf '%s%s\\n' "$mark" "$?"
    printf '%s\\n' "$mark" >&2
done
"""
"""Runs commands that come with their sizes, each ended by a comment with the mark: one that a lost connection
has cut is not begun. Prints the mark and the status after a command's output, and the mark on stderr."""

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

CONSUME = """\
part=$1
shift
"$@" <"$part" && rm -f -- "$part"
"""
"""PART COMMAND...: the command reads the part, which is gone when it has."""

RELAY = """\
command -v bash >/dev/null || exit 44
exec bash -c '
exec 3<>"/dev/tcp/$1/$2" 4<&0 || exit 1
echo open
exec 2>/dev/null
set -m
cat <&3 & out=$!
{ cat <&4 >&3; kill "$out"; } & in=$!
trap "kill -- -$in -$out" EXIT
wait "$out"
' relay "$1" "$2"
"""
"""ADDRESS PORT: a TCP connection on standard input and output, after the word `open`; 44 without bash.

Each direction's end ends the other, by its process id: `wait -n` misses one that ended before it was called.
"""

LOCK = """\
umask 022
mkdir -p -- "${1%/*}/" || exit
lost() { # who has it is of this run too, by a connection that was lost: that one ends, or has not said so yet
  { read -r who && read -r mark pid; } <"$1" && [ "$mark" = "$3" ] || return
  [ ! "/proc/$pid/fd/9" -ef "$1" ] || kill -9 "$pid"
}
named() { # who has just taken it says so in the next moment
  for turn in 1 2 3 4 5 6 7 8 9 10; do
    [ ! -s "$1" ] || break
    sleep 0.2
  done
}
say() {
  printf '%s\n%s\n' "$1" "$2 $$" >/proc/$$/fd/9
}
while
  exec 9<>"$1" || exit
  flock -n 9 || { lost "$@" && flock -w 10 9; } || { named "$1"; cat <&9; exit 75; }
  say "$2" "$3"
  [ "$(stat -L -c %d:%i /proc/$$/fd/9)" != "$(stat -c %d:%i -- "$1" 2>/dev/null)" ]
do :; done
echo "held"
while words=$(exec 9>&- && exec timeout "$4" sh -c 'IFS= read -r line && printf "%s\n" "$line"'); do
  [ -z "$words" ] || say "$2, $words" "$3"
done
[ ! -e "$1" ] || : >"$1"
"""
"""PATH HOLDER MARK SECONDS: held until stdin ends, which it does when the connection is closed, or no line
comes for so long: nobody tells a machine of one that is lost. Who has the same mark takes it from there. A
file that a reset removed meanwhile is not the lock any more."""
